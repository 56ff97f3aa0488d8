#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# tuning.sh: the three cases of Documentation/exits-tuning.rst on real guests in
# a test host, with what khx exits shows before and after each step. Not a test:
# it prints figures and judges nothing.
#
# Times are those of an emulated processor: compare counts, and times with each
# other, not with those of a real machine. `tuning.sh inside` is what the
# test host runs.

set -o pipefail
cd "$(dirname "$0")" || exit

inside() {
	. ../lib/tap.sh
	. ../lib/guest.sh
	PATH=$PATH:$PWD/../../build/tools
	guest_need
	insmod "$(find "$KHX_MODULES" -name khx_exits.ko | grep -m 1 .)"
	iperf3 -s -D
	nic
	memory
	halts
	rmmod khx_exits
}

vm() {
	find /sys/kernel/debug/khx/exits -mindepth 1 -maxdepth 1 \
		-name "$(guest_pid g)-*" -printf '%f\n'
}

boot() {
	guest_start g "$@" && guest_wait g
}

# step FILE LOAD: the figures of a load in the guest.
step() {
	khx exits reset
	guest_run g "$2" || echo "the load failed"
	khx exits record "$1" "$(vm)"
}

compare() {
	khx exits report /tmp/before | grep -A 1 '^hint'
	echo
	khx exits report /tmp/before /tmp/after
	echo
}

nic() {
	local load='ip link set eth0 up; ip addr add 10.0.2.15/24 dev eth0
		iperf3 -c 10.0.2.2 -n 3M | tail -n 3'
	# The guests' image lacks that driver; the test host has it.
	local driver='insmod /host/lib/modules/$(uname -r)/kernel/drivers/net/ethernet/intel/e1000/e1000.ko'
	echo "== an emulated NIC (e1000), then virtio-net: iperf3 -n 3M"
	GUEST_HOST=1 boot -netdev user,id=n -device e1000,netdev=n
	guest_run g "$driver"
	step /tmp/before "$load"
	guest_kill g
	GUEST_HOST=1 boot -netdev user,id=n -device virtio-net-pci,netdev=n
	step /tmp/after "$load"
	guest_kill g
	compare
}

memory() {
	local thp=/sys/kernel/mm/transparent_hugepage/enabled
	local load='dd if=/dev/zero of=/tmp/x bs=1M count=100 2>&1 | tail -n 1'
	echo "== small pages, then transparent hugepages: 100 MiB written"
	echo never > $thp
	# The file is in the guest's memory.
	GUEST_MEM=512 boot
	step /tmp/before "$load"
	guest_kill g
	echo always > $thp
	GUEST_MEM=512 boot
	step /tmp/after "$load"
	guest_kill g
	compare
}

halts() {
	local poll=/sys/module/kvm/parameters/halt_poll_ns
	# Longer than the guest's own driver polls (cpuidle-haltpoll, 200 us).
	local load='i=0; while [ $i -lt 300 ]; do usleep 3000; i=$((i+1)); done'
	echo "== no halt polling, then up to 20 ms: sleeps of 3 ms"
	boot
	echo 0 > $poll
	step /tmp/before "$load"
	cat "/sys/kernel/debug/khx/exits/$(vm)/halt"
	echo 20000000 > $poll
	step /tmp/after "$load"
	cat "/sys/kernel/debug/khx/exits/$(vm)/halt"
	guest_kill g
	compare
}

if [ "${1:-}" = inside ]; then
	inside
else
	make -s -C ../../tools && ../vm/run --smp 1 --timeout 500 "$PWD/tuning.sh" inside
fi
