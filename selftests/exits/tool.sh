#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# khx exits and the netlink family behind it, on a guest that never stops: what is
# shown is what debugfs has, for who may see it, and events come when they are due.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

dir=/sys/kernel/debug/khx/exits
PATH=$PATH:$PWD/../../build/tools

tap_need_root
tap_need khx jq setpriv
[ -d "$dir" ] || tap_skip_all "khx_exits is not loaded"
[ -e /dev/kvm ] || modprobe -q kvm_intel 2> /dev/null || modprobe -q kvm_amd
[ -e /dev/kvm ] || tap_skip_all "no /dev/kvm"

work=$(mktemp -d)
nice -n 19 forever &
guest=$!
disown
trap 'kill -9 $guest $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT

vm() {
	find $dir -mindepth 1 -maxdepth 1 -type d -name "$guest-*" -printf '%f\n' |
		grep -m 1 .
}
tap_wait 60 vm || tap_bail "the guest does not show"
vm=$(vm)

# count FILE REASON: of a recording
count() {
	jq --arg reason "$2" '[.[].reasons[] | select(.name == $reason)][0].count // 0' "$1"
}

cpuid=cpuid
[ -d /sys/module/kvm_intel ] && cpuid=CPUID

# Netlink lies between two readings of the file.
file_count() {
	awk -v name=$cpuid '$1 == name { print $2 }' "$dir/$vm/exit_reason"
}

agrees() {
	local before after netlink
	before=$(file_count)
	khx -j exits show "$vm" > "$work/now" || return
	after=$(file_count)
	netlink=$(count "$work/now" $cpuid)
	echo "$before <= $netlink <= $after"
	[ "$before" -le "$netlink" ] && [ "$netlink" -le "$after" ] &&
		[ "$netlink" -gt 0 ]
}

looks_right() {
	khx exits show "$vm" > "$work/text" || return
	cat "$work/text"
	grep -q 'VM-EXIT.*Samples.*Time%.*Min.*Max.*Avg' "$work/text" &&
		grep -q "^ *$cpuid .*us" "$work/text" &&
		grep -q '0x80/1 out' "$work/text"
}

# sorted KEY ARGUMENT...: reasons, most of that first
sorted() {
	khx -j exits show "$vm" "${@:2}" | jq -e --arg key "$1" \
		'[.[0].reasons[][$key]] | length > 1 and . == (sort | reverse)'
}

both_orders() {
	sorted time && sorted time --sort time && sorted count --sort count
}

each_vcpu() {
	khx -j exits show "$vm" vcpus |
		jq -e --arg name "$vm/vcpu0" 'length == 1 and .[0].guest == $name'
}

# The guest has the processor to itself for a while: when it has not, the time it
# waits belongs to the exit for the interrupt that took it away.
hints_at_port() {
	khx exits reset "$vm"
	sleep 3
	khx -j exits show "$vm" |
		jq -e '.[0].hints[] | select(.figure | contains("0x80/1 out"))'
}

rates() {
	khx -i 1 -j exits show "$vm" > "$work/rate" || return
	khx -j exits show "$vm" > "$work/now" || return
	jq -e '.[0].seconds == 1' "$work/rate" &&
		[ "$(count "$work/rate" $cpuid)" -gt 0 ] &&
		[ "$(count "$work/rate" $cpuid)" -lt "$(count "$work/now" $cpuid)" ]
}

# A guest that stands still is reset and stays at nothing.
resets() {
	kill -STOP $guest
	sleep 0.5
	khx exits reset "$vm" && khx -j exits show "$vm" > "$work/reset"
	local status=$?
	kill -CONT $guest
	[ $status = 0 ] && [ "$(count "$work/reset" $cpuid)" = 0 ]
}

stands_still() {
	local before
	before=$(file_count)
	sleep 0.5
	[ "$(file_count)" = "$before" ]
}

compares() {
	khx exits record "$work/1" "$vm" && khx exits record "$work/2" "$vm" &&
		khx exits report "$work/1" &&
		khx -j exits report "$work/1" "$work/2" |
			jq -e ".[] | select(.name == \"$cpuid\") | .change_percent > 0"
}

filtered() {
	khx exits filter 1 && sleep 0.2 && stands_still
	local status=$?
	khx exits filter off || return
	sleep 0.2
	! stands_still && [ $status = 0 ]
}

disabled() {
	khx exits disable && stands_still && [ "$(cat $dir/enable)" = 0 ] &&
		khx exits enable && ! stands_still
}

event() {
	grep -q "\"event\":\"$1\".*\"vm\":\"$vm\"" "$work/events" ||
		jq -e "select(.event == \"$1\" and .vm == \"$vm\")" "$work/events"
}

is_over() {
	khx exits threshold $cpuid off
	khx exits threshold $cpuid 100 && tap_wait 10 event over
}

# monitored COMMAND...: with the events of this time in $work/events.
monitored() {
	local monitor status
	khx -j exits monitor > "$work/events" &
	monitor=$!
	# It listens once it has found the family.
	tap_wait 60 is_over && "$@"
	status=$?
	kill $monitor
	[ $status = 0 ] || cat "$work/events"
	return $status
}

thresholds() {
	local status
	kill -STOP $guest
	tap_wait 60 event under
	status=$?
	kill -CONT $guest
	khx exits threshold | grep -q "^$cpuid *100$" || return
	khx exits threshold $cpuid off || return
	return $status
}

plain_user() {
	setpriv --reuid=65534 --clear-groups --inh-caps=-all \
		--bounding-set=-all "$@"
}

# As perf has it: may see how others' processes run, not what they hold.
perfmon_user() {
	setpriv --reuid=65534 --clear-groups --inh-caps=-all,+perfmon \
		--ambient-caps=-all,+perfmon "$@"
}

private() {
	perfmon_user khx -j exits show "$vm" > "$work/user" || return
	[ "$(count "$work/user" $cpuid)" -gt 0 ] &&
		! jq -e '.[0].tables' "$work/user"
}

ends() {
	khx exits threshold $cpuid off && kill -9 $guest &&
		tap_wait 60 event vm-del
}

tap_plan 21
tap_run "netlink and debugfs agree" agrees
tap_run "a table as of perf kvm stat" looks_right
tap_run "sorted by time or by count" both_orders
tap_run "each vCPU by itself" each_vcpu
tap_run "the busy port is hinted at" tap_wait 30 hints_at_port
tap_run "rates over an interval" rates
tap_run "one VM is reset" resets
tap_run "recordings are compared" compares
tap_run "the filter leaves other processes out" filtered
tap_run "disable and enable" disabled
tap_run "a threshold is exceeded, and kept again" monitored thresholds
tap_run "what guests access is shown to root only" private
tap_fails "others see nothing" plain_user khx exits show
tap_fails "others change nothing: disable" plain_user khx exits disable
tap_fails "others change nothing: reset" plain_user khx exits reset
tap_fails "others change nothing: threshold" \
	plain_user khx exits threshold $cpuid 1
tap_fails "an unknown VM" khx exits show 1-1
tap_fails "a reset of an unknown VM" khx exits reset 1-1
tap_fails "a threshold that is not there" khx exits threshold nothing off
tap_fails "a process that cannot be" khx exits filter 0
tap_run "the end of the guest is an event" monitored ends
tap_exit
