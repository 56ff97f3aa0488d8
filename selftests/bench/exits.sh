#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# exits.sh: what counting exits costs, beside the other ways to count them.
#
# A guest of a few instructions makes CPUID exits (served in the kernel) and OUT
# exits (served by its own process) in a test host that counts instructions, so
# one "nanosecond" is one instruction, and a run repeats to the instruction.
# All figures are of one boot; the first and the last row are the same thing
# measured twice. The table is also in build/bench/exits.json.
#
# `exits.sh inside` is what the test host runs.

set -euo pipefail
cd "$(dirname "$0")/../.."
build=$PWD/build/bench
dir=/sys/kernel/debug/khx/exits
tracing=/sys/kernel/tracing

# row NAME [COMMAND...]: figures, measured below COMMAND if there is one.
row() {
	local name=$1 cpuid out
	shift
	cpuid=$("$@" "$build/exits_guest" cpuid 400 7 | tail -n 1)
	out=$("$@" "$build/exits_guest" out 200 5 | tail -n 1)
	echo "$name	$cpuid	$out"
}

load() {
	insmod "$(find "$KHX_MODULES" -name khx_exits.ko | grep -m 1 .)"
}

trigger() {
	echo "$1" > $tracing/events/kvm/kvm_exit/trigger
}

ftrace_events() {
	echo "$1" > $tracing/events/kvm/kvm_exit/enable
	echo "$1" > $tracing/events/kvm/kvm_entry/enable
}

inside() {
	modprobe kvm_amd
	mountpoint -q $tracing || mount -t tracefs tracefs $tracing
	row "nothing"
	load
	row "khx_exits"
	echo 0 > $dir/enable
	row "khx_exits, disabled"
	echo "# $(grep bytes_per_vcpu $dir/status)"
	rmmod khx_exits
	trigger 'hist:keys=exit_reason'
	row "ftrace hist trigger"
	trigger '!hist:keys=exit_reason'
	ftrace_events 1
	row "ftrace ring buffer"
	ftrace_events 0
	if command -v perf > /dev/null; then
		row "perf kvm stat record" \
			perf kvm stat record -a -o /tmp/perf.data 2> /dev/null
	fi
	row "nothing again"
}

# Limits: at most 180 instructions a CPUID exit, 5 when disabled, a quarter of
# the hist trigger, 0.06 of perf.
report() {
	awk -F '\t' -v json="$build/exits.json" '
	function verdict(ok) { failed += !ok; return ok ? "" : "  <- too much" }
	/^#/ { notes = notes substr($0, 3) "\n"; next }
	NF == 3 {
		n++; name[n] = $1; cpuid[n] = $2; out[n] = $3; at[$1] = n
		add[$1] = $2 - cpuid[1]
	}
	END {
		own = add["khx_exits"]
		printf "%-22s %10s %10s %12s %12s\n", "instructions an exit", "cpuid", "out", "added cpuid", "added out"
		printf "[" > json
		for (i = 1; i <= n; i++) {
			mark = ""
			if (name[i] == "khx_exits") mark = verdict(own <= 180)
			if (name[i] == "khx_exits, disabled") mark = verdict(add[name[i]] <= 5)
			if (name[i] == "ftrace hist trigger") mark = verdict(own <= 0.25 * add[name[i]])
			if (name[i] ~ /^perf/) mark = verdict(own <= 0.06 * add[name[i]])
			printf "%-22s %10.1f %10.1f %12.1f %12.1f%s\n", name[i], cpuid[i], out[i], cpuid[i] - cpuid[1], out[i] - out[1], mark
			printf "%s{\"name\":\"%s\",\"cpuid\":%s,\"out\":%s}", (i > 1 ? "," : ""), name[i], cpuid[i], out[i] > json
		}
		print "]" > json
		printf "%s", notes
		if (!n || failed) exit 1
	}'
}

outside() {
	mkdir -p "$build"
	make -s -C selftests/exits
	cc -O2 -g -Wall -Wextra -std=gnu11 -D_GNU_SOURCE \
		-Iselftests/exits -Iselftests/lib -o "$build/exits_guest" \
		selftests/bench/exits_guest.c selftests/exits/guest.c \
		build/selftests/exits/obj/guest_code.o \
		build/selftests/exits/obj/tap.o
	selftests/vm/run --icount --append "clocksource=tsc tsc=reliable" \
		--timeout 300 "$PWD/selftests/bench/exits.sh" inside | report
}

"${1:-outside}"
