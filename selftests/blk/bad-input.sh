#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Hostile drivers and owners get errors, and harm nobody.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

tap_plan 3
blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_tap "block device, split" bad-input /dev/nullb-khx
blk_tap "block device, packed" bad-input /dev/nullb-khx packed
blk_file "$blk_dir/file" 64
blk_tap "file" bad-input "$blk_path"
tap_exit
