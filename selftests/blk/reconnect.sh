#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Front ends whose connection breaks, or whose khx-vhost-user is killed, go on with
# the next one.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
PATH=$PATH:${KHX_TOP:-../..}/build/tools
tap_need khx-vhost-user

tap_plan 4
echo 2 > /proc/sys/vm/nr_hugepages
blk_null_blk nullb-late irqmode=2 completion_nsec=3000000 ||
	tap_bail "no null_blk"
for kind in split packed; do
	blk_tap "$kind" reconnect $kind "$blk_dir/sock" \
		khx-vhost-user --socket "$blk_dir/sock" --blk "$blk_path" --queues 4
done
blk_file "$blk_dir/file" 16
blk_tap "packed, a file" reconnect packed "$blk_dir/sock" \
	khx-vhost-user --socket "$blk_dir/sock" --blk "$blk_path" --queues 4
blk_tap "write-through" reconnect writethrough "$blk_dir/sock" \
	khx-vhost-user --socket "$blk_dir/sock" --blk "$blk_path" --queues 4 \
	--cache writethrough
tap_exit
