#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A guest that works all the time, its memory in khxmem and being merged, by an
# unmodified QEMU: it is migrated (a to b), saved to a file and restored from it
# (b to c), and its memory is dumped. No byte of its memory is lost on the way.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/memguest.sh"

GUEST_MEM=${GUEST_MEM:-128}
# Its page is written by KVM when the state of a vCPU is loaded.
GUEST_APPEND=no-kvmclock

boots() {
	start a "$(khxmem "$dir")" && guest_wait a 240
}

migrates() {
	start b "$(khxmem "$dir")" -S -incoming "unix:$GUEST_DIR/socket" &&
		guest_qmp a migrate "{\"uri\": \"unix:$GUEST_DIR/socket\"}" &&
		tap_wait 120 guest_is_migrated a && tap_wait 60 guest_is_loaded b &&
		guest_same_memory a b
}

saves() {
	guest_qmp b stop &&
		guest_qmp b migrate "{\"uri\": \"exec:cat > $GUEST_DIR/saved\"}" &&
		tap_wait 120 guest_is_migrated b
}

restores() {
	start c "$(khxmem "$dir")" -S -incoming "exec:cat $GUEST_DIR/saved" &&
		tap_wait 120 guest_is_loaded c && guest_same_memory b c
}

# goes_on FROM TO: and did no wrong before
goes_on() {
	guest_kill "$1"
	guest_qmp "$2" cont && worked "$2"
}

is_dumped() {
	guest_qmp c query-dump | grep -q '"status": "completed"'
}

dumps() {
	guest_qmp c dump-guest-memory "{\"paging\": false, \"detach\": true,
		\"protocol\": \"file:$GUEST_DIR/dump\"}" && tap_wait 120 is_dumped &&
		[ "$(stat -c %s "$GUEST_DIR/dump")" -ge $((GUEST_MEM << 20)) ]
}

tap_plan 12
tap_run "khxmem is mounted" mount -t khxmem -o size=1g khxmem "$dir" || tap_bail
echo 100 > $sysfs/cpu_limit
scan_fast $sysfs
claim "a guest boots while it is merged" boots || tap_bail
work_on a
claim "it is migrated, every byte" migrates || tap_bail
claim "and works on" goes_on a b
work_on b
claim "it is saved to a file" saves || tap_bail
claim "and restored from it, every byte" restores || tap_bail
claim "and works on" goes_on b c
tap_ok "$([ "$(figure pages_merged)" -gt 1000 ]; echo $?)" \
	"its pages were merged meanwhile ($(figure pages_merged))"
claim "its memory is dumped" dumps
tap_run "it is well" work c
guest_kill c
tap_run "without it there is no memory in use" tap_wait 5 below 1
tap_run "nothing keeps the mount" umount "$dir"
echo 0 > $sysfs/run
tap_exit
