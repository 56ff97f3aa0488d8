#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What counts, nested and hostile check on a test host, whose processor is
# AMD's, on an Intel processor, where exit reasons, causes of faults and the exit
# information are others. Needs no module on the machine it runs on.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

[ -x ../vm/intel ] || tap_skip_all "the scripts of the test host are not here"
tap_need bochs readelf objcopy script

programs=(counts_static nested_static hostile_static)
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT

# passed NAME: the part of the output that begins with its plan has no failure.
passed() {
	awk -v wanted="$1" '
	/^1\.\.[0-9]+$/ { part++; plan[part] = substr($0, 4) }
	/^ok / { ok[part]++ }
	END { exit !(plan[wanted] > 0 && ok[wanted] + 0 == plan[wanted]) }' "$lines"
}

tap_plan $((${#programs[@]} + 1))
../vm/intel --timeout 600 --module khx_exits "${programs[@]/#/$OUTPUT/}" > "$lines"
status=$?
tap_diag "$(cat "$lines")"
for i in "${!programs[@]}"; do
	passed $((i + 1))
	tap_ok $? "${programs[i]%_static}"
done
tap_ok $status "the kernel has nothing to complain of"
tap_exit
