#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# runner.sh AREA TEST...: run the tests of one directory, in it; print KTAP.
# A test passes if it exits with 0, keeps its plan, ends in time and leaves the
# kernel log clean; 4 is a skip.  Exits 1 if any failed.  With KHX_NO_SKIP, where
# all is there that tests need, a test that skips itself as a whole has failed,
# unless the file `settings` says why it may: skip.TEST=REASON.

lib=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export OUTPUT=${OUTPUT:-$PWD}
export PATH=$OUTPUT:$PATH
export KHX_LIB=$lib

# timeout_of TEST: in seconds; times KHX_TIME_SCALE, for slow machines.  With
# KHX_LONG, that of the long form, if it has one.
timeout_of() {
	cat settings 2>/dev/null | awk -F= -v test="$1" -v form="${KHX_LONG:+long}" '
	BEGIN { limit = 120 }
	$1 == "timeout" { limit = $2 }
	$1 == "timeout." test { own = $2 }
	form && $1 == form "." test { long = $2 }
	END { print long ? long : own ? own : limit }'
}

may_skip() {
	[ -z "${KHX_NO_SKIP:-}" ] || grep -qs "^skip\.$1=" settings
}

judges_log() {
	[ -z "${KHX_NO_KERNEL_LOG:-}" ] && [ -w /dev/kmsg ]
}

log_mark() {
	judges_log && echo "khx-expect:" > /dev/kmsg &&
		echo "khx-test: $1" > /dev/kmsg
}

# What the kernel complained about since the last mark.
log_check() {
	judges_log || return 0
	dmesg | awk '/khx-test: / { text = "" } { text = text $0 "\n" }
		END { printf "%s", text }' | awk -f "$lib/splats.awk"
}

# Does FILE hold as many results as its plan says?  No plan is no promise.
plan_kept() {
	awk '
	/^1\.\.[0-9]+/ && !planned { plan = substr($1, 4); planned = 1 }
	/^(not )?ok / { results++ }
	END { exit !(!planned || results + 0 == plan + 0) }' "$1"
}

indent() {
	sed -u 's/^/  /'
}

# run_one NUMBER TEST: prints its lines and leaves its result in `verdict`.
run_one() {
	local test=$2 limit status program output=$work/output.$1
	program=./$test
	[ -x "$program" ] || program=$OUTPUT/$test
	limit=$(($(timeout_of "$test") * ${KHX_TIME_SCALE:-1}))
	echo "# $area: $test"
	log_mark "$area: $test"
	: > "$output"
	timeout --kill-after=10 "$limit" "$program" < /dev/null >> "$output" 2>&1 &
	# Not a pipe: what a test leaves running would keep that open.
	tail -n +1 -s 0.2 --pid=$! -f "$output" | indent
	wait $!
	status=$?
	verdict="ok $1 $area: $test"
	if ! log_check > "$work/splats"; then
		sed 's/^/  # /' "$work/splats"
		verdict="not ok $1 $area: $test # kernel log"
	elif [ "$status" = 124 ] || [ "$status" = 137 ]; then
		verdict="not ok $1 $area: $test # TIMEOUT $limit seconds"
	elif [ "$status" = 4 ] && ! may_skip "$test"; then
		verdict="not ok $1 $area: $test # skipped itself here:"
		verdict+=" $(sed -n 's/^1\.\.0 # SKIP //p' "$output")"
	elif [ "$status" = 4 ]; then
		verdict+=" # SKIP $(sed -n 's/^1\.\.0 # SKIP //p' "$output")"
	elif [ "$status" != 0 ]; then
		verdict="not ok $1 $area: $test # exit=$status"
	elif ! plan_kept "$output"; then
		verdict="not ok $1 $area: $test # plan not kept"
	fi
	echo "$verdict"
}

area=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0
number=0
echo "KTAP version 1"
echo "1..$#"
for test in "$@"; do
	number=$((number + 1))
	start=$SECONDS
	run_one "$number" "$test"
	echo "# $test took $((SECONDS - start)) s"
	[ "${verdict%% *}" = ok ] || failed=1
done
exit "$failed"
