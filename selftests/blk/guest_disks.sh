#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# An unmodified guest with five disks of khx-vhost-user, split and packed, on
# storage of every kind: it does to them what guests do, reboots, and the host
# finds what it wrote.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/lib.sh"
. "$here/blkguest.sh"

# The guest writes a pattern that the host reads, and the other way round.
same_contents() {
	local sum
	sum=$(blk_in disks "$1" "head -c 1048576 /dev/urandom > /tmp/p
		dd if=/tmp/p of=\$d bs=64k seek=16 oflag=direct 2> /dev/null
		sync; sha256sum < /tmp/p") || return
	[ "$(dd if="$2" bs=1M skip=1 count=1 2> /dev/null | sha256sum)" = "$sum" ]
}

# blkdiscard -z, and without, of the second of three MiB.
ranges() {
	blk_in disks "$1" "
		mib() { dd bs=1M count=1 \"\$@\" 2> /dev/null | sha256sum; }
		head -c 3145728 /dev/urandom > /tmp/p
		for option in -z ''; do
			dd if=/tmp/p of=\$d bs=1M oflag=direct 2> /dev/null
			blkdiscard \$option -o 1048576 -l 1048576 \$d
			for i in 0 2; do
				[ \"\$(mib if=/tmp/p skip=\$i)\" = \"\$(mib if=\$d skip=\$i iflag=direct)\" ]
			done
			[ -z \"\$option\" ] ||
				[ \"\$(mib if=/dev/zero)\" = \"\$(mib if=\$d skip=1 iflag=direct)\" ]
		done"
}

readonly_disk() {
	blk_in disks readonly "
		[ \$(cat /sys/block/\${d#/dev/}/ro) = 1 ]
		if dd if=/dev/zero of=\$d bs=4k count=1 oflag=direct 2> /dev/null; then
			exit 1
		fi
		dd if=\$d bs=4k count=1 iflag=direct 2> /dev/null | grep -q khx-readonly"
}

resize_file() {
	truncate -s 96M "$blk_dir/tmpfs" && tap_wait 20 blk_has_size disks tmpfs 96 &&
		blk_in disks tmpfs "dd if=/dev/zero of=\$d bs=1M seek=95 count=1 oflag=direct"
}

resize_dm() {
	dmsetup --noudevsync suspend khx-linear &&
		echo "0 $((160 * 2048)) linear /dev/nullb-b 0" | dmsetup load khx-linear &&
		dmsetup --noudevsync resume khx-linear && tap_wait 20 blk_has_size disks dm 160 &&
		blk_in disks dm "dd if=/dev/zero of=\$d bs=1M seek=159 count=1 oflag=direct"
}

# again HOW...: the guest boots once more, and its disks are what they were.
again() {
	local name
	"$@" > /dev/null && guest_wait disks 240 && for name in null dm ext4; do
		blk_in disks $name "dd if=\$d bs=1M count=1 of=/dev/null iflag=direct 2> /dev/null" || return
	done
}

busy() {
	guest_run disks "setsid sh -c 'while :; do dd if=/dev/vda of=/dev/null bs=1M count=64 iflag=direct; done' > /dev/null 2>&1 &
		setsid sh -c 'while :; do dd if=/dev/zero of=/dev/vdb bs=64k count=64 oflag=direct; done' > /dev/null 2>&1 &"
	sleep 0.5
}

reboot_guest() {
	busy
	guest_run disks "(sleep 0.2; reboot -f) > /dev/null 2>&1 &"
}

reset_guest() {
	busy
	guest_qmp disks system_reset
}

blk_guest_set_up
blk_null_blk nullb-a size=400 && blk_null_blk nullb-b size=400 ||
	tap_bail "no null_blk"
blk_dm khx-linear <<< "0 $((128 * 2048)) linear /dev/nullb-b 0" ||
	tap_bail "no device mapper"
linear=$blk_path
blk_mount ext4 200 || tap_bail "no ext4"
blk_file "$blk_dir/ext4/disk" 128
blk_file "$blk_dir/tmpfs" 64
blk_file "$blk_dir/readonly" 16
printf 'khx-readonly' | dd of="$blk_dir/readonly" conv=notrunc 2> /dev/null

blk_disk null /dev/nullb-a ""
blk_disk dm "$linear" packed=on
blk_disk ext4 "$blk_dir/ext4/disk" num-queues=4 --direct on
blk_disk tmpfs "$blk_dir/tmpfs" packed=on,num-queues=4
blk_disk readonly "$blk_dir/readonly" "" --readonly

tap_plan 18
blk_claim "the back end listens" blk_serve || tap_bail "no back end"
blk_guest_start disks || tap_bail "QEMU does not start"
guest_wait disks 300 || tap_bail "the guest does not boot"
blk_claim "mkfs.ext4 and e2fsck, split" blk_in_mkfs disks null ext4
blk_claim "mkfs.xfs and xfs_repair, split" blk_in_mkfs disks null xfs
blk_claim "mkfs.ext4 and e2fsck, packed" blk_in_mkfs disks dm ext4
blk_claim "mkfs.ext4 on a file on ext4, 4 queues" blk_in_mkfs disks ext4 ext4
blk_claim "fio, split" blk_in_fio disks null
blk_claim "fio, packed" blk_in_fio disks dm
blk_claim "fio, direct I/O on a file" blk_in_fio disks ext4
blk_claim "fio, page cache, packed" blk_in_fio disks tmpfs
blk_claim "discard and zeros on a block device" ranges null
blk_claim "discard and zeros on a file" ranges tmpfs
blk_claim "the host finds what the guest wrote, block device" \
	same_contents null /dev/nullb-a
blk_claim "the host finds what the guest wrote, file" \
	same_contents ext4 "$blk_dir/ext4/disk"
blk_claim "a read-only disk" readonly_disk
blk_claim "a file grows" resize_file
blk_claim "a block device grows" resize_dm
blk_claim "reboot amid I/O" again reboot_guest
blk_claim "system_reset amid I/O" again reset_guest
sed 's/^/# log: /' "$blk_dir/daemon.log" | head -n 20
tap_exit
