# SPDX-License-Identifier: GPL-2.0
# Guests with their memory in khxmem, or in anonymous memory that KSM merges.
#
#	. "$(dirname "$0")/memguest.sh"
#
# shellcheck shell=bash

guest_need
tap_need jq
[ -d /sys/kernel/khx_merge ] || tap_skip_all "khx_merge is not loaded"

sysfs=/sys/kernel/khx_merge
ksm=/sys/kernel/mm/ksm
dir=/tmp/khxmem-guests
mkdir -p "$dir"

figure() {
	cat "$sysfs/$1"
}

# in_use: pages the mount holds, a merged one for each of its files
in_use() {
	stat -f -c '%b %f' "$dir" | awk '{ print $1 - $2 }'
}

below() {
	[ "$(in_use)" -lt "$1" ]
}

# scan_fast SYSFS: at full speed
scan_fast() {
	echo 20000 > "$1/pages_to_scan"
	echo 20 > "$1/sleep_millisecs"
	echo 1 > "$1/run"
}

# khxmem PATH: a backend there
khxmem() {
	echo "memory-backend-file,share=on,align=2M,mem-path=$1"
}

# start NAME MEMORY-BACKEND QEMU-ARGUMENTS...
start() {
	local name=$1 backend=$2
	shift 2
	GUEST_MACHINE=q35,memory-backend=mem,mem-merge=off guest_start "$name" \
		-object "$backend,id=mem,size=${GUEST_MEM}M" "$@"
}

# claim NAME COMMAND...: as tap_run, but in this shell, which has the guests
claim() {
	local name=$1 status=0
	shift
	"$@" > "$GUEST_DIR/claim" 2>&1 || status=$?
	tap_ok $status "$name" && return
	tap_diag "exit status $status: $*"
	tap_diag "$(tail -n 30 "$GUEST_DIR/claim")"
	return 1
}

# work NAME: make, copy and check files
work() {
	GUEST_TIMEOUT=120 guest_run "$1" 'mkdir -p /tmp/work; cd /tmp/work
		for i in 1 2 3; do
			dd if=/dev/urandom of=a bs=1024 count=1024 2>/dev/null
			cp a b && cmp a b || exit 1
			rm a b
		done'
}

# work_on NAME, worked NAME: copy and check without end, and whether that was right
work_on() {
	guest_run "$1" 'mkdir -p /tmp/long; cd /tmp/long; rm -f stop wrong rounds
		setsid sh -c "
			dd if=/dev/urandom of=a bs=1024 count=1024
			while [ ! -e stop ]; do
				cp a b && cmp a b || echo wrong >> wrong
				echo >> rounds
			done" > /dev/null 2>&1 < /dev/null &'
}

worked() {
	guest_run "$1" 'cd /tmp/long; n=$(wc -l < rounds); sleep 3
		[ "$(wc -l < rounds)" -gt "$n" ] && touch stop && [ ! -e wrong ]'
}
