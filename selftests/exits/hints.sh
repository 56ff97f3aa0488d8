#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each hint of khx exits, on figures made up for it: it is given with the figure
# that calls for it and refers to a section of the tuning guide; and it is not
# given if that figure is half as high.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

PATH=$PATH:$PWD/../../build/tools
guide=../../Documentation/exits-tuning.rst

tap_need khx jq
[ -f "$guide" ] || tap_skip_all "the tuning guide is not installed here"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# recording JSON: of a guest that has, besides, made 10000 CPUID exits in 100 ms.
recording() {
	jq -n --argjson more "$1" '[{ guest: "1-2", vcpus: 1, isa: "svm",
		reasons: ([{ name: "cpuid", count: 10000, timed: 10000,
			time: 100000000, min: 1, max: 2 }] + $more.reasons),
		faults: $more.faults, halt: $more.halt,
		tables: $more.tables } | del(.[] | nulls)]' > "$work/recording"
}

hints() {
	recording "$1" && khx -j exits report "$work/recording" |
		jq -r '.[0].hints[] | .hint + ": " + .figure'
}

# A heading of the guide is underlined.
has_section() {
	grep -A 1 -xF "$1" $guide | grep -qx -- '---*'
}

# hint NAME FIGURE JSON: NAME is given for JSON, where % stands for its figure;
# for half of that no hint is.
hint() {
	local name=$1 figure=$2 json=$3 got
	got=$(hints "${json//%/$figure}")
	tap_is "$got" "$name: $4" "$name: ${4%%,*}"
	tap_is "$(hints "${json//%/$((figure / 2))}")" "" "not for half of that"
	tap_run "the guide says more of that" has_section "$name"
}

# row TABLE NAME REASON: accesses of 10 us each.
row() {
	echo "{ \"reasons\": [{ \"name\": \"$3\", \"count\": %,
		\"timed\": %, \"time\": %0000, \"min\": 1, \"max\": 2 }],
	\"tables\": { \"$1\": { \"count\": %, \"time\": %0000, \"rows\": [{
		\"name\": \"$2\", \"count\": %, \"error\": 0, \"time\": %0000 }] } } }"
}

# faults CAUSE REASON: of 10 us each.
faults() {
	echo "{ \"reasons\": [{ \"name\": \"$2\", \"count\": %,
		\"timed\": %, \"time\": %0000, \"min\": 1, \"max\": 2 }],
	\"faults\": { \"$1\": % } }"
}

tap_plan 32
hint "Emulated devices" 1000 "$(row ioport "0x3f8/1 out" io)" \
	"port 0x3f8/1 out: 1000 accesses, 9.1% of the time outside the guest"
hint "Emulated devices" 1000 "$(row mmio "0xfebc0000 write" npf)" \
	"MMIO page 0xfebc0000 write: 1000 accesses, 9.1% of the time outside the guest"
hint "Memory that is not there yet" 1500 \
	"$(faults not-present:write npf)" \
	"1500 faults on absent pages, 13.0% of the time outside the guest"
hint "Memory that is not there yet" 1500 \
	"$(faults not-present:exec EPT_VIOLATION)" \
	"1500 faults on absent pages, 13.0% of the time outside the guest"
hint "Write protection" 1500 "$(faults permission:write EPT_VIOLATION)" \
	"1500 write faults on mapped pages, 13.0% of the time outside the guest"
hint "Timer interrupts" 1999 "$(row msr "0x6e0 write" MSR_WRITE)" \
	"MSR 0x6e0 write: 1999 times, 16.7% of the time outside the guest"
hint "Timer interrupts" 1999 "$(row msr "0x838 write" msr)" \
	"MSR 0x838 write: 1999 times, 16.7% of the time outside the guest"
hint "Halts" 1800 '{ "reasons": [], "halt": { "polled": 200,
	"polled_time": 1, "blocked": %, "blocked_time": 180000000,
	"invalid": 0 } }' \
	"1800 of 2000 halts slept, 100 us on average"
hint "Guests in guests" 15000 '{ "reasons": [{ "name": "L2:cpuid",
	"count": %, "timed": 1, "time": 1, "min": 1, "max": 1 }] }' \
	"15000 of 25000 exits are from L2"

# What is no trouble: another MSR, and long halts.
tap_is "$(hints "$(row msr "0x10 write" msr | sed 's/%/5000/g')")" "" \
	"another MSR is no timer"
tap_is "$(hints '{ "reasons": [], "halt": { "polled": 1, "polled_time": 1,
	"blocked": 5000, "blocked_time": 50000000000, "invalid": 0 } }')" "" \
	"halts of 10 ms need no polling"
tap_is "$(hints '{ "reasons": [{ "name": "hlt", "count": 5000, "timed": 5000,
	"time": 9000000000, "min": 1, "max": 1 }] }')" "" \
	"halts take no time outside the guest"

# Every section for which a hint could be is one for which a hint is.
given=$(sed -n 's/^hint "\([^"]*\)".*/\1/p' "${0##*/}" | sort -u)
wanted=$(grep -o 'add(hints, "[^"]*"' ../../tools/khx/exits_hints.c |
	cut -d '"' -f 2 | sort -u)
tap_is "$given" "$wanted" "all hints there are were tried"
tap_is "$(grep -B 1 -x -- '---*' $guide | grep '^[A-Z]' |
	grep -v '^How to' | sort -u)" "$wanted" \
	"and all sections of the guide are some hint's"
tap_exit
