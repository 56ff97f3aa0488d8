#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two guests of one system with their memory in khxmem, by an unmodified QEMU:
#
#	guest a   mem-path=DIRECTORY, prealloc, bound to a node, balloon
#	guest b   mem-path=FILE, free page reporting
#
# Their pages merge, what they compute stays right, and memory comes back. Then
# one with huge=always. That is with KHX_LONG=1; without, guest a has to do. (What
# KSM saves: guest_compare.sh.)

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/memguest.sh"

GUEST_MEM=${GUEST_MEM:-160}
# Linux reports free memory only above 64 MiB of it.
REPORTING_MEM=256
reporting=(-device virtio-balloon-pci,free-page-reporting=on)
long=${KHX_LONG:-}

# real: pages of memory that all files take
real() {
	echo $(($(figure pages_shared) + $(figure pages_unshared) +
		$(figure pages_volatile)))
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

boots() {
	start a "$(khxmem "$dir"),prealloc=on,host-nodes=0,policy=bind" \
		-device virtio-balloon-pci
	[ -z "$long" ] ||
		GUEST_MEM=$REPORTING_MEM start b "$(khxmem "$dir/b")" "${reporting[@]}"
	tap_run "a guest boots (mem-path is a directory, prealloc)" guest_wait a 240
	[ -z "$long" ] ||
		tap_run "a guest boots (mem-path is a file)" guest_wait b 240
}

shares() {
	[ "$(figure pages_sharing)" -gt 500 ] && [ "$(figure zero_pages)" -gt 2000 ]
}

saved() {
	local merged_real
	scan_fast $sysfs
	if [ -n "$long" ]; then
		tap_run "their pages merge" settles $sysfs real
	else
		tap_run "its pages merge" tap_wait 60 shares
	fi
	merged_real=$(real)
	tap_diag "$GUEST_MEM${long:+ and $REPORTING_MEM} MiB take $((merged_real >> 8)) MiB:" \
		"sharing $(figure pages_sharing) shared $(figure pages_shared)" \
		"zero $(figure zero_pages) private $((merged_real -
		$(figure pages_shared))) breaks $(figure cow_breaks)" \
		"cpu $(($(figure cpu_ns) / 1000000)) ms passes $(figure full_scans)"
	tap_run "guest a computes what is right" work a
	[ -z "$long" ] || tap_run "guest b computes what is right" work b
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
}

reports() {
	local before
	# What is free already is reported at once, so something must become free.
	guest_run b modprobe virtio_balloon
	guest_run b dd if=/dev/zero of=/tmp/fill bs=1M count=40 > /dev/null
	before=$(in_use)
	guest_run b rm /tmp/fill
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

leaves_nothing() {
	guest_kill a
	tap_run "without guests there is no memory in use" tap_wait 5 below 1
	tap_run "nothing keeps the mount" umount "$dir"
	echo 0 > $sysfs/run
}

# pages_2m: 2 MiB mappings of all guests
pages_2m() {
	cat /sys/kernel/debug/kvm/pages_2m
}

mapped_huge() {
	[ "$(pages_2m)" -ge $((GUEST_MEM / 2 / 4)) ]
}

fewer_huge() {
	[ "$(figure huge_pages)" -lt "$1" ]
}

# A guest on pages of 2 MiB: KVM maps them so until there is something to merge.
huge() {
	local before
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	tap_run "huge=always is mounted" \
		mount -t khxmem -o size=1g,huge=always khxmem "$dir"
	start c "$(khxmem "$dir")"
	tap_run "a guest boots on pages of 2 MiB" guest_wait c 240
	tap_run "KVM maps them as such ($(pages_2m))" mapped_huge
	before=$(figure huge_pages)
	scan_fast $sysfs
	tap_run "what shares, or is zeros, is split" tap_wait 120 fewer_huge "$before"
	tap_run "the guest computes what is right" work c
	tap_diag "$(figure huge_pages) pages of 2 MiB left, $(pages_2m) mapped," \
		"sharing $(figure pages_sharing)"
	guest_kill c
	tap_run "nothing keeps that mount" umount "$dir"
	echo 0 > $sysfs/run
}

tap_plan "$([ -n "$long" ] && echo 20 || echo 9)"
tap_run "khxmem is mounted" mount -t khxmem -o size=1g khxmem "$dir" || tap_bail
echo 100 > $sysfs/cpu_limit
boots
gives_back
[ -z "$long" ] || reports
saved
unmerged
[ -z "$long" ] || dies
leaves_nothing
[ -z "$long" ] || huge
tap_exit
