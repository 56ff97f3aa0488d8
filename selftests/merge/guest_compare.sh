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
# turns; medians. Both scanners get there at full speed, and are then at the
# settings they come with. KHX_GUEST_SECONDS is how long each is measured,
# KHX_GUEST_ROUNDS how often, KHX_GUEST_SYSTEMS which ("khx ksm", or one of them).
# Progress is work a second: on a test host with one processor, what a scanner takes
# is missing in it. What is left when that does not count, work per second of the
# guests' own CPU time, is shown beside it. Time passes faster or slower for the
# guests with what else this machine does; if $KHX_OUT/insns has the instructions of
# the test host (see ../bench/total.c), work for so many of them is what counts.
#
# What is left is memory: the guests' pages, and what a system takes to merge them.
#
#	KSM	an item of 64 bytes for each page that it has looked at, nodes for merged
#		pages: its slabs, as they are, with what is free in them
#	khx	metadata_bytes, but candidates and copies by their slabs, as KSM's; and the
#		page index of the files, which anonymous memory has none of
#
# No more may be left than by KSM of both together; either is shown by itself. The
# index is the nodes of radix trees that there are more than before the guests booted,
# for KSM too. The kernel must not merge slabs (slab_nomerge). What the test host itself
# has lost since then is shown, too: QEMU, page tables and all else are in that.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "${KHX_LIB:-$here/../lib}/modules.sh"
. "$here/memguest.sh"
. "$here/../net/netguest.sh"

GUEST_MEM=${GUEST_MEM:-160}
seconds=${KHX_GUEST_SECONDS:-60}
rounds=${KHX_GUEST_ROUNDS:-3}
counts=${KHX_GUEST_COUNTS:-2 4}
systems=${KHX_GUEST_SYSTEMS:-khx ksm}
declare -A number=([a]=1 [b]=2 [c]=3 [d]=4) thread=([khx]=khx_merged [ksm]=ksmd)
declare -A defaults real ratio host
daemons=()

exec 3>&1	# for figures as they come

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
	rm -f "$socket"
	khx-vhost-user --socket "$socket" --blk "$file" 2>> "$GUEST_DIR/daemon" &
	daemons+=($!)
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

# A round is copies in memory, traffic and direct I/O; all checked. All rounds are
# alike, so that their number says what was done.
labour() {
	local n=${number[$1]}
	net_up "$1" "$n" && guest_run "$1" "
		modprobe virtio_balloon
		mkdir -p /tmp/work; cd /tmp/work
		head -c 1048576 /dev/urandom > a
		part() {
			dd if=/dev/vda of=\$1 bs=64k count=2 skip=\$((2 * p)) \\
				iflag=direct 2> /dev/null
		}
		for p in 0 1 2 3 4 5 6 7; do part disk.\$p; done
		(i=0; while :; do
			while [ -e pause ]; do sleep 1; done
			cp a b && cmp a b || echo copy >> wrong
			stream receive 10.99.$n.1 $NET_PORT 0.125 \$i || echo net >> wrong
			i=\$((i + 1)) p=\$((i % 8))
			part now.\$p && cmp disk.\$p now.\$p || echo disk >> wrong
			read -r now _ < /proc/uptime; echo \$now >> rounds
		done) > /dev/null 2>&1 < /dev/null &"
}

# Each has been through what it does only at first, such as faulting on its memory.
warm() {
	local name
	for name in $(names "$1"); do
		guest_run "$name" '[ "$(wc -l < /tmp/work/rounds)" -ge 20 ]' || return
	done
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
	tap_wait 300 warm "$2"
}

# done_by NAME: rounds, of which the last has been done in part, and when
done_by() {
	guest_run "$1" 'cd /tmp/work; read -r now _ < /proc/uptime
		tail -n 9 rounds | awk -v now=$now -v n="$(wc -l < rounds)" "
			NR == 1 { first = \$1 }
			END { part = (NR - 1) * (now - \$1) / (\$1 - first)
				print n + (part < 1 ? part : 1), now }"'
}

