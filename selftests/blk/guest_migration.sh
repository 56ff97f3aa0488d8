#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Live migration of a guest whose disk both sides can reach: while fio writes and
# verifies it, it moves from one khx-vhost-user to another, to and fro. Nothing of
# the disk is lost or changed; and the guest's memory is the same, byte by byte, in
# the QEMU that was left and the one that goes on, as no page that khx_blk read
# into is missing from the dirty log.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/lib.sh"
. "$here/blkguest.sh"

# Its page is written by KVM when the state of a vCPU is loaded.
GUEST_APPEND=no-kvmclock
GUEST_MEM=192
BLK_GUEST_MIB=$GUEST_MEM
# A guest that has mounted something of the host's cannot move: fio is on a disk.
BLK_GUEST_HOST=0
ROUNDS=${KHX_ROUNDS:-5}
kind=

make_fio_image() {
	local tree=$blk_dir/fio
	mkdir -p "$tree"/{dev,proc,sys,tmp} && blk_copy_program fio "$tree" &&
		mkfs.ext4 -q -d "$tree" "$blk_dir/fio.img" 160M && rm -rf "$tree"
}

# Each side serves the same disks by a back end of its own.
serve_sides() {
	local side
	for side in a b; do
		blk_disk "disk-$side" "$1" "" --serial disk --force
		blk_disk "fio-$side" "$blk_dir/fio.img" "" --serial fio --readonly
		blk_serve || return
		blk_disks=()
	done
}

start_side() {
	local name=$1 disk
	shift
	disks=()
	for disk in disk fio; do
		disks+=(-chardev "socket,id=chr-$disk,path=$blk_dir/$disk-$name.sock"
			-device "vhost-user-blk-pci,id=$disk,chardev=chr-$disk,num-queues=1,$kind")
	done
	blk_guest_start "$name" "$@"
}

# As lib/guest.sh has it with GUEST_HOST=1, but from the disk.
mount_fio() {
	blk_in "$1" fio "
		modprobe -a crc32c_generic ext4
		mkdir -p /host; mount -t ext4 -o ro,noload \$d /host
		for dir in dev proc sys; do mount --bind /\$dir /host/\$dir; done
		mount -t tmpfs tmpfs /host/tmp"
}

boot() {
	start_side a && guest_wait a 300 && mount_fio a && blk_fio_start a &&
		blk_fio_goes_on a
}

# journey NAME: boot, then to and fro, five in a row.
journey() {
	local i from=a to=b
	blk_claim "$1: boot" boot || return
	for ((i = 1; i <= ROUNDS; i++)); do
		blk_claim "$1: migration $i" blk_hop $from $to || return
		read -r from to <<< "$to $from"
	done
	blk_claim "$1: fio has found no error" blk_fio_stop $from
	guest_kill $from
}

blk_guest_set_up
tap_need mkfs.ext4
make_fio_image || tap_bail "no fio image"
blk_null_blk nullb-shared || tap_bail "no null_blk"
seq 10000000 | head -c 40M > "$blk_path" && blockdev --flushbufs "$blk_path" ||
	tap_bail "no contents"
tap_plan $((2 * ROUNDS + 4))
serve_sides "$blk_path" || tap_bail "no back ends"
kind=packed=off
journey "split" || tap_bail "no use going on"
kind=packed=on
journey "packed" || tap_bail "no use going on"
sed 's/^/# log: /' "$blk_dir/daemon.log" | head -n 20
tap_exit
