#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# DPDK's virtio-user driver, another driver of our rings than Linux's: it
# answers pings, that is it gets every packet and sends it back.
#
# KHX_DPDK is where it is unpacked (see vm/dpdk), if it is not installed.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"

DEVICE=${DEVICE:-/dev/khx-net}
COUNT=500
work=$(mktemp -d)
libraries=usr/lib/x86_64-linux-gnu
testpmd=

if [ -n "${KHX_DPDK:-}" ]; then
	PATH=$PATH:$KHX_DPDK/usr/bin
	export LD_LIBRARY_PATH=$KHX_DPDK/$libraries
fi

tear_down() {
	exec 7>&-
	[ -z "$testpmd" ] || wait "$testpmd"
	ip link del khxt-dpdk 2>/dev/null
	rm -rf "$work"
}

# wait_testpmd COMMAND...: until it succeeds, while testpmd lives.
wait_testpmd() {
	tap_wait 300 testpmd_shows "$@" && "$@" > /dev/null
}

testpmd_shows() {
	"$@" || ! kill -0 "$testpmd"
}

# start_testpmd OPTIONS: it ends when fd 7 is closed.
start_testpmd() {
	local plugins=()
	[ -z "${KHX_DPDK:-}" ] ||
		plugins=(-d "$KHX_DPDK/$libraries/dpdk/pmds-23.0")
	mkfifo "$work/in.$1"
	XDG_RUNTIME_DIR=$work dpdk-testpmd --no-huge -m 128 --no-pci \
		--iova-mode=va -l 0,1 "${plugins[@]}" \
		--vdev="net_virtio_user0,path=$DEVICE,iface=khxt-dpdk,mac=52:54:00:99:00:64,queue_size=256$1" \
		-- --forward-mode=icmpecho --total-num-mbufs=2048 --auto-start \
		< "$work/in.$1" > "$work/log" 2>&1 &
	testpmd=$!
	exec 7> "$work/in.$1"
	wait_testpmd ip link show khxt-dpdk || return
	ip addr add 10.98.0.1/24 dev khxt-dpdk
	ip link set khxt-dpdk up
	wait_testpmd grep -q "packet forwarding" "$work/log" &&
		ip neigh replace 10.98.0.2 lladdr 52:54:00:99:00:64 dev khxt-dpdk
}

stop_testpmd() {
	echo >&7
	exec 7>&-
	wait "$testpmd"
	testpmd=
}

# What the kernel tells of its only open file of ours.
fdinfo() {
	local fd
	for fd in "/proc/$testpmd/fd"/*; do
		if [ "$(readlink "$fd")" = "$DEVICE" ]; then
			cat "/proc/$testpmd/fdinfo/${fd##*/}"
		fi
	done
}

# counter QUEUE NAME
counter() {
	fdinfo | awk -v line="queue-$1-stats:" -v key="$2" '
		$1 == line { for (i = 2; i < NF; i += 2) if ($i == key) print $(i + 1) }'
}

ring() {
	fdinfo | awk '$1 == "queue-1:" { print $2 }'
}

# Payloads are compared by ping.
pings() {
	local output
	output=$(ping -q -i 0.002 -c "$COUNT" -s 1400 -p a5 10.98.0.2)
	echo "$output"
	grep -q " 0% packet loss" <<< "$output"
}

claims() {
	local name=$1 rx tx
	if ! start_testpmd "$2"; then
		tap_diag "$(tail -n 20 "$work/log")"
		tap_bail "testpmd does not start"
	fi
	tap_is "$(ring)" "$name" "$name: the ring"
	tap_run "$name: $COUNT pings are answered" pings
	rx=$(counter 0 chains)
	tx=$(counter 1 chains)
	[ "${rx:-0}" -ge "$COUNT" ] && [ "${tx:-0}" -ge "$COUNT" ]
	tap_ok $? "$name: through our queues"
	tap_diag "received $rx, sent $tx"
	stop_testpmd
	tap_ok $? "$name: testpmd ends in order"
}

[ "$(nproc)" -ge 2 ] || tap_skip_all "testpmd polls on a processor of its own"
tap_need_root
tap_need ip ping dpdk-testpmd
[ -c "$DEVICE" ] || tap_skip_all "no $DEVICE"
[ -c /dev/net/tun ] || modprobe -q tun
trap tear_down EXIT
tap_plan 8
claims split ""
claims packed ",packed_vq=1"
tap_exit
