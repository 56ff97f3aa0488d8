#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A guest can be moved: what its disk writes into memory is in the dirty log.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

tap_plan 7
blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_tap "block device, split" dirty-log /dev/nullb-khx
blk_null_blk nullb-late irqmode=2 completion_nsec=2000000
blk_tap "one that answers later, split" dirty-log /dev/nullb-late
blk_tap "one that answers later, packed" dirty-log /dev/nullb-late packed
blk_null_blk nullb-latest irqmode=2 completion_nsec=3000000000
blk_tap "memory that goes while it is read to, split" dirty-log /dev/nullb-latest late
blk_tap "memory that goes while it is read to, packed" \
	dirty-log /dev/nullb-latest packed late
blk_file "$blk_dir/tmpfs" 64
blk_tap "file" dirty-log "$blk_path"
if command -v mkfs.ext4 > /dev/null && blk_mount ext4 200; then
	blk_file "$blk_path/disk" 64
	blk_tap "file, direct, packed" dirty-log "$blk_path" direct packed
else
	tap_skip "no ext4" "file, direct, packed"
fi
tap_exit
