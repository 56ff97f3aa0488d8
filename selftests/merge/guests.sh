#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Two guests of one system with their memory in khxmem, by an unmodified QEMU:
#
#	guest a   mem-path=DIRECTORY, prealloc
#	guest b   mem-path=FILE, free page reporting
#
# Their pages merge, what they compute stays right, and memory comes back.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/guest.sh"

guest_need
[ -d /sys/kernel/khx_merge ] || tap_skip_all "khx_merge is not loaded"
tap_plan 12

sysfs=/sys/kernel/khx_merge
dir=/tmp/khxmem-guests
mkdir -p "$dir"

figure() {
	cat "$sysfs/$1"
}

# in_use: pages the mount holds
in_use() {
	stat -f -c '%b %f' "$dir" | awk '{ print $1 - $2 }'
}

# wait_until SECONDS COMMAND...
wait_until() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		[ $SECONDS -lt $end ] || return 1
		sleep 1
	done
}

# memory PATH MORE: QEMU arguments
start_guest() {
	local name=$1 path=$2 more=$3
	shift 3
	GUEST_MEM=256 GUEST_MACHINE=q35,memory-backend=mem guest_start "$name" \
		-object "memory-backend-file,id=mem,size=256M,share=on,align=2M,mem-path=$path$more" \
		"$@"
}

# work NAME: make, copy and check 4 MiB of files, three times
work() {
	guest_run "$1" 'mkdir -p /tmp; cd /tmp
		for i in 1 2 3; do
			dd if=/dev/urandom of=a bs=1024 count=4096 2>/dev/null
			cp a b && cmp a b || exit 1
			rm a b
		done'
}

saves() {
	[ $(($(figure pages_sharing) + $(figure zero_pages))) -gt "$1" ]
}

tap_run "khxmem is mounted" mount -t khxmem -o size=1g khxmem "$dir" || tap_bail
echo 20000 > $sysfs/pages_to_scan
echo 100 > $sysfs/cpu_limit
start_guest a "$dir" ,prealloc=on
start_guest b "$dir/b" "" -device virtio-balloon-pci,free-page-reporting=on
tap_run "a guest boots (mem-path is a directory, prealloc)" guest_wait a
tap_run "a guest boots (mem-path is a file)" guest_wait b
echo 1 > $sysfs/run
tap_run "their pages merge" wait_until 90 saves 15000
tap_diag "sharing $(figure pages_sharing) shared $(figure pages_shared)" \
	"zero $(figure zero_pages) private $(($(figure pages_volatile) +
	$(figure pages_unshared))) breaks $(figure cow_breaks)"
tap_run "guest a computes what is right" work a
tap_run "guest b computes what is right" work b
tap_run "all is unmerged while they run" sh -c "echo 2 > $sysfs/run"
tap_is "$(figure pages_sharing)" 0 "nothing is shared then"
echo 1 > $sysfs/run
tap_run "and merged again" wait_until 90 saves 15000

before=$(in_use)
guest_kill a
wait_until 5 [ "$(in_use)" -lt "$before" ]
tap_ok "$([ $((before - $(in_use))) -gt 1000 ]; echo $?)" \
	"a guest that dies gives its memory back at once"
tap_run "the other one is well" work b
guest_kill b
rm -f "$dir/b"
echo 0 > $sysfs/run
tap_run "nothing keeps the mount" umount "$dir"
tap_exit
