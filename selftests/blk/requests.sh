#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every type of request does what virtio says, on every kind of backend.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

tap_plan 11

blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_tap "null_blk, split" requests /dev/nullb-khx
blk_tap "null_blk, packed" requests /dev/nullb-khx packed

blk_null_blk nullb-timer irqmode=2 completion_nsec=100000
blk_tap "null_blk that completes later" requests /dev/nullb-timer

blk_file "$blk_dir/tmpfs" 64
blk_tap "file on tmpfs" requests "$blk_path"

for fs in ext4 xfs; do
	if ! command -v mkfs.$fs > /dev/null || ! blk_mount $fs 400; then
		tap_skip "no $fs" "file on $fs"
		tap_skip "no $fs" "file on $fs, direct"
		tap_skip "no $fs" "file on $fs, direct, packed"
		continue
	fi
	blk_file "$blk_path/disk" 64
	blk_tap "file on $fs" requests "$blk_path"
	blk_tap "file on $fs, direct" requests "$blk_path" direct
	blk_tap "file on $fs, direct, packed" requests "$blk_path" direct packed
done

blk_file "$blk_dir/loop.img" 64
loop=$(losetup --show -f "$blk_path") && blk_later "losetup -d $loop"
blk_tap "loop device" requests "$loop"
tap_exit
