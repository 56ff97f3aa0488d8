#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# io.max of the owner's cgroup holds for its disks, whoever does the work.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need

limit=1048576
cgroup=

make_cgroup() {
	blk_cgroup_root io || return
	local root=$blk_path
	cgroup=$root/khx-limits
	mkdir "$cgroup" || return
	blk_later "rmdir $cgroup"
	set_limit
}

set_limit() {
	echo "$(lsblk -dno MAJ:MIN /dev/nullb-khx | tr -d ' ') rbps=$limit wbps=$limit" \
		> "$cgroup/io.max"
}

# limited DISK-RATE-ARGUMENTS...: as a process of that cgroup.
limited() {
	(echo $BASHPID > "$cgroup/cgroup.procs" && exec disk-rate "$@")
}

# is_held NAME ARGUMENTS...: within a tenth. Eight seconds, as a busy machine may
# stand still for half of one; more makes it too slow, never too fast.
is_held() {
	local name=$1 rate try
	shift
	for try in 1 2 3; do
		rate=$(limited "$@")
		tap_diag "$name: $rate KiB/s"
		[ "${rate:-0}" -le 921 ] || break
	done
	[ "${rate:-0}" -gt 921 ] && [ "$rate" -lt 1127 ]
	tap_ok $? "$name: 1 MiB/s within 10 %"
}

tap_plan 7
blk_null_blk nullb-khx || tap_bail "no null_blk"
make_cgroup || tap_bail "no io controller"
rate=$(disk-rate /dev/nullb-khx out 16)
tap_diag "without a limit: $rate KiB/s"
tap_ok "$([ "$rate" -gt 4096 ]; echo $?)" "without a limit it is more"
is_held "writes" /dev/nullb-khx out 8
is_held "reads" /dev/nullb-khx in 8
# A worker that is killed cannot reach memory that it has never seen; he who takes
# its place is in nobody's cgroup. Of 12 s, it is there for three or four.
limited_to() {
	limit=$1
	set_limit
	(echo $BASHPID > "$cgroup/cgroup.procs" && exec "${@:2}")
}
read -r status ms < <(limited_to $((4 << 20)) killed /dev/nullb-khx 47)
tap_is "$status" 0 "a long read whose owner is killed is done"
tap_diag "47 MiB at 4 MiB/s: $ms ms"
tap_ok "$([ "$ms" -ge 9000 ]; echo $?)" "and at no higher rate"
limit=1048576
set_limit
mkfs.ext4 -q -E nodiscard /dev/nullb-khx && mkdir "$blk_dir/fs" &&
	mount /dev/nullb-khx "$blk_dir/fs" || tap_bail "no ext4"
blk_later "umount $blk_dir/fs"
blk_file "$blk_dir/fs/disk" 16
# The first time blocks have to be found, which a thread does that may sleep.
is_held "direct writes of a file with holes" "$blk_path" out 8 direct
is_held "and over it" "$blk_path" out 8 direct
tap_exit
