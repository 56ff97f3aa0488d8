#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# One in ten allocations of the scanner fails, while everything goes on at once.

. "$(dirname "$0")/../lib/tap.sh"

tap_need_root
debug=/sys/kernel/debug
times=1000000
mountpoint -q $debug || mount -t debugfs none $debug || tap_bail "no debugfs"
[ -d $debug/failslab ] && [ -d $debug/fail_page_alloc ] ||
	tap_skip_all "this kernel injects no faults"
scanner=$(pgrep -x khx_merged) || tap_skip_all "khx_merge is not loaded"
trap 'echo 0 > /proc/$scanner/make-it-fail
	echo 0 | tee $debug/fail{slab,_page_alloc}/probability > /dev/null' EXIT

# fail KIND: those of tasks that are to fail, and may not wait
fail() {
	echo Y > "$debug/$1/task-filter"
	echo Y > "$debug/$1/ignore-gfp-wait"
	echo 0 > "$debug/$1/verbose"
	echo 0 > "$debug/$1/space"
	echo 1 > "$debug/$1/interval"
	echo $times > "$debug/$1/times"
	echo 10 > "$debug/$1/probability"
}

# failed KIND: how many did
failed() {
	echo $((times - $(cat "$debug/$1/times")))
}

tap_plan 3
fail failslab
fail fail_page_alloc
echo 0 > $debug/fail_page_alloc/min-order
echo N > $debug/fail_page_alloc/ignore-gfp-highmem
echo 1 > "/proc/$scanner/make-it-fail"
tap_run "the scanner lacks memory, and no byte is wrong" torture 20 starved
for kind in failslab fail_page_alloc; do
	tap_ok "$([ "$(failed $kind)" -gt 10 ]; echo $?)" \
		"$kind: $(failed $kind) allocations failed"
done
tap_exit
