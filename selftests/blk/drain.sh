#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Whatever ends a ring drains it, also where completions come late.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../lib/modules.sh"
blk_need

tap_plan 5
blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_tap "at once" drain /dev/nullb-khx
blk_null_blk nullb-late irqmode=2 completion_nsec=5000000
blk_tap "5 ms later" drain /dev/nullb-late
blk_tap "5 ms later, packed" drain /dev/nullb-late packed
blk_file "$blk_dir/file" 64
blk_tap "file" drain "$blk_path"
tap_run "the module goes when all is closed" rmmod khx_blk
khx_module_load khx_blk
tap_exit
