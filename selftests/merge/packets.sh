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
trap 'echo 0 > $sysfs/run; umount $dir 2> /dev/null' EXIT

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

tap_plan 3
mkdir -p $dir
mount -t khxmem khxmem $dir || tap_bail "no mount"
set_all pages_to_scan 100000 sleep_millisecs 0 cpu_limit 100 profit_guard 0 run 1
read -r merged broken <<< "$(counts)"
VDEV_MEMORY=$dir tap_run "packets of all sizes arrive unchanged" traffic
read -r merges breaks <<< "$(counts)"
merged=$((merges - merged)) broken=$((breaks - broken))
tap_ok "$([ $merged -gt 50 ] && [ $broken -gt 50 ]; echo $?)" \
	"while pages merged ($merged) and were written again ($broken)"
set_all run 0 cpu_limit 10 sleep_millisecs 20 profit_guard 1
tap_run "nothing keeps the mount" umount $dir
tap_exit
