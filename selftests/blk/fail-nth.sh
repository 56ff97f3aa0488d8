#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Allocations fail, one a run: failslab, fail_page_alloc and fail_usercopy.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
[ -e /proc/self/fail-nth ] || tap_skip_all "this kernel injects no faults"
mountpoint -q /sys/kernel/debug || mount -t debugfs none /sys/kernel/debug ||
	tap_bail "no debugfs"

# Each is a run of half a second there, and there are hundreds.
runs=15
[ -z "${KHX_LONG:-}" ] || runs=100000

tap_plan 2
blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_tap "block device" fail-nth "$blk_path" "$runs"
blk_file "$blk_dir/file" 64
blk_tap "file" fail-nth "$blk_path" "$runs"
tap_exit
