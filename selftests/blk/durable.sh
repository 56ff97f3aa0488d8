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
	issued_by disk-io /dev/nullb-khx "$@"
}

issued_by() {
	echo > /sys/kernel/tracing/trace
	echo 1 > $events/enable
	"$@" > "$blk_dir/statuses"
	echo 0 > $events/enable
	sed -n "s/.*block_rq_issue: $number \([A-Z]*\) .*/\1/p" \
		/sys/kernel/tracing/trace | xargs
}

tap_plan 9
blk_null_blk nullb-khx cache_size=4 || tap_bail "no null_blk"
number=$(lsblk -dno MAJ:MIN /dev/nullb-khx | tr -d ' ' | tr : ,)
[ -d $events ] || mount -t tracefs none /sys/kernel/tracing ||
	tap_bail "no trace points"
tap_is "$(cat /sys/block/nullb-khx/queue/write_cache)" "write back" \
	"the device has a write cache"
tap_is "$(issued out 0)" WS "a write is no more than that"
tap_is "$(issued out 0 flush 0)" "WS FF" "a flush follows it to the device"
tap_is "$(issued through out 0)" WFS "a write that is to be stable says so"
tap_is "$(issued noflush out 0)" WFS "so does one of who cannot flush"
tap_is "$(issued wce 0 out 0 flush 0 wce 1 out 0 | xargs)" "WFS FF WS" \
	"and who says so does without a cache, and has it again"
tap_is "$(xargs < "$blk_dir/statuses")" "0 0 0 0 0" "without an error"

# As a front end of khx-vhost-user.
PATH=$PATH:${KHX_TOP:-../..}/build/tools
khx-vhost-user --socket "$blk_dir/sock" --blk /dev/nullb-khx 2> "$blk_dir/log" &
blk_later "kill $!"
tap_wait 10 test -S "$blk_dir/sock"
tap_is "$(issued_by front-io "$blk_dir/sock" out 0 wce 0 out 0)" "WS WFS" \
	"a front end sets it, too"
tap_is "$(xargs < "$blk_dir/statuses")" "0 0 0" "and is told so"
sed 's/^/# log: /' "$blk_dir/log" | head -n 20
tap_exit