# Of the whole test host, so far, if someone counts them
insns() {
	if [ -n "${KHX_OUT:-}" ] && [ -s "$KHX_OUT/insns" ]; then
		od -An -tu8 "$KHX_OUT/insns"
	else
		echo 0
	fi
}

# sample COUNT: what each guest has done, when, its CPU time, its page faults, and the
# instructions until then
sample() {
	local name
	for name in $(names "$1"); do
		echo "$(done_by "$name")" \
			"$(awk '{ print $14 + $15, $10 }' "/proc/$(guest_pid "$name")/stat")" \
			"$(insns)"
	done
}

# progress COUNT: of all guests, in the next seconds: rounds a minute, rounds in a
# minute of their CPU time, page faults a second, rounds in 10^12 instructions
progress() {
	sample "$1" > "$GUEST_DIR/before"
	sleep "$seconds"
	sample "$1" > "$GUEST_DIR/after"
	paste -d ' ' "$GUEST_DIR/before" "$GUEST_DIR/after" | awk -v seconds="$seconds" '
		NF == 10 {
			rounds += $6 - $1
			rate += 60 * ($6 - $1) / ($7 - $2)
			cpu += ($8 - $3) / 100
			faults += $9 - $4
			insns += $10 > $5 ? 1e12 * ($6 - $1) / ($10 - $5) : 0
		}
		END { printf "%.1f %.1f %.0f %.1f\n", rate,
			cpu ? 60 * rounds / cpu : 0, faults / seconds, insns }'
}

# cpu SYSTEM: what the scanner has had, in hundredths of a second
cpu() {
	awk '{ print $14 + $15 }' "/proc/$(pgrep -x "${thread[$1]}")/stat"
}

