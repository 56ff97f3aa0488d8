# SPDX-License-Identifier: GPL-2.0
# Disks of every kind for the tests of khx_blk.
# shellcheck shell=bash

# blk_need: what all of these tests need.
blk_need() {
	tap_need_root
	[ -c /dev/khx-blk ] || tap_skip_all "no /dev/khx-blk"
	modprobe -q loop
	blk_dir=$(mktemp -d)
	trap blk_cleanup EXIT
}

blk_cleanup_commands=()

# blk_later COMMAND: to be run at the end, last one first.
blk_later() {
	blk_cleanup_commands=("$1" "${blk_cleanup_commands[@]}")
}

blk_cleanup() {
	local command
	for command in "${blk_cleanup_commands[@]}"; do
		eval "$command" > /dev/null 2>&1
	done
	rm -rf "$blk_dir"
}

# blk_null_blk NAME [KEY=VALUE...]: a null_blk with memory, in $blk_path.
blk_null_blk() {
	local name=$1 setting dir=/sys/kernel/config/nullb/$1
	shift
	modprobe null_blk nr_devices=0 || return
	mountpoint -q /sys/kernel/config ||
		mount -t configfs none /sys/kernel/config || return
	mkdir "$dir" || return
	blk_later "echo 0 > $dir/power; rmdir $dir"
	for setting in size=256 memory_backed=1 queue_mode=2 irqmode=0 \
			discard=1 "$@"; do
		echo "${setting#*=}" > "$dir/${setting%%=*}" || return
	done
	echo 1 > "$dir/power" || return
	blk_path=/dev/$name
	tap_wait 60 test -b "$blk_path"
}

# blk_dm NAME < TABLE: a device-mapper device, in $blk_path; with or without udev.
blk_dm() {
	modprobe -q dm-mod
	dmsetup --noudevsync create "$1" || return
	blk_later "dmsetup --noudevsync remove $1"
	blk_path=/dev/$(dmsetup info -c --noheadings -o blkdevname "$1")
	tap_wait 60 test -b "$blk_path"
}

# blk_mount FS MIB: a file system, on a file in memory; its root in $blk_path.
blk_mount() {
	local fs=$1 size=$2 image=$blk_dir/$1.img
	truncate -s "${size}M" "$image" &&
		"mkfs.$fs" -q "$image" > /dev/null 2>&1 &&
		mkdir "$blk_dir/$fs" &&
		mount -o loop "$image" "$blk_dir/$fs" || return
	blk_later "umount $blk_dir/$fs"
	blk_path=$blk_dir/$fs
}

# blk_file PATH MIB
blk_file() {
	truncate -s "${2}M" "$1" && blk_path=$1
}

# blk_cgroup_root CONTROLLER...: the root of the cgroups, with those, in $blk_path.
blk_cgroup_root() {
	local root=/sys/fs/cgroup controller
	if [ "$(stat -f -c %T $root)" != cgroup2fs ]; then
		root=$blk_dir/cgroup
		mkdir "$root" && mount -t cgroup2 none "$root" || return
		blk_later "umount $root"
	fi
	for controller in "$@"; do
		grep -qw "$controller" "$root/cgroup.controllers" &&
			echo "+$controller" > "$root/cgroup.subtree_control" || return
	done
	blk_path=$root
}

# blk_tap NAME COMMAND...: a program that speaks TAP is one result of ours; what
# it says is shown if that is bad.
blk_tap() {
	local name=$1 status=0 output
	shift
	output=$("$@" 2>&1) || status=$?
	tap_ok "$status" "$name: $(grep -c '^ok ' <<< "$output") claims" && return
	tap_diag "$(grep -v '^ok ' <<< "$output")"
}
