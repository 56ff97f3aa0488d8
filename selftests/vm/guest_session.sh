#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Nested guests do what lib/guest.sh promises, so that tests can build on it.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/guest.sh"

guest_need
tap_plan 12
guest_start a
tap_run "a guest boots" guest_wait a || tap_bail "no guest"

output=$(guest_run a 'echo "two  words"; echo error >&2; exit 42')
tap_is "$?" 42 "a command's exit status is exact"
tap_is "$output" "two  words
error" "a command's output is exact"
GUEST_TIMEOUT=2 guest_run a sleep 100 > /dev/null
tap_is "$?" 143 "a command has a time limit"
guest_run a sleep 30 > /dev/null &
tap_is "$(guest_run a echo fast)" fast "commands run side by side"
kill $!
wait $! 2>/dev/null
tap_is "$(guest_run a 'seq 1 50000' | md5sum)" "$(seq 1 50000 | md5sum)" \
	"much output arrives whole"

tap_run "QMP answers" guest_qmp a query-status
tap_fails "a QMP error is an error" guest_qmp a no-such-command
guest_qmp a system_reset > /dev/null
tap_run "a guest boots again" guest_wait a
tap_run "and runs commands again" guest_run a true
pid=$(guest_pid a)
guest_kill a
tap_ok "$([ ! -d "/proc/$pid" ]; echo $?)" "a killed guest is gone"
guest_start b
guest_quit b
tap_is "$?" 0 "a guest can be ended in order"
tap_exit
