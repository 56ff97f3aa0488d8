#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# FLUSH arrives at a device with a write cache, and so does write-through.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

events=/sys/kernel/tracing/events/block/block_rq_issue

# issued DISK-IO-ARGUMENTS...: how the device was told to do it, one letter a
# kind, as the block layer's trace points have it.
issued() {
	echo > /sys/kernel/tracing/trace
	echo 1 > $events/enable
	disk-io /dev/nullb-khx "$@" > /dev/null
	echo 0 > $events/enable
	sed -n "s/.*block_rq_issue: $number \([A-Z]*\) .*/\1/p" \
		/sys/kernel/tracing/trace | xargs
}

tap_plan 4
blk_null_blk nullb-khx cache_size=4 || tap_bail "no null_blk"
number=$(lsblk -dno MAJ:MIN /dev/nullb-khx | tr -d ' ' | tr : ,)
[ -d $events ] || mount -t tracefs none /sys/kernel/tracing ||
	tap_bail "no trace points"
tap_is "$(cat /sys/block/nullb-khx/queue/write_cache)" "write back" \
	"the device has a write cache"
tap_is "$(issued out 0)" WS "a write is no more than that"
tap_is "$(issued out 0 flush 0)" "WS FF" "a flush follows it to the device"
tap_is "$(issued through out 0)" WFS "a write that is to be stable says so"
tap_exit