median() {
	printf '%s\n' "$@" | sort -n |
		awk '{ v[NR] = $1 } END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# left SYSTEM: pages, by its own counters
left() {
	if [ "$1" = ksm ]; then
		cat $ksm/pages_shared $ksm/pages_unshared $ksm/pages_volatile
	else
		cat $sysfs/pages_shared $sysfs/pages_unshared $sysfs/pages_volatile
	fi | awk '{ sum += $1 } END { print sum }'
}

drop_caches() {
	echo 3 > /proc/sys/vm/drop_caches
	sleep 1	# they are freed a little later
}

# slabs NAME...: pages that they take
slabs() {
	awk -v names="$*" '
		BEGIN { n = split(names, name) }
		{ for (i = 1; i <= n; i++) if ($1 == name[i]) sum += $15 * $6 }
		END { print sum + 0 }' /proc/slabinfo
}

# object NAME: bytes that one of them takes
object() {
	awk -v name="$1" '$1 == name { print $4 }' /proc/slabinfo
}

# index: pages for nodes of radix trees, without the page cache's
index() {
	drop_caches
	awk '$1 == "radix_tree_node" { print int($2 * $6 / $5) }' /proc/slabinfo
}

# metadata SYSTEM: pages that the system takes to merge
metadata() {
	local index
	index=$(($(index) - host[index]))
	if [ "$1" = ksm ]; then
		echo $(($(slabs ksm_rmap_item ksm_stable_node ksm_mm_slot) + index))
		return
	fi
	echo $((($(figure metadata_bytes) -
		 $(figure pages_shared) * $(object khx_merge_stable) -
		 $(figure pages_unshared) * $(object khx_merge_candidate)) / 4096 +
		$(slabs khx_merge_stable khx_merge_candidate) + index))
}

# taken: pages of the test host that are neither free, on its processors' lists too, nor
# caches that it can give up at once
taken() {
	drop_caches
	awk '/^(MemTotal|Shmem):/ { sum += $2 / 4 }
		/^(MemFree|Buffers|Cached):/ { sum -= $2 / 4 }
		$1 == "count:" { sum -= $2 }
		END { print int(sum) }' /proc/meminfo /proc/zoneinfo
}

# used SYSTEM COUNT: pages of memory that the guests really have. KSM's counters leave
# out what came since it last looked, so there the guests' memory is asked.
used() {
	local name
	if [ "$1" = khx ]; then
		left khx
		return
	fi
	for name in $(names "$2"); do
		cat "/proc/$(guest_pid "$name")/smaps"
	done | awk -v size="$((GUEST_MEM * 1024))" '
		/^Size:/ { ram = $2 == size }
		/^Pss:/ && ram { sum += $2 }
		END { print int(sum / 4) }'
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
		sleep 5
		now=$(left "$1")
		[ $((last - now)) -gt $((last / 100)) ] || return 0
	done
}

# scan_at_once SYSTEM SYSFS: until it has merged what there is to merge, whoever waits
scan_at_once() {
	renice -n -20 -p "$(pgrep -x "${thread[$1]}")"
	[ "$1" = ksm ] || echo 100 > $sysfs/cpu_limit
	scan_fast "$2"
	[ "$1" = ksm ] || echo 0 > "$2/sleep_millisecs"
	settled "$1" "$2" || return
	renice -n 5 -p "$(pgrep -x "${thread[$1]}")"
	[ "$1" = ksm ] || echo 10 > $sysfs/cpu_limit
	echo 20 > "$2/sleep_millisecs"
	echo "${defaults[$1]}" > "$2/pages_to_scan"
}

# divide A B
divide() {
	awk -v a="$1" -v b="$2" 'BEGIN { printf "%.3f", b ? a / b : 0 }'
}

# counters SYSTEM: what khx_merge has done so far
counters() {
	[ "$1" = ksm ] || echo "breaks $(figure cow_breaks) merges $(figure pages_merged)" \
		"looks $(figure pages_scanned) passes $(figure full_scans) $(figure state)"
}

# works SYSTEM PASSES: is khx_merge at the speed that is set, and has it ended a pass since
# it had ended so many? Else what was measured is not what it takes.
works() {
	[ "$1" = ksm ] ||
		{ [ "$(figure full_scans)" -gt "$2" ] && [ "$(figure state)" = running ]; }
}

# measure SYSTEM SYSFS COUNT
measure() {
	local system=$1 i rate work faults insns before passes worked
	local alone=() merged=() alone_cpu=() merged_cpu=() left=() kept=() sum=()
	local alone_insns=() merged_insns=()
	for ((i = 1; i <= rounds; i++)); do
		echo 2 > "$2/run"
		sleep 20	# until the guests have faulted on what was undone
		read -r rate work faults insns < <(progress "$3")
		alone+=("$rate") alone_cpu+=("$work") alone_insns+=("$insns")
		tap_diag "$system, $3 guests, round $i, unmerged: $rate rounds a minute," \
			"$work of CPU time, $insns in 10^12 instructions," \
			"$faults faults/s, $SECONDS s" >&3
		scan_at_once "$system" "$2" || return
		# Until what was merged by the way and did not last is broken, and it is as
		# slow as it gets: its pauses double until they are 16 s.
		sleep 60
		before=$(cpu "$system") passes=$(figure full_scans)
		tap_diag "$(counters "$system")" >&3
		read -r rate work faults insns < <(progress "$3")
		before=$(($(cpu "$system") - before)) worked=0
		works "$system" "$passes" || worked=$?
		merged+=("$rate") merged_cpu+=("$work") merged_insns+=("$insns")
		left+=("$(used "$system" "$3")") kept+=("$(metadata "$system")")
		sum+=($((left[-1] + kept[-1])))
		tap_diag "$system, $3 guests, round $i, merged: $rate rounds a minute," \
			"$work of CPU time, $insns in 10^12 instructions," \
			"$faults faults/s, scanner $(divide "$before" "$seconds")% CPU," \
			"${left[-1]} pages left ($(left "$system") by counters)," \
			"${kept[-1]} of metadata, both ${sum[-1]}; the host has lost" \
			"$(($(taken) - host[taken]))," "$(counters "$system"), $SECONDS s" >&3
		[ $worked = 0 ] || {
			echo "the scanner stood still or was slowed"
			return 1
		}
	done
	real[$system$3]=$(median "${sum[@]}")
	ratio[$system$3]=$(divide "$(median "${merged[@]}")" "$(median "${alone[@]}")")
	tap_diag "$system, $3 guests: progress by time ${ratio[$system$3]}, by CPU time" \
		"$(divide "$(median "${merged_cpu[@]}")" "$(median "${alone_cpu[@]}")")," \
		"by instructions" \
		"$(divide "$(median "${merged_insns[@]}")" "$(median "${alone_insns[@]}")")," \
		"pages left $(median "${left[@]}"), metadata $(median "${kept[@]}")," \
		"both ${real[$system$3]}," \
		"$(cat "$2/pages_sharing") sharing $(cat "$2/pages_shared")" >&3
	[ "$(insns)" = 0 ] || ratio[$system$3]=$(divide "$(median "${merged_insns[@]}")" \
		"$(median "${alone_insns[@]}")")
}

# rest SYSTEM SYSFS COUNT: what is left when nothing is written any more. Of what they
# write all the time, each round what was there before, one system may count as
# saved what it merged a moment ago and the next moment will not be.
rest() {
	local name
	for name in $(names "$3"); do
		guest_run "$name" 'touch /tmp/work/pause' || return
	done
	scan_at_once "$1" "$2" || return
	tap_diag "$1, $3 guests at rest: $(used "$1" "$3") pages left," \
		"$(left "$1") by counters, $(metadata "$1") of metadata; the host" \
		"has lost $(($(taken) - host[taken]))" >&3
	for name in $(names "$3"); do
		guest_run "$name" 'rm /tmp/work/pause' || return
	done
}

all_right() {
	local name
	for name in $(names "$1"); do
		guest_run "$name" '[ ! -e /tmp/work/wrong ] ||
			{ cat /tmp/work/wrong; exit 1; }' || return
	done
}

less() {
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a <= b) }'
}

