#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A real guest under load: our figures are those of KVM's own counters and, as
# far as it sees all exits, of perf kvm stat.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh
. ../lib/guest.sh

dir=/sys/kernel/debug/khx/exits

tap_need_root
guest_need
[ -d "$dir" ] || tap_skip_all "khx_exits is not loaded"

work=$GUEST_DIR
sum() {
	awk '!/^#/ { sum += $2 } END { print sum + 0 }' "$dir/$vm/exit_reason"
}

reentries() {
	sed -n 's/^# entries without a traced exit: //p' "$dir/$vm/exit_reason"
}

# ours REASON-ON-AMD REASON-ON-INTEL
ours() {
	awk -v svm="$1" -v vmx="$2" '$1 == svm || $1 == vmx { print $2; exit }' \
		"$dir/$vm/exit_reason"
}

kvm() {
	cat "/sys/kernel/debug/kvm/$vm/$1"
}

# Something of everything: computing, memory, sleeping, the serial port.
load() {
	guest_run g "for i in 1 2 3 4 5; do
		dd if=/dev/zero of=/tmp/x bs=1M count=20
		sleep 0.1; dmesg | head -n 20 > /dev/ttyS0
	done 2> /dev/null; rm -f /tmp/x" > /dev/null
}

# Both are read while the guest stands still.
compare_all() {
	local ours kvm
	ours=$(($(sum) + $(reentries)))
	kvm=$(kvm exits)
	tap_diag "exits: khx $(sum) + $(reentries) re-entries, kvm $kvm;" \
		"$(grep missed_exits $dir/status)"
	# One of some ninety thousand was seen to differ: allow one a vCPU.
	[ $((kvm - ours)) -ge 0 ] && [ $((kvm - ours)) -le 2 ]
	tap_ok $? "as many exits as KVM counted, but for one a vCPU"
	tap_is "$(ours hlt HLT)" "$(kvm halt_exits)" "as many halts"
	tap_is "$(ours io IO_INSTRUCTION)" "$(kvm io_exits)" "as many I/O exits"
}

compare_halts() {
	local halts
	halts=$(awk '$1 == "polled" || $1 == "blocked" { sum += $2 } END { print sum + 0 }' \
		"$dir/$vm/halt")
	tap_diag "$(cat "$dir/$vm/halt")"
	tap_diag "kvm: $(kvm halt_exits) halts, $(kvm halt_successful_poll) polled"
	[ "$halts" -gt 0 ] && [ "$halts" -le "$(kvm halt_exits)" ]
	tap_ok $? "outcomes of no more halts than there were"
}

vcpus_add_up() {
	local parts
	parts=$(cat $dir/"$vm"/vcpu*/exit_reason |
		awk '!/^#/ { sum += $2 } END { print sum + 0 }')
	tap_is "$parts" "$(sum)" "the vCPUs add up to the VM"
	tap_is "$(find $dir/"$vm" -name 'vcpu*' | wc -l)" 2 "there are two of them"
}

# As long as the file is not there. By then perf has begun; on a slow machine that
# takes a while.
record_until() {
	perf kvm stat record -a -o "$work/perf.data" sh -c \
		"touch $work/begun; until [ -e $1 ]; do sleep 0.1; done" \
		> "$work/perf.log" 2>&1
}

# perf sees an exit only together with the entry that follows.
compare_perf() {
	local perf_pid perf_sum ours
	if ! command -v perf > /dev/null; then
		tap_skip "no perf" "perf kvm stat sees the same"
		return
	fi
	record_until "$work/end" &
	perf_pid=$!
	tap_wait 60 [ -e "$work/begun" ]
	echo 1 > $dir/reset
	guest_qmp g cont > /dev/null
	load
	guest_qmp g stop > /dev/null
	sleep 1
	touch "$work/end"
	wait $perf_pid
	ours=$(sum)
	PAGER="cat" perf kvm -i "$work/perf.data" stat report > "$work/perf.txt" 2>&1
	perf_sum=$(sed -n 's/.*Total Samples:\([0-9]*\).*/\1/p' "$work/perf.txt")
	tap_diag "exits: khx $ours, perf ${perf_sum:-none}"
	[ $((${perf_sum:-0} * 100)) -ge $((ours * 97)) ] &&
		[ "${perf_sum:-0}" -le $((ours + 10)) ]
	tap_ok $? "perf kvm stat sees the same, within 3 %" ||
		tap_diag "$(head -n 20 "$work/perf.txt" "$work/perf.log")"
}

tap_plan 7
GUEST_SMP=2 guest_start g || tap_bail "no guest"
vm_found() {
	vm=$(find $dir -mindepth 1 -maxdepth 1 -name "$(guest_pid g)-*" -printf '%f\n' |
		grep -m 1 .)
}
guest_wait g || tap_bail "the guest does not boot"
vm_found || tap_bail "the guest does not show"
load
guest_qmp g stop > /dev/null
sleep 1
compare_all
compare_halts
vcpus_add_up
compare_perf
guest_kill g
tap_exit
