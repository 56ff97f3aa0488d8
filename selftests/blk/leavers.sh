#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Owners that end or become another program leave nothing that works on for others.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

# A flush of a file is done by a thread that may wait.
blk_file "$blk_dir/disk" 64
tap_plan 1
blk_tap "by their end and by execve()" leavers "$blk_path"
tap_exit
