#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What was said to be stable is there wherever the power fails: FLUSH and
# write-through reach a device with a write cache, on time.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup
modprobe -q dm-log-writes || tap_skip_all "no dm-log-writes"

# A disk, in $blk_path, below which all writes are logged to /dev/nullb-log.
start_log() {
	blk_dm khx-log \
		<<< "0 $(blockdev --getsz /dev/nullb-khx) log-writes /dev/nullb-khx /dev/nullb-log"
}

# is_stable NAME PATH OPTION...: the log is complete when its device is gone.
is_stable() {
	local name=$1 status=0
	power write "${@:2}" || status=$?
	! mountpoint -q "$blk_dir/fs" || umount "$blk_dir/fs" || status=1
	dmsetup --noudevsync remove khx-log || status=1
	if [ $status != 0 ]; then
		tap_ok 1 "$name"
		return
	fi
	blk_tap "$name" power check /dev/nullb-log
}

# A file system on a disk with a log; a file of it is in $blk_path.
start_log_below() {
	start_log && "mkfs.$1" -q "$blk_path" > /dev/null 2>&1 &&
		mkdir -p "$blk_dir/fs" && mount "$blk_path" "$blk_dir/fs" &&
		blk_file "$blk_dir/fs/disk" 16
}

tap_plan 7
blk_null_blk nullb-khx cache_size=4 && blk_null_blk nullb-log ||
	tap_bail "no null_blk"
tap_is "$(cat /sys/block/nullb-khx/queue/write_cache)" "write back" \
	"the device has a write cache"
blk_later "umount $blk_dir/fs"
start_log || tap_bail "no dm-log-writes"
is_stable "flushed" "$blk_path"
start_log
is_stable "flushed, packed" "$blk_path" packed
start_log
is_stable "written through" "$blk_path" through
start_log_below ext4
is_stable "a file, flushed" "$blk_path"
start_log_below ext4
is_stable "a file, written through" "$blk_path" through
start_log_below ext4
is_stable "a file, direct, flushed" "$blk_path" direct
tap_exit
