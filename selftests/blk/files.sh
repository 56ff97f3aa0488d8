#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Swap space, files of FUSE and others that are no disks, or not for everybody.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need mkswap

modprobe -q fuse
blk_null_blk nullb-khx size=16 || tap_bail "no null_blk"
blk_mount ext4 32 || tap_bail "no ext4"
head -c 4M /dev/zero > "$blk_path/swap"
chmod 600 "$blk_path/swap"
mkswap -q "$blk_path/swap" && mkswap -q /dev/nullb-khx || tap_bail "no swap space"
swap=$blk_path/swap
blk_null_blk nullb-slow size=64 irqmode=2 completion_nsec=20000000 &&
	mkfs.ext4 -q -E nodiscard /dev/nullb-slow && mkdir "$blk_dir/slow" &&
	mount /dev/nullb-slow "$blk_dir/slow" || tap_bail "no slow disk"
blk_later "umount $blk_dir/slow"
head -c 8M /dev/zero > "$blk_dir/slow/disk"
files /dev/nullb-khx "$swap" "$blk_dir/slow/disk"
