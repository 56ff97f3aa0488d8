#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What was flushed is there after khx-vhost-user or its front end was killed at
# a random moment, 16 times in all, or 200 times (KHX_LONG=1).

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
PATH=$PATH:${KHX_TOP:-../..}/build/tools
tap_need khx-vhost-user

rounds=${KHX_CRASHES:-$([ -n "${KHX_LONG:-}" ] && echo 50 || echo 4)}
tap_plan 4
blk_null_blk nullb-late irqmode=2 completion_nsec=500000 ||
	tap_bail "no null_blk"
device=$blk_path
blk_file "$blk_dir/file" 16
for disk in "$device" "$blk_path"; do
	for who in back front; do
		blk_tap "${disk##*/}, $who end" bridge-crash $who "$rounds" "$blk_dir/sock" \
			khx-vhost-user --socket "$blk_dir/sock" --blk "$disk"
	done
done
tap_exit
