#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests of one system with their memory in khxmem, by an unmodified QEMU:
#
#	guest a   mem-path=DIRECTORY, prealloc, bound to a node, balloon
#	guest b   mem-path=FILE, free page reporting
#	guest c   where a is migrated to (not b: what it reported as free may differ)
#	guest d   what c is restored as from a file
#
# Their pages merge, what they compute stays right, and memory comes back. Then
# the same two with anonymous memory and KSM, to compare what is saved.

. "${KHX_LIB:-$(dirname "$0")/../lib}/tap.sh"
. "${KHX_LIB:-$(dirname "$0")/../lib}/guest.sh"

guest_need
tap_need jq
[ -d /sys/kernel/khx_merge ] || tap_skip_all "khx_merge is not loaded"

sysfs=/sys/kernel/khx_merge
ksm=/sys/kernel/mm/ksm
dir=/tmp/khxmem-guests
GUEST_MEM=${GUEST_MEM:-160}
# Its page is written by KVM when the state of a vCPU is loaded.
GUEST_APPEND=no-kvmclock
# Linux reports free memory only above 64 MiB of it.
REPORTING_MEM=256
mkdir -p "$dir"

figure() {
	cat "$sysfs/$1"
}

# in_use: pages the mount holds, a merged one for each of its files
in_use() {
	stat -f -c '%b %f' "$dir" | awk '{ print $1 - $2 }'
}

below() {
	[ "$(in_use)" -lt "$1" ]
}

# real: pages of memory that all files take
real() {
	echo $(($(figure pages_shared) + $(figure pages_unshared) +
		$(figure pages_volatile)))
}

ksm_real() {
	cat $ksm/pages_shared $ksm/pages_unshared $ksm/pages_volatile |
		awk '{ sum += $1 } END { print sum }'
}

passed() {
	[ "$(cat "$1/full_scans")" -ge "$2" ]
}

# settles SYSFS COMMAND: until what it prints is no longer falling, in MiB
settles() {
	local last now
	tap_wait 120 passed "$1" $(($(cat "$1/full_scans") + 3)) || return
	now=$(($("$2") >> 8))
	while true; do
		last=$now
		sleep 12
		now=$(($("$2") >> 8))
		[ $((last - now)) -gt 1 ] || return 0
	done
}

# scan_fast SYSFS: at full speed
scan_fast() {
	echo 20000 > "$1/pages_to_scan"
	echo 20 > "$1/sleep_millisecs"
	echo 1 > "$1/run"
}

# start NAME MEMORY-BACKEND QEMU-ARGUMENTS...
start() {
	local name=$1 backend=$2
	shift 2
	GUEST_MACHINE=q35,memory-backend=mem guest_start "$name" \
		-object "$backend,id=mem,size=${GUEST_MEM}M" "$@"
}

# khxmem PATH: a backend there
khxmem() {
	echo "memory-backend-file,share=on,align=2M,mem-path=$1"
}

# claim NAME COMMAND...: as tap_run, but in this shell, which has the guests
claim() {
	local name=$1 status=0
	shift
	"$@" > "$GUEST_DIR/claim" 2>&1 || status=$?
	tap_ok $status "$name" && return
	tap_diag "exit status $status: $*"
	tap_diag "$(tail -n 30 "$GUEST_DIR/claim")"
	return 1
}

reporting=(-device virtio-balloon-pci,free-page-reporting=on)

# work NAME: make, copy and check files
work() {
	GUEST_TIMEOUT=120 guest_run "$1" 'mkdir -p /tmp/work; cd /tmp/work
		for i in 1 2 3; do
			dd if=/dev/urandom of=a bs=1024 count=1024 2>/dev/null
			cp a b && cmp a b || exit 1
			rm a b
		done'
}

# work_on NAME, worked NAME: the same without end, and whether it was right
work_on() {
	guest_run "$1" 'mkdir -p /tmp/long; cd /tmp/long; rm -f stop wrong rounds
		setsid sh -c "
			dd if=/dev/urandom of=a bs=1024 count=1024
			while [ ! -e stop ]; do
				cp a b && cmp a b || echo wrong >> wrong
				echo >> rounds
			done" > /dev/null 2>&1 < /dev/null &'
}

worked() {
	guest_run "$1" 'cd /tmp/long; n=$(wc -l < rounds); sleep 3
		[ "$(wc -l < rounds)" -gt "$n" ] && touch stop && [ ! -e wrong ]'
}

boots() {
	start a "$(khxmem "$dir"),prealloc=on,host-nodes=0,policy=bind" \
		-device virtio-balloon-pci
	GUEST_MEM=$REPORTING_MEM start b "$(khxmem "$dir/b")" "${reporting[@]}"
	tap_run "a guest boots (mem-path is a directory, prealloc)" guest_wait a 240
	tap_run "a guest boots (mem-path is a file)" guest_wait b 240
}

