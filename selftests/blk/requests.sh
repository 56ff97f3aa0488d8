#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every type of request does what virtio says, on every kind of backend.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

# A row is hundreds of requests: slow kernels do without those in `more`.
few=
[ "${KHX_TIME_SCALE:-1}" = 1 ] || [ -n "${KHX_LONG:-}" ] || few=1

more() {
	[ -n "$few" ] || "$@"
}

tap_plan $((few ? 7 : 14))

blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_tap "null_blk, split" requests /dev/nullb-khx
blk_tap "null_blk, packed" requests /dev/nullb-khx packed

blk_null_blk nullb-timer irqmode=2 completion_nsec=100000
more blk_tap "null_blk that completes later" requests /dev/nullb-timer

blk_null_blk nullb-short && echo 8 > /sys/block/nullb-short/queue/max_sectors_kb ||
	tap_bail "no null_blk"
blk_tap "null_blk that takes 8 KiB at a time" requests /dev/nullb-short

blk_file "$blk_dir/tmpfs" 64
more blk_tap "file on tmpfs" requests "$blk_path"

# on_fs FS: files on such a file system.
on_fs() {
	if ! command -v mkfs."$1" > /dev/null || ! blk_mount "$1" 400; then
		tap_skip "no $1" "file on $1"
		more tap_skip "no $1" "file on $1, direct"
		tap_skip "no $1" "file on $1, direct, packed"
		return
	fi
	blk_file "$blk_path/disk" 64
	blk_tap "file on $1" requests "$blk_path"
	more blk_tap "file on $1, direct" requests "$blk_path" direct
	blk_tap "file on $1, direct, packed" requests "$blk_path" direct packed
}

on_fs ext4
more on_fs xfs

# On another file system, to which it has to give back every right to write.
over=$blk_dir/ext4/over
if mkdir -p "$over"/{lower,upper,work,all} 2> /dev/null &&
		mountpoint -q "$blk_dir/ext4" && mount -t overlay overlay \
		-o "lowerdir=$over/lower,upperdir=$over/upper,workdir=$over/work" "$over/all"; then
	blk_later "umount $over/all"
	blk_file "$over/all/disk" 64
	blk_tap "file on an overlay, direct" requests "$blk_path" direct
	tap_run "below which one can freeze" eval \
		"timeout 20 fsfreeze -f $blk_dir/ext4 && fsfreeze -u $blk_dir/ext4"
else
	tap_skip "no overlay" "file on an overlay, direct"
	tap_skip "no overlay" "below which one can freeze"
fi

# Where there is one, in a file system that has all that a loop device asks for: newer
# ones do not ask again, and write zeros.
image=$blk_dir/loop.img
! mountpoint -q "$blk_dir/ext4" || image=$blk_dir/ext4/loop.img
blk_file "$image" 64
loop=$(losetup --show -f "$blk_path") && blk_later "losetup -d $loop"
more blk_tap "loop device" requests "$loop" on "$image"
tap_exit