dies() {
	local before
	before=$(in_use)
	guest_kill b
	rm -f "$dir/b"
	tap_wait 5 below $((before - 5000))
}

# run SYSTEM SYSFS COUNT: with guests that have just booted
run() {
	local name
	host[taken]=$(taken) host[index]=$(index)
	claim "$3 guests boot and work, $1" ready "$1" "$3" || tap_bail
	claim "and go on while they are merged" measure "$1" "$2" "$3"
	claim "and at rest" rest "$1" "$2" "$3"
	claim "and compute what is right" all_right "$3"
	[ "$1" = ksm ] || claim "one that dies gives its memory back at once" dies
	echo 0 > "$2/run"
	for name in $(names "$3"); do
		guest_kill "$name"
	done
	[ "$1" = ksm ] || kill "${daemons[@]}"
	daemons=()
	rm -f "$dir"/[bd]
}

compared() {
	tap_run "$1 guests: no more is left than by KSM, metadata included (${real[khx$1]}, ${real[ksm$1]})" \
		less "${real[khx$1]}" "${real[ksm$1]}"
	tap_run "their progress is 0.97 of unmerged (${ratio[khx$1]})" \
		less 0.97 "${ratio[khx$1]}"
	tap_run "and not below that with KSM (${ratio[ksm$1]})" \
		less "${ratio[ksm$1]}" "${ratio[khx$1]}"
}

case $systems in
"khx ksm") of_count=12 ;;
khx) of_count=5 ;;
ksm) of_count=4 ;;
esac
tap_plan $((1 + of_count * $(wc -w <<< "$counts")))
[ -n "$(object khx_merge_stable)" ] && [ -n "$(object ksm_rmap_item)" ] ||
	tap_bail "slabs are merged: boot with slab_nomerge"
tap_run "khxmem is mounted" mount -t khxmem -o size=2g khxmem "$dir" || tap_bail
for name in $(names 4); do
	net_link "${number[$name]}" || tap_bail "no links"
done
echo 1 > $ksm/use_zero_pages
defaults=([khx]=$(figure pages_to_scan) [ksm]=$(cat $ksm/pages_to_scan))
for count in $counts; do
	[ "$systems" = ksm ] || run khx $sysfs "$count"
	[ "$systems" = khx ] || run ksm $ksm "$count"
	[ "$systems" != "khx ksm" ] || compared "$count"
done
umount "$dir"
tap_exit
