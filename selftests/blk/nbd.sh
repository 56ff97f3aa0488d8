#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Recipes of Documentation/blk.rst: qcow2, and storage elsewhere, by NBD.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need qemu-nbd qemu-img ip
modprobe -q nbd nbds_max=4 || tap_skip_all "no nbd"

# What qemu-nbd serves on the next free NBD device, in $blk_path.
nbd() {
	local dev
	for dev in /sys/block/nbd*; do
		[ -e "$dev/pid" ] || break
	done
	blk_path=/dev/${dev##*/}
	qemu-nbd -c "$blk_path" --socket "$blk_dir/nbd.sock" --cache=writeback \
		--discard=unmap "$@" > "$blk_dir/nbd.log" 2>&1 || return
	blk_later "qemu-nbd -d $blk_path"
	tap_wait 10 test -e "$dev/pid"
}

sum() {
	sha256sum < "$1"
}

tap_plan 4
qemu-img create -q -f qcow2 "$blk_dir/qcow2" 64M && nbd -f qcow2 "$blk_dir/qcow2"
blk_tap "qcow2 is a disk" requests "$blk_path"
was=$(sum "$blk_path")
qemu-nbd -d "$blk_path" > /dev/null
# It is locked until qemu-nbd has ended.
tap_wait 20 qemu-img convert -f qcow2 -O raw "$blk_dir/qcow2" "$blk_dir/raw"
tap_is "$(sum "$blk_dir/raw")" "$was" "what is written is in the file"
rm "$blk_dir/raw"

ip link set lo up
blk_file "$blk_dir/remote" 64
qemu-nbd -t -f raw -b 127.0.0.1 -p 10809 "$blk_dir/remote" &
blk_later "kill $!"
tap_wait 10 nbd -f raw nbd://127.0.0.1:10809 || tap_diag "$(cat "$blk_dir/nbd.log")"
blk_tap "NBD by TCP is a disk" requests "$blk_path"
was=$(sum "$blk_path")
qemu-nbd -d "$blk_path" > /dev/null
tap_is "$(sum "$blk_dir/remote")" "$was" "what is written is at the server"
tap_exit
