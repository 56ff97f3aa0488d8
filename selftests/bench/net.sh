#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# net.sh: /dev/khx-net beside mainline's /dev/vhost-net, in two test hosts.
#
# The first has one processor on which every instruction takes one nanosecond
# (QEMU -icount), so that the figures hardly vary: instructions a packet of
# the whole closed loop, less what the generator (netgen.c) takes by itself.
# Devices take turns, round by round, in one boot. The second has two
# processors and real time, where device and driver run at once: kicks and
# signals are counted there, and no time is taken.
#
#	PACKETS=10000	packets of one round
#	ROUNDS=3	times that the whole is run
#	QUICK=1		only the cases that matter most
#	COUNTS=0	instructions only; COUNTS=only: kicks and signals only
#	PROFILE=1	the functions that the instructions are spent in, no table;
#			PROFILE="-m rx -s 512" for one load
#
# Tables go to the output, the same as JSON to build/bench/net*.json.

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
out=${KHX_BUILD:-$top/build}/bench
# On the test host they are set already.
: "${KHX_PACKETS:=${PACKETS:-10000}}" "${KHX_ROUNDS:=${ROUNDS:-3}}"
: "${KHX_QUICK:=${QUICK:-0}}" "${KHX_PROFILE:=${PROFILE:-}}"
export KHX_PACKETS KHX_ROUNDS KHX_QUICK KHX_PROFILE

lib=$top/selftests/lib

build() {
	mkdir -p "$out"
	"${CC:-cc}" -O2 -g -Wall -Wextra -std=gnu11 -D_GNU_SOURCE -I"$lib" \
		-o "$out/netgen" "$here/netgen.c" "$here/netload.c" \
		"$lib/vdev.c" "$lib/vring.c" "$lib/tapdev.c"
}

# gen LABEL OPTION...: one run of netgen with the case in front. The first
# round finds caches, pools and notifications cold: the second one counts.
gen() {
	local label=$1 line
	shift
	line=$(netgen -n "$packets" -r 2 "$@")
	tail -n 1 <<< "$line" | sed "s/^{/{\"case\": \"$label\", /"
}

# The same load for mainline and for us, split and packed.
compare() {
	local label=$1
	shift
	if [ "$alone" = 1 ]; then
		gen "$label" -d none "$@"
		gen "$label" -d none -p "$@"
	fi
	gen "$label" -d /dev/vhost-net "$@"
	gen "$label" -d /dev/khx-net "$@"
	gen "$label" -d /dev/khx-net -p "$@"
}

cases_quick() {
	compare "tx 60" -m tx -s 60
	compare "rx 60" -m rx -s 60
	compare "rx 60 bursts" -m rx -s 60 -w
}

cases_more() {
	compare "tx 60 flags" -m tx -s 60 -E
	compare "tx 60 indirect" -m tx -s 60 -i
	compare "tx 60 2 queues" -m tx -s 60 -Q 2
	compare "tx 512" -m tx -s 512
	compare "tx 1514" -m tx -s 1514
	packets=$((KHX_PACKETS / 4)) compare "tx 65000 gso" -m tx -s 65000
	compare "rx 60 flags" -m rx -s 60 -E
	compare "rx 60 indirect" -m rx -s 60 -i
	compare "rx 60 one buffer" -m rx -s 60 -M
	compare "rx 60 2 queues" -m rx -s 60 -Q 2
	compare "rx 512" -m rx -s 512
	compare "rx 1514" -m rx -s 1514
	compare "rx 1514 bursts" -m rx -s 1514 -w
	compare "rx 1514 in 4" -m rx -s 1514 -w -B 400
	packets=$((KHX_PACKETS / 4)) \
		compare "rx 65000 gso" -m rx -s 65000 -B 1536 -w
}

# What is counted, not timed; an idle worker would be no load at all.
cases_counts() {
	compare "tx 60" -m tx -s 60
	compare "tx 60 flags" -m tx -s 60 -E
	compare "tx 1514" -m tx -s 1514
	compare "rx 60" -m rx -s 60
	compare "rx 60 flags" -m rx -s 60 -E
	compare "rx 1514" -m rx -s 1514
}

# Where the instructions go; perf samples by the clock, which counts them.
profile() {
	echo "== $*"
	perf record -q -a -e cpu-clock -c 5003 -o /tmp/perf.data \
		netgen -n "$KHX_PACKETS" -r 4 "$@" > /tmp/perf.out
	tail -n 1 /tmp/perf.out
	perf report -i /tmp/perf.data --stdio --no-children -s sym \
		--percent-limit 0.7 2>/dev/null | grep -v '^#' | grep .
}

profile_all() {
	local load loads=("-m tx" "-m rx" "-m rx -w")
	[ "$KHX_PROFILE" = 1 ] || loads=("$KHX_PROFILE")
	for load in "${loads[@]}"; do
		# shellcheck disable=SC2086 # words are meant to split
		{
			profile -d none $load
			profile -d /dev/vhost-net $load
			profile -d /dev/khx-net $load
			profile -d /dev/khx-net -p $load
		}
	done
}

# In the test host.
guest() {
	local what=$1 packets=$KHX_PACKETS alone=1
	# shellcheck source=/dev/null
	. "$lib/modules.sh"
	PATH=$out:$PATH
	modprobe tun
	modprobe vhost_net
	khx_module_load khx_net
	case $what in
	profile)
		profile_all
		;;
	counts)
		alone=0
		for _ in $(seq "$KHX_ROUNDS"); do
			cases_counts
		done
		;;
	time)
		for _ in $(seq "$KHX_ROUNDS"); do
			cases_quick
			[ "$KHX_QUICK" = 1 ] || cases_more
		done
		;;
	esac
}

host() {
	"$top/selftests/vm/run" --timeout 1500 --out "$out" "$@"
}

case ${1:-} in
guest)
	guest "$2"
	;;
*)
	build
	if [ -n "$KHX_PROFILE" ]; then
		host --icount "$here/net.sh" guest profile
		exit
	fi
	if [ "${COUNTS:-1}" != only ]; then
		host --icount "$here/net.sh" guest time > "$out/net.jsonl"
		awk -v json="$out/net.json" -f "$here/net.awk" "$out/net.jsonl"
	fi
	if [ "${COUNTS:-1}" != 0 ]; then
		host --smp 2 "$here/net.sh" guest counts > "$out/net-counts.jsonl"
		awk -v counts=1 -v json="$out/net-counts.json" \
			-f "$here/net.awk" "$out/net-counts.jsonl"
	fi
	;;
esac
