#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A disk grows under a front end, which is told and can use the rest at once.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
PATH=$PATH:${KHX_TOP:-../..}/build/tools
tap_need khx-vhost-user dmsetup

# grows NAME PATH COMMAND...: from 64 to 96 MiB, by COMMAND. Before that, reading
# there is an error.
grows() {
	local name=$1 socket=$blk_dir/$1.sock
	khx-vhost-user --socket "$socket" --blk "$2" 2> "$blk_dir/log" &
	blk_later "kill $!"
	tap_wait 10 test -S "$socket"
	tap_is "$(resize "$socket" "${@:3}")" "131072 1 196608 0" "$name" ||
		tap_diag "$(cat "$blk_dir/log")"
}

# Of a device-mapper device.
resume_larger() {
	dmsetup --noudevsync suspend khx-size &&
		dmsetup load khx-size <<< "0 196608 linear /dev/nullb-khx 0" &&
		dmsetup --noudevsync resume khx-size
}
export -f resume_larger

tap_plan 4
blk_file "$blk_dir/file" 64
grows "a file" "$blk_path" truncate -s 96M "$blk_path"
blk_file "$blk_dir/loop" 64
loop=$(losetup --show -f "$blk_path") && blk_later "losetup -d $loop"
grows "a loop device" "$loop" \
	sh -c "truncate -s 96M $blk_dir/loop; losetup -c $loop"
blk_null_blk nullb-khx && blk_dm khx-size <<< "0 131072 linear /dev/nullb-khx 0" ||
	tap_bail "no device mapper"
grows "a device-mapper device" "$blk_path" bash -c resume_larger
blk_file "$blk_dir/smaller" 96
khx-vhost-user --socket "$blk_dir/smaller.sock" --blk "$blk_path" 2> /dev/null &
blk_later "kill $!"
tap_wait 10 test -S "$blk_dir/smaller.sock"
tap_is "$(resize "$blk_dir/smaller.sock" truncate -s 64M "$blk_path")" \
	"196608 1 131072 0" "a file that gets smaller"
tap_exit
