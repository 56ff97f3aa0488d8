#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# merge.sh: khx_merge beside KSM, on the same memory in one boot of the test host,
# in turns (ABAB); medians. Time is that of counted instructions, so that a busy
# machine makes no difference. It runs itself on the test host with the word "host".

set -eu
here=$(cd "$(dirname "$0")" && pwd)
rounds=${ROUNDS:-2}

# median NAME: of the values of NAME in the lines read
median() {
	awk -v name="$1" '$1 == name { print $2 }' | sort -n |
		awk '{ v[NR] = $1 }
		END { print (v[int((NR + 1) / 2)] + v[int(NR / 2) + 1]) / 2 }'
}

# Every value is shown as it comes.
measure() {
	local program=$1 round side
	for ((round = 1; round <= rounds; round++)); do
		for side in ksm khx; do
			"$program" $side | tee -a /tmp/merge-$side |
				sed "s/^/# round $round $side: /"
		done
	done
}

report() {
	local name
	printf '%-14s %12s %12s %8s\n' "" KSM khx_merge ratio
	for name in merge_cpu_ms merge_passes idle_cpu_us react_passes breaks; do
		ksm=$(median $name < /tmp/merge-ksm)
		khx=$(median $name < /tmp/merge-khx)
		printf '%-14s %12s %12s %8s\n' "$name" "$ksm" "$khx" \
			"$(awk -v a="$khx" -v b="$ksm" \
			   'BEGIN { print b ? sprintf("%.4f", a / b) : "-" }')"
	done
}

if [ "${1:-}" = host ]; then
	. "$here/../lib/modules.sh"
	khx_module_load khx_merge
	measure "$2"
	report
	khx_module_unload khx_merge
	exit
fi

program=$here/../../build/bench/merge_cost
mkdir -p "$(dirname "$program")"
${CC:-cc} -O2 -Wall -Wextra -D_GNU_SOURCE -o "$program" "$here/merge_cost.c"
exec "$here/../vm/run" --icount --mem 2048 "$here/merge.sh" host "$(realpath "$program")"
