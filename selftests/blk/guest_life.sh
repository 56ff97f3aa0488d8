#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The life of one guest, all of whose disks are khx-vhost-user's: it boots from one,
# makes a file system on another with packed rings, sees that grow, has its back end
# killed and replaced, and moves to another QEMU while fio verifies what it wrote.
# Other kinds of disks and longer rows: guest_boot.sh, guest_disks.sh,
# guest_migration.sh, guest_queues.sh.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/lib.sh"
. "$here/blkguest.sh"

# As guest_migration.sh has it.
GUEST_APPEND=no-kvmclock
GUEST_MEM=192
BLK_GUEST_MIB=$GUEST_MEM
BLK_GUEST_HOST=0
BLK_FIO_SIZE=512k

# Each side has a back end of its own, for the same disks.
serve_side() {
	blk_disks=()
	blk_disk "root-$1" "$blk_dir/root" "" --serial root --force
	blk_disk "disk-$1" "$blk_dir/disk" "" --serial disk --force
	blk_serve
}

start_side() {
	local name=$1 disk packed=off
	shift
	disks=()
	for disk in root disk; do
		disks+=(-chardev "socket,id=chr-$disk,path=$blk_dir/$disk-$name.sock,reconnect=1"
			-device "vhost-user-blk-pci,id=$disk,chardev=chr-$disk,num-queues=1,packed=$packed")
		packed=on
	done
	blk_guest_start "$name" "$@"
}

boot() {
	start_side a && guest_wait a 300 && blk_root_is_disk a
}

resize() {
	truncate -s 96M "$blk_dir/disk" && tap_wait 20 blk_has_size a disk 96 &&
		blk_in a disk "dd if=/dev/zero of=\$d bs=1M seek=95 count=1 oflag=direct"
}

move() {
	seq 10000000 | dd of="$blk_dir/disk" bs=1M count=40 iflag=fullblock conv=notrunc &&
		serve_side b && blk_fio_start a && blk_fio_goes_on a && blk_hop a b
}

blk_guest_set_up
tap_need cpio mkfs.ext4
blk_make_root fio || tap_bail "no root file system"
truncate -s 64M "$blk_dir/disk"

tap_plan 8
serve_side a || tap_bail "no back end"
blk_claim "it boots from its disk" boot || tap_bail "no use going on"
blk_claim "mkfs.ext4 and e2fsck" blk_in_mkfs a disk ext4
blk_claim "fio verifies what it has written" blk_in_fio a disk 512k
blk_claim "the disk grows" resize
blk_claim "the back end is killed and replaced" blk_exchange a disk 1
blk_claim "it moves amid I/O" move
blk_claim "fio has found no error" blk_fio_stop b
guest_kill b
tap_run "its root file system is good" blk_root_is_good
sed 's/^/# log: /' "$blk_dir/daemon.log" | head -n 20
tap_exit
