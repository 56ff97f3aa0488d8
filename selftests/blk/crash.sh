#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What was flushed is there after owners were killed at random moments: 17 of each
# kind of disk, or KHX_CRASHES.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

rounds=${KHX_CRASHES:-17}
tap_plan 3
blk_null_blk nullb-late irqmode=2 completion_nsec=500000 ||
	tap_bail "no null_blk"
blk_tap "block device, split" crash "$blk_path" "$rounds"
blk_tap "block device, packed" crash "$blk_path" "$rounds" packed
blk_file "$blk_dir/file" 16
blk_tap "file" crash "$blk_path" "$rounds"
tap_exit
