#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# All 64 queues of a disk are used at once.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

tap_plan 2
blk_null_blk nullb-khx size=16 || tap_bail "no null_blk"
blk_tap "split" queues "$blk_path"
blk_tap "packed" queues "$blk_path" packed
tap_exit
