#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The module as it is when it has been loaded, and that it goes while it scans.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/../lib/modules.sh"

tap_need_root
sysfs=/sys/kernel/khx_merge
dir=/tmp/khxmem-loading
[ -d $sysfs ] || tap_skip_all "khx_merge is not loaded"
! grep -q ' khxmem ' /proc/mounts || tap_skip_all "khxmem is in use"
trap 'umount $dir 2> /dev/null; khx_module_load khx_merge; echo 0 > $sysfs/run' EXIT

loads() {
	khx_module_load khx_merge
}

settings() {
	(cd $sysfs && grep . run pages_to_scan sleep_millisecs cpu_limit \
		max_page_sharing use_zero_pages merge_across_nodes profit_guard state) |
		xargs
}

scans() {
	mount -t khxmem khxmem $dir && yes | head -c 1M > $dir/equal || return
	echo 100 > $sysfs/cpu_limit
	echo 0 > $sysfs/sleep_millisecs
	echo 1 > $sysfs/run
	tap_wait 60 eval '[ "$(cat $sysfs/pages_sharing)" = 255 ]'
}

# At any moment of a pass.
goes_while_it_scans() {
	local i
	for i in 0 3 9; do
		loads && scans || return
		! rmmod khx_merge 2> /dev/null || return
		umount $dir && sleep 0.00$i && rmmod khx_merge || return
	done
}

mkdir -p $dir
tap_plan 4
tap_run "it is unloaded" rmmod khx_merge
tap_run "and loaded" loads
tap_is "$(settings)" "run:0 pages_to_scan:1024 sleep_millisecs:20 cpu_limit:10 \
max_page_sharing:65536 use_zero_pages:1 merge_across_nodes:1 profit_guard:1 state:stopped" \
	"with the settings that are documented"
tap_run "a mount keeps it; without one it goes while it scans" goes_while_it_scans
tap_exit
