#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the kernel does for a disk on a file is charged to its owner's cgroup: CPU
# time, also that of the threads that wait in the worker's place, and page cache.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

# As a process of the cgroup.
charged() {
	(echo $BASHPID > "$cgroup/cgroup.procs" && exec "$@")
}

# How many threads of khx are charged there: processes, or threads of the owner.
threads() {
	local tid
	while read -r tid; do
		cat "/proc/$tid/comm"
	done < "$cgroup/cgroup.threads" 2> /dev/null | grep -c '^khx-'
}

# The most there were until process $1 ended.
most_threads() {
	local n most=0
	while kill -0 "$1" 2> /dev/null; do
		n=$(threads)
		[ "$n" -le "$most" ] || most=$n
		sleep 0.1
	done
	echo "$most"
}

# CPU time in ms, of the cgroup and of all kernel threads that are nobody's.
cgroup_ms() {
	awk '$1 == "usage_usec" { print int($2 / 1000) }' "$cgroup/cpu.stat"
}

kworker_ms() {
	cat /proc/[0-9]*/stat 2> /dev/null | awk -v hz="$(getconf CLK_TCK)" '
	/\(kworker/ { sub(/.*\) /, ""); ticks += $12 + $13 }
	END { print int(ticks * 1000 / hz) }'
}

# cached KIND: MiB of memory.stat.
cached() {
	awk -v kind="$1" '$1 == kind { print int($2 / 1048576) }' "$cgroup/memory.stat"
}

blk_cgroup_root cpu memory || tap_skip_all "no cpu and memory controllers"
cgroup=$blk_path/khx-charges
mkdir "$cgroup" || tap_bail "no cgroup"
blk_later "rmdir $cgroup"

tap_plan 5
# tmpfs has all work done by threads that may wait.
blk_file "$blk_dir/tmpfs" 16
kworkers=$(kworker_ms)
charged disk-rate "$blk_path" out 6s > "$blk_dir/rate" &
most=$(most_threads $!)
wait $!
kworkers=$(($(kworker_ms) - kworkers)) used=$(cgroup_ms)
tap_diag "$(cat "$blk_dir/rate") KiB/s, $most threads"
tap_diag "$used ms of the cgroup, $kworkers ms of kworkers"
tap_ok "$([ "$most" -ge 2 ] && [ "$most" -le 17 ]; echo $?)" \
	"threads that wait are the owner's, and not many"
tap_ok "$([ "$kworkers" -lt $((used / 10)) ]; echo $?)" \
	"others do not work for him"
tap_ok "$([ "$(cached shmem)" -ge 15 ]; echo $?)" "pages of tmpfs"

blk_mount ext4 64 || tap_bail "no ext4"
blk_file "$blk_path/disk" 16
was=$(cached file)
charged disk-rate "$blk_path" out 16 > "$blk_dir/rate" || tap_bail "no writes"
tap_ok "$([ $(($(cached file) - was)) -ge 15 ]; echo $?)" "dirty pages of ext4"
tap_is "$(threads)" 0 "no thread stays behind"
tap_exit
