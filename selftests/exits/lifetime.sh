#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Guests are killed at random moments, readers loop over every file, the module
# comes and goes with guests running, and so does KVM's vendor module. What
# could go wrong shows in the kernel log, and with kmemleak on a debug kernel.
# The guests, GUESTS of them, are of a few instructions.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh
. ../lib/modules.sh

dir=/sys/kernel/debug/khx/exits
guests=${GUESTS:-50}

tap_need_root
[ -e /dev/kvm ] || modprobe -q kvm_intel 2> /dev/null || modprobe -q kvm_amd
[ -e /dev/kvm ] || tap_skip_all "no /dev/kvm"
[ -d "$dir" ] || tap_skip_all "khx_exits is not loaded"
khx_module_file khx_exits > /dev/null || modinfo khx_exits > /dev/null 2>&1 ||
	tap_skip_all "khx_exits cannot be loaded from here"

vendor=kvm_amd
[ -d /sys/module/kvm_intel ] && vendor=kvm_intel

readers=()
start_readers() {
	local i
	for i in 1 2; do
		while :; do
			cat $dir/*/* $dir/*/*/*
			echo 1 > $dir/reset
			# An open file keeps the module: leave it a moment.
			sleep 0.2
		done > /dev/null 2>&1 &
		readers+=($!)
	done
}

stop_readers() {
	kill "${readers[@]}" 2> /dev/null
	wait "${readers[@]}" 2> /dev/null
	readers=()
}
trap 'stop_readers; jobs -p | xargs -r kill -9 2> /dev/null' EXIT

vm_dirs() {
	find $dir -mindepth 1 -maxdepth 1 -type d | wc -l
}

no_vm_dirs() {
	[ "$(vm_dirs)" = 0 ]
}

# A reader may have a file open: that is what keeps the module. On a slow kernel
# it takes longer until none has.
unload() {
	tap_wait $((10 * ${KHX_TIME_SCALE:-1})) rmmod khx_exits
}

random_sleep() {
	sleep "0.$(printf '%02d' $((RANDOM % 30)))"
}

pids=()
kill_guests() {
	local i
	trap 'kill -9 "${pids[@]}" 2> /dev/null' EXIT
	for ((i = 0; i < guests; i++)); do
		# Not to be in the way of what ends it.
		nice -n 10 forever > /dev/null 2>&1 &
		pids+=($!)
		random_sleep
		if [ $((i % 10)) = 4 ]; then
			unload || return
			khx_module_load khx_exits || return
		fi
		if [ ${#pids[@]} -ge 3 ]; then
			kill -9 "${pids[0]}"
			wait "${pids[0]}" 2> /dev/null
			pids=("${pids[@]:1}")
		fi
	done
}

exact() {
	counts brief
}

reload_vendor() {
	local i
	for i in 1 2 3; do
		tap_wait 10 rmmod $vendor || return
		modprobe $vendor || return
		exact || return
	done
}

reload_kvm() {
	tap_wait 10 rmmod $vendor kvm || return
	modprobe $vendor || return
	exact
}

load_first() {
	tap_wait 10 rmmod $vendor kvm && unload || return
	khx_module_load khx_exits || return
	grep -q 'attached 0' $dir/status || return
	modprobe $vendor || return
	grep -q 'attached 1' $dir/status || return
	exact
}

tap_plan 8
start_readers
tap_run "$guests guests killed, module reloaded meanwhile" kill_guests
tap_run "their directories go" tap_wait 10 no_vm_dirs
stop_readers
tap_run "$vendor reloaded three times, figures exact" reload_vendor
tap_run "kvm reloaded, too" reload_kvm
tap_run "loaded before kvm" load_first
tap_is "$(awk '$1 == "missed_exits" { print $2 }' $dir/status)" 0 \
	"no exit was missed"
tap_is "$(lsmod | awk '$1 == "kvm" { print $4 }')" "$vendor" \
	"nothing of ours holds kvm"
tap_run "unload" unload
khx_module_load khx_exits
tap_exit
