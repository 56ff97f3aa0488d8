#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A guest whose vCPU gets no memory for its figures: its exits are missed and
# said to be, those of others are not, and it is counted once there is memory.
# The kernel's fault injection, which the debug kernel has, refuses it.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

dir=/sys/kernel/debug/khx/exits
fail=/sys/kernel/debug/fail_page_alloc

tap_need_root
[ -d "$dir" ] || tap_skip_all "khx_exits is not loaded"
[ -d "$fail" ] || tap_skip_all "the kernel has no fault injection"
[ -e /dev/kvm ] || modprobe -q kvm_intel 2> /dev/null || modprobe -q kvm_amd
[ -e /dev/kvm ] || tap_skip_all "no /dev/kvm"

# All allocations of four pages that must not sleep, of processes marked so.
refuse() {
	echo 2 > $fail/min-order
	echo Y > $fail/ignore-gfp-wait
	echo Y > $fail/task-filter
	echo 0 > $fail/verbose
	echo -1 > $fail/times
	echo "$1" > $fail/probability
}

missed() {
	awk '$1 == "missed_exits" { print $2 }' $dir/status
}

missed_more() {
	[ "$(missed)" -gt "$before" ]
}

shown() {
	find $dir -mindepth 1 -type d -name "$guest-*" | grep .
}

before=$(missed)
refuse 100
(
	echo 1 > /proc/self/make-it-fail
	exec nice -n 19 forever
) &
guest=$!
trap 'refuse 0; kill -9 $guest; wait $guest 2> /dev/null' EXIT

tap_plan 4
tap_run "its exits are missed, which is said" tap_wait 60 missed_more
tap_fails "it is not shown" shown
tap_run "others are counted from their first exit on" counts brief
refuse 0
tap_run "it is shown when there is memory" tap_wait 60 shown
tap_exit
