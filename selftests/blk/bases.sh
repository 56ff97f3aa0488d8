#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whoever comes after an owner finds where its rings have stopped.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

tap_plan 2
blk_null_blk nullb-late irqmode=2 completion_nsec=500000 ||
	tap_bail "no null_blk"
blk_tap "split" bases "$blk_path"
blk_tap "packed" bases "$blk_path" packed
tap_exit
