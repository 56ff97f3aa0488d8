#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two and four guests of one system that work all the time, with NICs of khx_net
# and disks of khx_blk: what merging saves and what it takes from them, with
# their memory in khxmem, and then with KSM. KSM merges no shared memory, so
# there QEMU itself serves the disks.
#
#	a  mem-path=DIRECTORY, prealloc, bound to a node	b  mem-path=FILE
#	c  as a							d  as b
#
# All have a balloon with free page reporting. Work is what is done while
# everything is private and nothing scanned, and then while it is merged, in
# turns. Both scanners get there at full speed, and are then at the settings they
# come with. KHX_GUEST_SECONDS is how long each is measured.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "${KHX_LIB:-$here/../lib}/modules.sh"
. "$here/memguest.sh"
. "$here/../net/netguest.sh"

GUEST_MEM=${GUEST_MEM:-160}
seconds=${KHX_GUEST_SECONDS:-20}
rounds=${KHX_GUEST_ROUNDS:-2}
counts=${KHX_GUEST_COUNTS:-2 4}
declare -A number=([a]=1 [b]=2 [c]=3 [d]=4) thread=([khx]=khx_merged [ksm]=ksmd)
declare -A defaults real ratio

PATH=$PATH:${OUTPUT%/*}/net:${KHX_TOP:-$here/../..}/build/tools
khx_module_load khx_net && khx_module_load khx_blk && tap_need khx-vhost-user
net_set_up
trap 'net_tear_down; guest_cleanup; kill $(jobs -p) 2> /dev/null' EXIT

# names COUNT: of the first guests
names() {
	local all=(a b c d)
	echo "${all[@]:0:$1}"
}

# memory SYSTEM NAME: the backend of guest NAME
memory() {
	local path=$dir
	if [ "$1" = ksm ]; then
		path=memory-backend-ram,merge=on
	else
		[[ $2 = [ac] ]] || path=$dir/$2
		path=$(khxmem "$path")
	fi
	[[ $2 = [bd] ]] || path+=,prealloc=on,host-nodes=0,policy=bind
	echo "$path"
}

disk() {
	local file=$GUEST_DIR/disk.$2 socket=$GUEST_DIR/disk.$2.sock
	head -c 1M "$0" > "$file"
	truncate -s 4M "$file"
	if [ "$1" = ksm ]; then
		nics+=(-drive "if=none,id=disk,format=raw,file=$file"
			-device virtio-blk-pci,drive=disk)
		return
	fi
	khx-vhost-user --socket "$socket" --blk "$file" 2>> "$GUEST_DIR/daemon" &
	tap_wait 20 test -S "$socket" || return
	nics+=(-chardev "socket,id=disk,path=$socket"
		-device vhost-user-blk-pci,chardev=disk)
}

boot() {
	local name=$2 nics=()
	# The disk first: what serves it would inherit the NIC's file, and keep
	# with it the memory of a guest that is gone.
	disk "$1" "$name" && net_nic "${number[$name]}" || return
	start "$name" "$(memory "$1" "$name")" "${nics[@]}" \
		-device virtio-balloon-pci,free-page-reporting=on || return
	net_close
	net_fds=()
}

# Copies in memory are counted; with them go traffic and direct I/O, checked too.
labour() {
	local n=${number[$1]}
	net_up "$1" "$n" && guest_run "$1" "
		modprobe virtio_balloon
		mkdir -p /tmp/work; cd /tmp/work
		head -c 1048576 /dev/urandom > a
		dd if=/dev/vda of=disk bs=64k count=16 iflag=direct 2> /dev/null
		setsid sh -c 'while :; do
			cp a b && cmp a b || echo copy >> wrong
			read -r now _ < /proc/uptime; echo \$now >> rounds
		done' > /dev/null 2>&1 < /dev/null &
		setsid sh -c 'while :; do
			stream receive 10.99.$n.1 $NET_PORT 1 \$\$ || echo net >> wrong
			dd if=/dev/vda of=disk2 bs=64k count=16 iflag=direct
			cmp disk disk2 || echo disk >> wrong
			echo >> transfers
			sleep 5
		done' > /dev/null 2>&1 < /dev/null &"
}

ready() {
	local name
	for name in $(names "$2"); do
		[ -n "${guest_pids[$name]:-}" ] || boot "$1" "$name" || return
	done
	for name in $(names "$2"); do
		[ "${guest_boots[$name]}" -gt 0 ] || {
			guest_wait "$name" 300 && labour "$name"
		} || return
	done
}

# done_by NAME: rounds, and when the last one ended
done_by() {
	guest_run "$1" 'cd /tmp/work; echo $(wc -l < rounds) $(tail -n 1 rounds)'
}

# progress COUNT: rounds a minute of all guests, in the next seconds
progress() {
	local name
	for name in $(names "$1"); do
		done_by "$name"
	done > "$GUEST_DIR/before"
	sleep "$seconds"
	for name in $(names "$1"); do
		done_by "$name"
	done | paste -d ' ' "$GUEST_DIR/before" - |
		awk 'NF == 4 { sum += 60 * ($3 - $1) / ($4 - $2) }
		END { printf "%.0f\n", sum }'
}

# cpu SYSTEM: what the scanner has had, in hundredths of a second
cpu() {
	awk '{ print $14 + $15 }' "/proc/$(pgrep -x "${thread[$1]}")/stat"
}

median() {
	printf '%s\n' "$@" | sort -n |
		awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

left() {
	if [ "$1" = ksm ]; then
		cat $ksm/pages_shared $ksm/pages_unshared $ksm/pages_volatile
	else
		cat $sysfs/pages_shared $sysfs/pages_unshared $sysfs/pages_volatile
	fi | awk '{ sum += $1 } END { print sum }'
}

passed() {
	[ "$(cat "$1/full_scans")" -ge "$2" ]
}

# settled SYSTEM SYSFS: three passes, and until no more than 1 % goes in two
settled() {
	local last now
	tap_wait 300 passed "$2" $(($(cat "$2/full_scans") + 3)) || return
	now=$(left "$1")
	while true; do
		last=$now
		tap_wait 120 passed "$2" $(($(cat "$2/full_scans") + 2)) || return
		sleep $((seconds / 4))
		now=$(left "$1")
		[ $((last - now)) -gt $((last / 100)) ] || return 0
	done
}

# scan_at_once SYSTEM SYSFS: until it has merged what there is to merge, whoever waits
scan_at_once() {
	renice -n -20 -p "$(pgrep -x "${thread[$1]}")"
	[ "$1" = ksm ] || echo 100 > $sysfs/cpu_limit
	scan_fast "$2"
	settled "$1" "$2" || return
	renice -n 5 -p "$(pgrep -x "${thread[$1]}")"
	[ "$1" = ksm ] || echo 10 > $sysfs/cpu_limit
	echo "${defaults[$1]}" > "$2/pages_to_scan"
}

# measure SYSTEM SYSFS COUNT
measure() {
	local system=$1 i alone=() merged=() left=() shares=() before
	for ((i = 0; i < rounds; i++)); do
		echo 2 > "$2/run"
		sleep 5
		alone+=("$(progress "$3")")
		scan_at_once "$system" "$2" || return
		sleep 5
		before=$(cpu "$system")
		merged+=("$(progress "$3")")
		shares+=("$((($(cpu "$system") - before) / seconds))%")
		left+=("$(left "$system")")
	done
	real[$system$3]=$(median "${left[@]}")
	ratio[$system$3]=$(awk -v a="$(median "${merged[@]}")" \
		-v b="$(median "${alone[@]}")" 'BEGIN { printf "%.3f", b ? a / b : 0 }')
	echo "$system, $3 guests: ${alone[*]} rounds a minute, merged ${merged[*]}:" \
		"${ratio[$system$3]}; ${left[*]} pages left," \
		"$(cat "$2/pages_sharing") sharing $(cat "$2/pages_shared");" \
		"${shares[*]} of a processor" >> "$GUEST_DIR/figures"
}

all_right() {
	local name
	for name in $(names "$1"); do
		guest_run "$name" '[ ! -e /tmp/work/wrong ] && [ -s /tmp/work/transfers ] ||
			{ cat /tmp/work/wrong; exit 1; }' || return
	done
}

less() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'
}

# run SYSTEM SYSFS
run() {
	local count before
	for count in $counts; do
		claim "$count guests boot and work, $1" ready "$1" "$count" || tap_bail
		claim "and go on while they are merged" measure "$1" "$2" "$count"
		tap_diag "$(tail -n 1 "$GUEST_DIR/figures"), $SECONDS s"
		claim "and compute what is right" all_right "$count"
	done
	echo 0 > "$2/run"
	before=$(in_use)
	guest_kill b
	rm -f "$dir/b"
	[ "$1" = ksm ] || tap_run "one that dies gives its memory back at once" \
		tap_wait 5 below $((before - 5000))
	for name in a c d; do
		guest_kill "$name"
	done
	rm -f "$dir"/[bd]
}

count=$(wc -w <<< "$counts")
tap_plan $((2 + 2 * 3 * count + 3 * count))
tap_run "khxmem is mounted" mount -t khxmem -o size=2g khxmem "$dir" || tap_bail
for name in $(names 4); do
	net_link "${number[$name]}" || tap_bail "no links"
done
echo 1 > $ksm/use_zero_pages
defaults=([khx]=$(figure pages_to_scan) [ksm]=$(cat $ksm/pages_to_scan))
run khx $sysfs
run ksm $ksm
for count in $counts; do
	tap_run "$count guests: no more is left than by KSM (${real[khx$count]}, ${real[ksm$count]})" \
		less "${real[khx$count]}" "${real[ksm$count]}"
	tap_run "their progress is 0.97 of unmerged (${ratio[khx$count]})" \
		less 0.97 "${ratio[khx$count]}"
	tap_run "and not below that with KSM (${ratio[ksm$count]})" \
		less "${ratio[ksm$count]}" "${ratio[khx$count]}"
done
umount "$dir"
tap_exit