saved() {
	local merged_real
	scan_fast $sysfs
	tap_run "their pages merge" settles $sysfs real
	merged_real=$(real)
	tap_diag "guests of $GUEST_MEM and $REPORTING_MEM MiB take $((merged_real >> 8)) MiB:" \
		"sharing $(figure pages_sharing) shared $(figure pages_shared)" \
		"zero $(figure zero_pages) private $((merged_real -
		$(figure pages_shared))) breaks $(figure cow_breaks)" \
		"cpu $(($(figure cpu_ns) / 1000000)) ms passes $(figure full_scans)"
	tap_run "guest a computes what is right" work a
	tap_run "guest b computes what is right" work b
	echo "$merged_real" > "$GUEST_DIR/khx-real"
}

unmerged() {
	tap_run "all is unmerged while they run" sh -c "echo 2 > $sysfs/run"
	tap_is "$(figure pages_sharing)" 0 "nothing is shared then"
	scan_fast $sysfs
}

# Guest a has all its memory from the start, so what the balloon takes shows.
gives_back() {
	local before
	before=$(in_use)
	guest_run a modprobe virtio_balloon
	guest_qmp a balloon "{\"value\": $(((GUEST_MEM - 40) << 20))}" > /dev/null
	tap_run "a balloon gives memory back" tap_wait 60 below $((before - 8000))
	guest_qmp a balloon "{\"value\": $((GUEST_MEM << 20))}" > /dev/null

	guest_run b modprobe virtio_balloon
	guest_run b 'dd if=/dev/zero of=/tmp/fill bs=1M count=40; rm /tmp/fill' \
		> /dev/null
	before=$(in_use)
	tap_run "and so does free page reporting" tap_wait 60 \
		below $((before - 5000))
}

dies() {
	local before
	before=$(in_use)
	guest_kill b
	rm -f "$dir/b"
	tap_run "a guest that dies gives its memory back at once" tap_wait 5 \
		below $((before - 5000))
	tap_run "the other one is well" work a
}

# c, in khxmem too, goes on where a was
migrates() {
	start c "$(khxmem "$dir")" -device virtio-balloon-pci -S \
		-incoming "unix:$GUEST_DIR/socket" || return
	guest_qmp a migrate "{\"uri\": \"unix:$GUEST_DIR/socket\"}" > /dev/null ||
		return
	tap_wait 120 guest_is_migrated a && tap_wait 30 guest_is_loaded c &&
		guest_same_memory a c || return
	guest_kill a
	guest_qmp c cont > /dev/null
	worked c
}

saves() {
	guest_qmp c stop > /dev/null
	guest_qmp c migrate "{\"uri\": \"exec:cat > $GUEST_DIR/saved\"}" > /dev/null &&
		tap_wait 120 guest_is_migrated c
}

restores() {
	start d "$(khxmem "$dir")" -device virtio-balloon-pci -S \
		-incoming "exec:cat $GUEST_DIR/saved" || return
	tap_wait 120 guest_is_loaded d && guest_same_memory c d || return
	guest_kill c
	guest_qmp d cont > /dev/null
	worked d
}

is_dumped() {
	guest_qmp d query-dump | grep -q '"status": "completed"'
}

dumps() {
	guest_qmp d dump-guest-memory "{\"paging\": false, \"detach\": true,
		\"protocol\": \"file:$GUEST_DIR/dump\"}" > /dev/null || return
	tap_wait 120 is_dumped &&
		[ "$(stat -c %s "$GUEST_DIR/dump")" -ge $((GUEST_MEM << 20)) ] &&
		rm "$GUEST_DIR/dump"
}

moves() {
	work_on a
	claim "a guest is migrated, every byte, and works on" migrates || tap_bail
	work_on c
	claim "it is saved to a file" saves || tap_bail
	claim "and restored from it, every byte, and works on" restores || tap_bail
	claim "its memory is dumped" dumps
	tap_run "it is well" work d
}

leaves_nothing() {
	guest_kill d
	tap_run "without guests there is no memory in use" tap_wait 5 below 1
	echo 0 > $sysfs/run
	tap_run "nothing keeps the mount" umount "$dir"
}

# Zeros as KSM's zero page, so that both give zero pages back.
compare_ksm() {
	local khx_real
	khx_real=$(cat "$GUEST_DIR/khx-real")
	[ -d $ksm ] || { tap_skip "no KSM" "khx_merge saves as much as KSM"; return; }
	echo 1 > $ksm/use_zero_pages
	start a "memory-backend-ram,merge=on,prealloc=on" -device virtio-balloon-pci
	GUEST_MEM=$REPORTING_MEM start b "memory-backend-ram,merge=on" \
		"${reporting[@]}"
	guest_wait a 240 && guest_wait b 240 || tap_bail "no guests for KSM"
	scan_fast $ksm
	settles $ksm ksm_real
	tap_diag "KSM: $(($(ksm_real) >> 8)) MiB," \
		"sharing $(cat $ksm/pages_sharing) shared $(cat $ksm/pages_shared)"
	tap_ok "$([ "$khx_real" -le $(($(ksm_real) * 105 / 100)) ]; echo $?)" \
		"khx_merge saves as much as KSM ($khx_real and $(ksm_real) pages left)"
	echo 0 > $ksm/run
}

tap_plan 20
tap_run "khxmem is mounted" mount -t khxmem -o size=1g khxmem "$dir" || tap_bail
echo 100 > $sysfs/cpu_limit
boots
gives_back
saved
unmerged
dies
moves
leaves_nothing
compare_ksm
tap_exit
