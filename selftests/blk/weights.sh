#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Two owners share a disk's bandwidth as io.weight of their cgroups says.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

# weigh NAME WEIGHT: a cgroup.
weigh() {
	local cgroup=$root/khx-$1
	[ -d "$cgroup" ] || mkdir "$cgroup" || return
	blk_later "rmdir $cgroup"
	echo "$2" > "$cgroup/io.weight"
}

# reads NAME: by a process of that cgroup, until it is killed.
reads() {
	echo $BASHPID > "$root/khx-$1/cgroup.procs" &&
		exec disk-rate /dev/nullb-khx in 600s > /dev/null
}

# What both have read, in bytes, at one moment.
bytes_read() {
	awk -v device="$device" '
	FNR == 1 { file++ }
	$1 == device { sub("rbytes=", "", $2); bytes[file] = $2 }
	END { print bytes[1] + 0, bytes[2] + 0 }' "$root"/khx-{a,b}/io.stat
}

both_read() {
	local a b
	read -r a b <<< "$(bytes_read)"
	[ "$a" -gt "${1:-0}" ] && [ "$b" -gt "${2:-0}" ]
}

# is_shared NAME MIN MAX: what b gets, in percent of what a does in the same 5 s.
is_shared() {
	local a b a_before b_before
	read -r a_before b_before <<< "$(bytes_read)"
	reads a &
	reads b &
	tap_wait 60 both_read "$a_before" "$b_before" || tap_bail "nothing is read"
	read -r a_before b_before <<< "$(bytes_read)"
	sleep 5
	read -r a b <<< "$(bytes_read)"
	a=$((a - a_before)) b=$((b - b_before))
	# shellcheck disable=SC2046 # words are meant to split
	kill $(jobs -p)
	wait
	tap_diag "$1: $a and $b bytes"
	[ $((b * 100)) -ge $((a * $2)) ] && [ $((b * 100)) -le $((a * $3)) ]
	tap_ok $? "$1"
}

blk_cgroup_root io || tap_skip_all "no io controller"
root=$blk_path
[ -e "$root/io.cost.qos" ] || tap_skip_all "no io.cost"
blk_null_blk nullb-khx || tap_bail "no null_blk"
# A device of 8 MiB a second, at most 128 requests, never less and never more.
device=$(lsblk -dno MAJ:MIN /dev/nullb-khx | tr -d ' ')
echo "$device ctrl=user model=linear rbps=8388608 rseqiops=4096 rrandiops=4096 wbps=8388608 wseqiops=4096 wrandiops=4096" \
	> "$root/io.cost.model" &&
	echo "$device enable=1 ctrl=user min=100.00 max=100.00" > "$root/io.cost.qos" ||
	tap_skip_all "no io.cost for this device"
blk_later "echo '$device enable=0' > $root/io.cost.qos"

tap_plan 2
weigh a 100 && weigh b 100 || tap_bail "no io.weight"
is_shared "as much for the same weight" 75 133
weigh b 300
is_shared "more for more weight" 200 400
tap_exit
