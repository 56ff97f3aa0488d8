#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# io.max of the owner's cgroup holds for its disks, whoever does the work.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

# What is held to a rate waits for most of its time: all of it at once, if that is no
# more than can be, each on a disk of its own.
disks="khx-writes khx-reads khx-killed khx-file"

make_cgroup() {
	blk_cgroup_root io || return
	cgroup=$blk_path/khx-limits
	mkdir "$cgroup" || return
	blk_later "rmdir $cgroup"
}

# set_limit DISK BYTES
set_limit() {
	echo "$(lsblk -dno MAJ:MIN "/dev/$1" | tr -d ' ') rbps=$2 wbps=$2" > "$cgroup/io.max"
}

# limited COMMAND...: as a process of that cgroup.
limited() {
	(echo $BASHPID > "$cgroup/cgroup.procs" && exec "$@")
}

# measure FILE DISK-RATE-ARGUMENTS...: the rate, into a file. Of eight seconds, as a
# busy machine may stand still for half of one; more makes it too slow, never too fast.
measure() {
	local rate try
	for try in 1 2 3; do
		rate=$(limited disk-rate "${@:2}")
		echo "${rate:-0}" >> "$blk_dir/$1"
		[ "${rate:-0}" -le 921 ] || break
	done
}

measure_file() {
	# The first time blocks have to be found, which a thread does that may sleep.
	measure holes "$1" out 8 direct
	measure over "$1" out 8 direct
}

# A worker that is killed cannot reach memory that it has never seen; he who takes
# its place is in nobody's cgroup. Of 12 s, it is there for three or four.
measure_killed() {
	limited killed "$1" 47 > "$blk_dir/killed"
}

# at_once COMMAND...: all of them together are to do 7 MiB a second.
at_once() {
	"$@" &
	[ "$rate" -gt 32768 ] || wait
}

# is_held FILE NAME: within a tenth.
is_held() {
	local rate
	tap_diag "$2: $(xargs < "$blk_dir/$1") KiB/s"
	rate=$(tail -n 1 "$blk_dir/$1")
	[ "$rate" -gt 921 ] && [ "$rate" -lt 1127 ]
	tap_ok $? "$2: 1 MiB/s within 10 %"
}

tap_plan 7
for disk in $disks; do
	blk_null_blk "$disk" || tap_bail "no null_blk"
done
make_cgroup || tap_bail "no io controller"
rate=$(disk-rate /dev/khx-writes out 16)
tap_diag "without a limit: $rate KiB/s"
tap_ok "$([ "$rate" -gt 4096 ]; echo $?)" "without a limit it is more"
mkfs.ext4 -q -E nodiscard /dev/khx-file && mkdir "$blk_dir/fs" &&
	mount /dev/khx-file "$blk_dir/fs" || tap_bail "no ext4"
blk_later "umount $blk_dir/fs"
blk_file "$blk_dir/fs/disk" 16

for disk in $disks; do
	set_limit "$disk" 1048576 || tap_bail "no io.max"
done
set_limit khx-killed $((4 << 20))
at_once measure writes /dev/khx-writes out 8
at_once measure reads /dev/khx-reads in 8
at_once measure_file "$blk_path"
at_once measure_killed /dev/khx-killed
wait

is_held writes "writes"
is_held reads "reads"
read -r status ms < "$blk_dir/killed"
tap_is "$status" 0 "a long read whose owner is killed is done"
tap_diag "47 MiB at 4 MiB/s: $ms ms"
tap_ok "$([ "$ms" -ge 9000 ]; echo $?)" "and at no higher rate"
is_held holes "direct writes of a file with holes"
is_held over "and over it"
tap_exit
