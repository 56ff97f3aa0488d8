#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What a disk did is counted and timed by kind of request, and khx shows it.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
PATH=$PATH:${KHX_TOP:-../..}/build/tools
tap_need khx jq

# ops FILTER: of the one device that there is, as JSON.
ops() {
	khx -j -s dev show | jq -c "[.[] | select(.type == \"blk\")][0].ops$1"
}

# queue_ops FILTER: the same of both its queues.
queue_ops() {
	khx -j -s queue show | jq -c "[.[] | select(.ops) | .ops$1][:2]"
}

tap_plan 11
blk_null_blk nullb-late irqmode=2 completion_nsec=2000000 ||
	tap_bail "no null_blk"
mkfifo "$blk_dir/hold"
disk-io "$blk_path" in 0 in 8 in 16 queue 1 out 0 out 8 flush 0 in 99999999 \
	hold < "$blk_dir/hold" > "$blk_dir/statuses" &
exec 9> "$blk_dir/hold"
tap_run "requests are done" tap_wait 20 grep -q held "$blk_dir/statuses"
tap_is "$(ops .read.requests)" 4 "reads are counted"
tap_is "$(ops .write.requests)" 2 "so are writes"
tap_is "$(ops .flush.requests)" 1 "and flushes"
tap_is "$(ops .read.errors)" 1 "a read beyond the end is an error"
tap_is "$(ops .read.bytes)" 12288 "bytes are those that were read"
tap_is "$(ops '.write.latency | add')" 2 "each write is in the histogram"
tap_run "where it says 1 ms or more" eval \
	'[ "$(ops ".write.latency[20:] | add")" = 2 ]'
tap_is "$(queue_ops .read.requests)" "[3,1]" "each queue counts its own"
tap_is "$(queue_ops '.write.latency | add // 0')" "[0,2]" "and times its own"
tap_is "$(queue_ops '.read.latency[20:] | add // 0')" "[3,0]" \
	"a read that failed at once was fast"
exec 9>&-
wait
tap_exit
