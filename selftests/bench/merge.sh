#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# merge.sh: khx_merge beside KSM, on the same memory in one boot of the test host,
# in turns (ABAB); medians. Time is that of counted instructions, so that a busy
# machine makes no difference. It runs itself on the test host with the word "host",
# and fails if khx_merge takes more than the limits below allow.
#
#	ROUNDS=N	of each, instead of 3
#	REAL_TIME=1	time as it passes on this machine, which should be idle
#	GUESTS="2 4"	then so many Linux guests, too (merge/guest_compare.sh), which
#			takes an hour; their instructions are counted by total.c
#	PROFILE="khx ksm"	the functions that a scanner's instructions are spent in

set -eu
here=$(cd "$(dirname "$0")" && pwd)
export KHX_ROUNDS=${KHX_ROUNDS:-${ROUNDS:-3}} KHX_PROFILE=${KHX_PROFILE:-${PROFILE:-}}

# median NAME: of the values of NAME in the lines read; nothing if there are none
median() {
	awk -v name="$1" '$1 == name { print $2 }' | sort -n |
		awk '{ v[NR] = $1 }
		END { if (NR) print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# Every value is shown as it comes.
measure() {
	local program=$1 round side
	for ((round = 1; round <= KHX_ROUNDS; round++)); do
		for side in ksm khx; do
			"$program" $side | tee -a /tmp/merge-$side |
				sed "s/^/# round $round $side: /"
		done
	done
}

# perf samples by the clock, which counts instructions.
profile() {
	local program=$1 side
	for side in $KHX_PROFILE; do
		echo "== $side"
		perf record -q -a -e cpu-clock -c 20011 -o /tmp/perf.data \
			"$program" "$side"
		perf report -i /tmp/perf.data --stdio --no-children -s sym \
			--comms ksmd,khx_merged --percent-limit 0.7 2> /dev/null |
			grep -v '^#' | grep .
	done
}

# At most this share of KSM's; but a pass is one, whoever makes it.
declare -A limits=([merge_cpu_ms]=0.20 [idle_cpu_us]=0.02 [breaks]=0.05) \
	passes=([react_passes]=2)

# row NAME KSM KHX: a line of the table; fails if that is too much, or not known.
row() {
	awk -v name="$1" -v ksm="$2" -v khx="$3" \
		-v limit="${limits[$1]:-}" -v passes="${passes[$1]:-}" '
	BEGIN {
		much = ksm == "" || khx == "" ||
			limit != "" && !(khx + 0 <= limit * ksm) ||
			passes != "" && !(khx + 0 <= passes + 0)
		printf "%-14s %12s %12s %8s%s\n", name, ksm, khx,
			ksm ? sprintf("%.4f", khx / ksm) : "-",
			much ? "  <- too much" : ""
		exit much
	}'
}

report() {
	local name ksm khx failed=0
	printf '%-14s %12s %12s %8s\n' "" KSM khx_merge ratio
	for name in merge_cpu_ms merge_passes idle_cpu_us react_passes breaks; do
		ksm=$(median $name < "$1-ksm")
		khx=$(median $name < "$1-khx")
		row "$name" "$ksm" "$khx" || failed=1
	done
	return $failed
}

if [ "${1:-}" = host ]; then
	. "$here/../lib/modules.sh"
	khx_module_load khx_merge
	if [ -n "$KHX_PROFILE" ]; then
		profile "$2"
	else
		measure "$2"
		report /tmp/merge || status=1
	fi
	khx_module_unload khx_merge
	exit "${status:-0}"
fi

program=$here/../../build/bench/merge_cost
mkdir -p "$(dirname "$program")"
${CC:-cc} -O2 -Wall -Wextra -D_GNU_SOURCE -o "$program" "$here/merge_cost.c"
clock=(--icount)
[ -z "${REAL_TIME:-}" ] || clock=()
"$here/../vm/run" "${clock[@]}" --mem 2048 "$here/merge.sh" host "$(realpath "$program")"
[ -z "${GUESTS:-}" ] && exit

out=$(dirname "$program")/guests
mkdir -p "$out"
out=$(realpath "$out")
${CC:-cc} -O2 -Wall -Wextra -shared -fPIC -o "$out/total.so" "$here/total.c"
# What the guests are sent, and what serves their disks.
make -s -C "$here/../net" all
make -s -C "$here/../.." tools
# On a busy machine four guests take long to boot.
KHX_TIME_SCALE=${KHX_TIME_SCALE:-4} KHX_GUEST_COUNTS=$GUESTS "$here/../vm/run" --smp 1 --again 2 --timeout 9000 \
	--append slab_nomerge --out "$out" --qemu "-plugin $out/total.so,out=$out/insns" \
	"$here/../vm/area" merge run_guest_tests \
	TEST_GUEST_PROGS=guest_compare.sh TEST_SLOW_PROGS=
