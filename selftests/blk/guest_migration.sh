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
	mkdir -p "$tree"/{dev,proc,sys,tmp} &&
		{ command -v fio; ldd "$(command -v fio)" | grep -o '/[^ ]*'; } |
		xargs cp -L --parents -t "$tree" &&
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

# Round after round, until told to stop; counts them, and says what went wrong.
# A reader beside it has pages that nobody writes to but the disk, and each time
# something else: a page that is missing from the log is missed.
start_fio() {
	blk_in "$1" disk "
		cat > /tmp/fio.sh <<- EOT
			n=0 status=0
			until [ -e /tmp/fio.stop ]; do
				host fio --name=v --filename=\$d --direct=1 \
					--rw=randwrite --size=2m --bsrange=4k-64k \
					--ioengine=libaio --iodepth=8 --thread --randseed=\\\$n \
					--verify=crc32c --verify_fatal=1 --do_verify=1 \
					--minimal > /tmp/fio.out 2>&1 || { status=\\\$?; break; }
				n=\\\$((n + 1))
				echo \\\$n > /tmp/fio.rounds
			done
			echo \\\$status > /tmp/fio.status
		EOT
		echo 0 > /tmp/fio.rounds
		setsid host fio --name=r --filename=\$d --direct=1 --rw=read \
			--offset=4m --size=32m --bs=64k --ioengine=psync --thread \
			--time_based --runtime=100000 --thinktime=5000 \
			--minimal > /tmp/read.out 2>&1 &
		echo \$! > /tmp/read.pid
		setsid sh /tmp/fio.sh > /dev/null 2>&1 &"
}

# It ends a round that it began before it was moved, or begins and ends another.
fio_goes_on() {
	GUEST_TIMEOUT=120 guest_run "$1" "
		n=\$(cat /tmp/fio.rounds)
		until [ -e /tmp/fio.status ] || [ \$(cat /tmp/fio.rounds) -gt \$n ]; do
			sleep 0.1
		done
		[ ! -e /tmp/fio.status ] || { cat /tmp/fio.out; exit 1; }
		kill -0 \$(cat /tmp/read.pid) || { cat /tmp/read.out; exit 1; }"
}

stop_fio() {
	GUEST_TIMEOUT=120 guest_run "$1" "
		touch /tmp/fio.stop
		until [ -e /tmp/fio.status ]; do sleep 0.1; done
		[ \$(cat /tmp/fio.status) = 0 ] || { cat /tmp/fio.out; exit 1; }"
}

hop() {
	start_side "$2" -S -incoming "unix:$GUEST_DIR/socket" &&
		guest_qmp "$1" migrate "{\"uri\": \"unix:$GUEST_DIR/socket\"}" > /dev/null &&
		tap_wait 100 guest_is_migrated "$1" && tap_wait 20 guest_is_loaded "$2" &&
		guest_same_memory "$1" "$2" || return
	guest_kill "$1"
	guest_qmp "$2" cont > /dev/null
	fio_goes_on "$2"
}

boot() {
	start_side a && guest_wait a 300 && mount_fio a && start_fio a &&
		fio_goes_on a
}

# journey NAME: boot, then to and fro, five in a row.
journey() {
	local i from=a to=b
	blk_claim "$1: boot" boot || return
	for ((i = 1; i <= ROUNDS; i++)); do
		blk_claim "$1: migration $i" hop $from $to || return
		read -r from to <<< "$to $from"
	done
	blk_claim "$1: fio has found no error" stop_fio $from
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
