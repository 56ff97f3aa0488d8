#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A recipe of Documentation/blk.rst, one image for many disks with a delta each by
# device-mapper: a disk begins as the image, and what is written to it is in no
# other one, nor in the image.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup

# Devices that only differ by a delta of their own in $blk_dir/NAME.
delta() {
	local cow
	blk_file "$blk_dir/$1" 64 &&
		cow=$(losetup --show -f "$blk_path") && blk_later "losetup -d $cow" &&
		blk_dm "khx-$1" \
			<<< "0 $(blockdev --getsz "$base") snapshot $base $cow P 8"
}

sum() {
	sha256sum < "$1"
}

tap_plan 4
blk_file "$blk_dir/base" 64
head -c 64M /dev/urandom > "$blk_path"
base=$(losetup --show -r -f "$blk_path") && blk_later "losetup -d $base"
was=$(sum "$base")
modprobe -q dm-snapshot
delta a && a=$blk_path && delta b && b=$blk_path || tap_bail "no dm-snapshot"
tap_is "$(sum "$a")" "$was" "a delta begins as the image"
blk_tap "it is a disk" requests "$a"
tap_is "$(sum "$b")" "$was" "another one does not see its writes"
tap_is "$(sum "$base")" "$was" "nor does the image"
tap_exit
