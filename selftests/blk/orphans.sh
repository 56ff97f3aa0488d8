#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Requests of an owner who is killed are finished, by others than his threads.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup mkfs.ext4

dm() {
	echo "dmsetup --noudevsync $* khx-held"
}

blk_null_blk nullb-khx size=192 irqmode=2 completion_nsec=5000000 || tap_bail "no null_blk"
sectors=$(blockdev --getsz "$blk_path")
blk_dm khx-held <<< "0 $sectors linear $blk_path 0" &&
	mkfs.ext4 -q -E nodiscard "$blk_path" && mkdir "$blk_dir/fs" &&
	mount "$blk_path" "$blk_dir/fs" || tap_bail "no device mapper, or no ext4"
blk_later "umount $blk_dir/fs"
blk_later "$(dm resume)"
orphans "$blk_dir/fs/disk" "$(dm suspend --nolockfs)" "$(dm resume)"
