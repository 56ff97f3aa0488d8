#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The test runner and the summary tell the truth: a made-up area with a test for
# each way to pass, to fail and to be skipped.

cd "$(dirname "$0")" || exit
. ../lib/tap.sh

lib=$PWD/../lib
area=$(mktemp -d)
trap 'rm -rf "$area"' EXIT

# add NAME: a test, from standard input.
add() {
	{
		echo '#!/bin/bash'
		cat
	} > "$area/$1"
	chmod +x "$area/$1"
}

# result NAME: the line that the runner ends the test with.
result() {
	(cd "$area" && "$lib/runner.sh" a "$1") > "$area/ktap" 2>&1
	grep '^\(not \)\?ok 1 ' "$area/ktap"
}

count() {
	awk -f "$lib/summary.awk" "$@" | tail -n 1
}

add good <<< 'echo 1..2; echo "ok 1 a"; echo "ok 2 b # SKIP no b"'
add bad <<< 'echo 1..2; echo "ok 1 a"; echo "not ok 2 b"; exit 1'
add crash <<< 'echo 1..2; echo "ok 1 a"; kill -SEGV $$'
add short <<< 'echo 1..2; echo "ok 1 a"; exit 0'
add slow <<< 'echo 1..1; sleep 60; echo "ok 1 a"'
add stubborn <<< 'trap "" TERM; sleep 60; sleep 60'
add skipped <<< 'echo "1..0 # SKIP no hardware"; exit 4'
add daemon <<< 'echo 1..1; sleep 60 & echo "ok 1 a"'
echo "timeout.slow=1" > "$area/settings"

tap_plan 19
tap_is "$(result good)" "ok 1 a: good" "a good test passes"
tap_is "$(count "$area/ktap")" "1 passed, 0 failed, 1 skipped" \
	"its results are counted, not the test"
tap_is "$(result bad)" "not ok 1 a: bad # exit=1" "a bad test fails"
tap_is "$(count "$area/ktap")" "1 passed, 1 failed, 0 skipped" \
	"its failure is counted once"
tap_is "$(result crash)" "not ok 1 a: crash # exit=139" "a crash fails"
tap_is "$(count "$area/ktap")" "1 passed, 1 failed, 0 skipped" \
	"a crash is counted though no result failed"
tap_is "$(result short)" "not ok 1 a: short # plan not kept" \
	"too few results fail"
tap_is "$(result slow)" "not ok 1 a: slow # TIMEOUT 1 seconds" \
	"a test of its own time limit is stopped"
echo "timeout=1" > "$area/settings"
tap_is "$(result stubborn)" "not ok 1 a: stubborn # TIMEOUT 1 seconds" \
	"a test that ignores the signal is stopped"
printf 'timeout=60\nlong.slow=1\n' > "$area/settings"
tap_is "$(KHX_LONG=1 result slow)" "not ok 1 a: slow # TIMEOUT 1 seconds" \
	"a long form has a time limit of its own"
tap_is "$(result skipped)" "ok 1 a: skipped # SKIP no hardware" \
	"a skip gives its reason"
tap_is "$(count "$area/ktap")" "0 passed, 0 failed, 1 skipped" "a skip is counted"
KHX_NO_SKIP=1
export KHX_NO_SKIP
tap_is "$(result skipped)" "not ok 1 a: skipped # skipped itself here: no hardware" \
	"where all is there, a skip is a failure"
echo "skip.skipped=it is known" >> "$area/settings"
tap_is "$(result skipped)" "ok 1 a: skipped # SKIP no hardware" \
	"unless the area says that it may be"
unset KHX_NO_SKIP
tap_fails "nothing that passed is a failure of the whole" \
	awk -f "$lib/summary.awk" "$area/ktap"
echo "timeout=30" > "$area/settings"
start=$SECONDS
tap_is "$(result daemon)" "ok 1 a: daemon" "what a test leaves running does no harm"
tap_ok "$((SECONDS - start > 20))" "nor is it waited for"

splats() {
	printf '%s\n' "$@" | awk -f "$lib/splats.awk" > /dev/null
}

tap_fails "a complaint is found" splats "fine" "[1.0] BUG: KASAN: slab-out-of-bounds"
tap_run "a declared one is not" splats "khx-expect: KASAN" "[1.0] BUG: KASAN: bad"
tap_exit
