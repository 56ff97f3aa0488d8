# SPDX-License-Identifier: GPL-2.0
# TAP (KTAP) output for tests written in shell (bash), as tap.h is for C:
#
#	. "$(dirname "$0")/../lib/tap.sh"
#	tap_plan 2
#	tap_run "the link is up" ip link set tap0 up
#	tap_ok "$([ "$mtu" = 9000 ]; echo $?)" "the MTU is 9000"
#	tap_exit
#
# shellcheck shell=bash

TAP_PASS=0
TAP_FAIL=1
TAP_SKIP=4
tap_planned=0
tap_done=0
tap_failed=0
tap_skipped=0

# tap_plan COUNT: how many results will follow.
tap_plan() {
	tap_planned=$1
	echo "KTAP version 1"
	echo "1..$1"
}

# tap_ok STATUS NAME: one result, of a command's exit status.  Returns it.
tap_ok() {
	tap_done=$((tap_done + 1))
	if [ "$1" = 0 ]; then
		echo "ok $tap_done $2"
		return 0
	fi
	tap_failed=$((tap_failed + 1))
	echo "not ok $tap_done $2"
	return 1
}

# tap_run NAME COMMAND...: the result of a command, whose output is shown only
# if it fails.
tap_run() {
	local name=$1 status=0 output
	shift
	output=$("$@" 2>&1) || status=$?
	tap_ok "$status" "$name" && return
	tap_diag "exit status $status: $*"
	[ -z "$output" ] || tap_diag "$output"
	return 1
}

# tap_fails NAME COMMAND...: the command must fail, by itself and not by a signal.
tap_fails() {
	local name=$1 status=0 output
	shift
	output=$("$@" 2>&1) || status=$?
	[ "$status" -gt 0 ] && [ "$status" -lt 126 ]
	tap_ok $? "$name" && return
	tap_diag "exit status $status: $*"
	[ -z "$output" ] || tap_diag "$output"
	return 1
}

# tap_is GOT WANTED NAME: two strings that must be the same.
tap_is() {
	if [ "$1" = "$2" ]; then
		tap_ok 0 "$3"
		return
	fi
	tap_ok 1 "$3"
	tap_diag "got '$1', wanted '$2'"
	return 1
}

# tap_skip REASON NAME: one result that cannot be had on this machine.
tap_skip() {
	tap_done=$((tap_done + 1))
	tap_skipped=$((tap_skipped + 1))
	echo "ok $tap_done $2 # SKIP $1"
}

# tap_diag TEXT: lines for the reader.
tap_diag() {
	printf '%s\n' "$*" | sed 's/^/# /'
}

# tap_skip_all REASON: nothing of this test can run here.
tap_skip_all() {
	echo "1..0 # SKIP $1"
	exit "$TAP_SKIP"
}

# tap_bail REASON: the test cannot go on; that is a failure.
tap_bail() {
	echo "Bail out! $1"
	exit "$TAP_FAIL"
}

# tap_need COMMAND...: skip the whole test where one of them is not installed.
tap_need() {
	local command
	for command in "$@"; do
		command -v "$command" > /dev/null || tap_skip_all "no $command"
	done
}

# tap_need_root: most tests configure interfaces or load modules.
tap_need_root() {
	[ "$(id -u)" = 0 ] || tap_skip_all "needs root"
}

# tap_expect_splat [REGEX]: the kernel will print a line that matches, and the
# test wants that (see splats.awk).  Without REGEX that ends.
tap_expect_splat() {
	echo "khx-expect: ${1:-}" > /dev/kmsg
}

# tap_wait SECONDS COMMAND...: try the command until it succeeds.
tap_wait() {
	local end=$((SECONDS + $1))
	shift
	until "$@" > /dev/null 2>&1; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# tap_exit: leave; a plan that was not kept is a failure.
tap_exit() {
	if [ "$tap_done" != "$tap_planned" ]; then
		tap_diag "planned $tap_planned results, gave $tap_done"
		exit "$TAP_FAIL"
	fi
	if [ "$tap_failed" != 0 ]; then
		tap_diag "$tap_failed of $tap_planned failed"
		exit "$TAP_FAIL"
	fi
	if [ "$tap_planned" != 0 ] && [ "$tap_skipped" = "$tap_planned" ]; then
		exit "$TAP_SKIP"
	fi
	exit "$TAP_PASS"
}
