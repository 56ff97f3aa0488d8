#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Storage that fails: exactly the requests it concerns fail, nothing else.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup

# rw PATH TYPE SECTOR: the status of one request of 4 KiB.
rw() {
	disk-io "$@"
}

tap_plan 9
blk_null_blk nullb-khx || tap_bail "no null_blk"
sectors=$(blockdev --getsz /dev/nullb-khx)
blk_dm khx-bad <<- EOT || tap_bail "no device mapper"
	0 1024 linear /dev/nullb-khx 0
	1024 1024 error
	2048 $((sectors - 2048)) linear /dev/nullb-khx 2048
EOT
bad=$blk_path
tap_is "$(rw $bad in 0)" 0 "sectors before the bad ones can be read"
tap_is "$(rw $bad in 1024)" 1 "bad ones cannot"
tap_is "$(rw $bad out 2040)" 1 "nor be written"
tap_is "$(rw $bad in 1020)" 1 "a request that touches one fails"
tap_is "$(rw $bad out 2048)" 0 "sectors behind can be written"

modprobe -q dm-flakey
if blk_dm khx-flakey <<< "0 $sectors flakey /dev/nullb-khx 0 0 1 1 error_writes"; then
	tap_is "$(rw "$blk_path" out 0 in 0 | xargs)" "1 0" \
		"a device that takes no more writes can be read"
else
	tap_skip "no dm-flakey" "a device that takes no more writes can be read"
fi

mkdir "$blk_dir/small"
mount -t tmpfs -o size=1m none "$blk_dir/small" &&
	blk_later "umount $blk_dir/small"
blk_file "$blk_dir/small/disk" 64
head -c 1M /dev/zero > "$blk_dir/small/fill" 2> /dev/null
tap_is "$(rw "$blk_path" out 4096)" 1 "a full file system fails writes"
tap_is "$(rw "$blk_path" in 4096)" 0 "and not reads"
rm "$blk_dir/small/fill"
tap_is "$(rw "$blk_path" out 4096)" 0 "and goes on when there is room"
tap_exit
