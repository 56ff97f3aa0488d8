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

# rate NAME: of reads, by a process of that cgroup, while others do the same.
rate() {
	(echo $BASHPID > "$root/khx-$1/cgroup.procs" &&
		exec disk-rate /dev/nullb-khx in 5s > "$blk_dir/rate.$1")
}

# is_shared NAME MIN MAX: what b gets, in percent of what a does.
is_shared() {
	local a b
	rate a &
	rate b
	wait $!
	a=$(cat "$blk_dir/rate.a") b=$(cat "$blk_dir/rate.b")
	tap_diag "$1: $a and $b KiB/s"
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
