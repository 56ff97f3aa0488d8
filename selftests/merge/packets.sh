#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# khx_net finds its rings and buffers in memory that merges: they are mostly zeros,
# which are given back while packets come and go.

. "$(dirname "$0")/../lib/tap.sh"

tap_need_root
sysfs=/sys/kernel/khx_merge
dir=/tmp/khxmem-packets
[ -d $sysfs ] || tap_skip_all "khx_merge is not loaded"
log=$(mktemp)
trap 'echo 0 > $sysfs/run; umount $dir 2> /dev/null; rm "$log"' EXIT

# set_all SETTING VALUE...
set_all() {
	while [ $# -gt 0 ]; do
		echo "$2" > "$sysfs/$1" || tap_bail "$1: cannot be set"
		shift 2
	done
}

counts() {
	cat $sysfs/pages_merged $sysfs/cow_breaks | xargs
}

# How often the scanner comes between two packets is the scheduler's choice: once
# more, until it was often.
amid_merging() {
	local merged broken
	read -r merged broken <<< "$(counts)"
	for _ in 1 2 3 4 5; do
		VDEV_MEMORY=$dir traffic > "$log" || { sed 's/^/# /' "$log"; return 1; }
		read -r merges breaks <<< "$(counts)"
		merges=$((merges - merged)) breaks=$((breaks - broken))
		[ $merges -le 50 ] || [ $breaks -le 50 ] || break
	done
}

tap_plan 3
mkdir -p $dir
mount -t khxmem khxmem $dir || tap_bail "no mount"
set_all pages_to_scan 100000 sleep_millisecs 0 cpu_limit 100 profit_guard 0 run 1
merges=0 breaks=0
amid_merging
tap_ok $? "packets of all sizes arrive unchanged"
tap_ok "$([ $merges -gt 50 ] && [ $breaks -gt 50 ]; echo $?)" \
	"while pages merged ($merges) and were written again ($breaks)"
tap_run "nothing keeps the mount" umount $dir
set_all run 0 cpu_limit 10 sleep_millisecs 20 profit_guard 1
tap_exit
