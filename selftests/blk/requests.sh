#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Every type of request does what virtio says, on every kind of backend.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

tap_plan 13

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

blk_file "$blk_dir/loop.img" 64
loop=$(losetup --show -f "$blk_path") && blk_later "losetup -d $loop"
blk_tap "loop device" requests "$loop"
tap_exit
