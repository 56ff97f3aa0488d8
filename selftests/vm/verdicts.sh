#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The test host tells the truth: each way in which a run can go wrong is
# provoked in one, and must give the exit status that ./run documents.  On the
# debug kernel, each kind of bug that only it can see.

cd "$(dirname "$0")" || exit
. ../lib/tap.sh
. ./lib.sh

kernel=${KHX_KERNEL:-6.1}
# Seconds for a boot, and for two leak scans.
limit=240
[ "$kernel" != debug ] || limit=900
splat=$KHX_BUILD/splat-$kernel

build_splat() {
	local dir
	dir=$(./kernel "$kernel") || return
	mkdir -p "$splat"
	cp -p splat/Kbuild splat/splat.c "$splat/"
	make -s -C "$dir/build" M="$splat" modules
}

# verdict WANTED-STATUS NAME SCRIPT-TEXT [RUN-OPTIONS...]: the output of the run
# is left in `output`.
verdict() {
	local wanted=$1 name=$2 text=$3 status=0
	shift 3
	output=$(./run --no-modules --kernel "$kernel" --timeout $limit --again 1 "$@" \
		bash -c "$text" "first word" "second word" 2>&1) || status=$?
	tap_is "$status" "$wanted" "$name" || tap_diag "$output"
}

# said TEXT NAME: the last run printed it.
said() {
	grep -qF -e "$1" <<< "$output"
	tap_ok $? "$2" || tap_diag "$output"
}

check_any_kernel() {
	verdict 37 "the exit status is the script's own" \
		'echo "args: $0 + $1"; (sleep 1000 &) ; exit 37'
	said "args: first word + second word" "arguments and output arrive as they are"
	verdict 0 "a complaint that was declared is none" \
		"echo 'khx-expect: splat: wanted|WARNING: .*splat' > /dev/kmsg
		insmod $splat/splat.ko what=warn && cd / && [ \$PWD = / ]"
	verdict 125 "a warning in the kernel log fails the run" \
		"insmod $splat/splat.ko what=warn; exit 0"
	said "WARNING: CPU" "the warning is shown"
	verdict 125 "an oops fails the run" "insmod $splat/splat.ko what=oops; exit 0"
	verdict 125 "a panic fails the run" "echo c > /proc/sysrq-trigger; exit 0"
	said "sysrq triggered crash" "the panic is shown"
	verdict 125 "a reset fails the run" "echo b > /proc/sysrq-trigger; exit 0"
	verdict 124 "the time limit ends the run" "sleep 1000" --timeout 15
	verdict 125 "a test host that does not come up fails the run" true --up 3 \
		--qemu -S
	tap_is "$(grep -c 'not come up in 3 s' <<< "$output")" 3 "it was booted thrice"
}

check_debug_kernel() {
	verdict 125 "a leak fails the run" "insmod $splat/splat.ko what=leak" --leaks
	said "KHX-LEAK unreferenced object" "the leak is shown"
	verdict 125 "a use after free fails the run" "insmod $splat/splat.ko what=uaf"
	said "KASAN: " "KASAN's report is shown"
	verdict 125 "a lock inversion fails the run" "insmod $splat/splat.ko what=lock"
	said "possible circular locking" "lockdep's report is shown"
	verdict 125 "sleeping in atomic context fails the run" \
		"insmod $splat/splat.ko what=sleep"
	verdict 0 "a run without any of them passes, leak scan included" true --leaks
}

if [ "$kernel" = debug ]; then
	tap_plan 8
else
	tap_plan 12
fi
build_splat >&2 || tap_bail "the module with the bugs does not build"
if [ "$kernel" = debug ]; then
	check_debug_kernel
else
	check_any_kernel
fi
tap_exit
