#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a driver is told of the device, in the configuration space.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

tap_plan 2
blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_tap "blocks of 512 bytes" config "$blk_path"
blk_null_blk nullb-4k blocksize=4096 || tap_bail "no blocks of 4 KiB"
blk_tap "blocks of 4 KiB" config "$blk_path"
tap_exit
