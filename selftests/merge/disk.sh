#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A disk of khx_blk reads and writes guest memory that merges. It is slow, so that it
# holds the memory's pages for long: data comes when they have been held for a while.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../blk/lib.sh"
. "$(dirname "$0")/../lib/modules.sh"

[ -d /sys/kernel/khx_merge ] || tap_skip_all "khx_merge is not loaded"
blk_need
blk_null_blk nullb-merge || tap_skip_all "no null_blk"
sectors=$(blockdev --getsz "$blk_path")
blk_dm khx-slow <<< "0 $sectors delay $blk_path 0 10" ||
	tap_skip_all "no device that delays"
disk "$blk_path"
