# SPDX-License-Identifier: GPL-2.0
# Guests whose disks are served by khx-vhost-user, for the guest_* tests: lib.sh
# makes the storage, lib/guest.sh runs the guests, and here one meets the other.
#
# shellcheck shell=bash disable=SC2154

BLK_GUEST_MIB=256
BLK_GUEST_HOST=1	# they can run programs of the test host
blk_disks=()		# arguments for khx-vhost-user
disks=()		# and for QEMU
blk_daemon=

# What every test of this kind needs; the rest is undone when it exits.
blk_guest_set_up() {
	blk_need
	guest_need
	PATH=$PATH:${KHX_TOP:-../..}/build/tools
	tap_need khx-vhost-user fio
	trap 'guest_cleanup; blk_cleanup' EXIT
}

# The memory is shared with the back end.
blk_guest_start() {
	local name=$1
	shift
	GUEST_MEM=$BLK_GUEST_MIB GUEST_HOST=$BLK_GUEST_HOST GUEST_MACHINE=q35,memory-backend=mem \
		guest_start "$name" "${disks[@]}" \
		-object "memory-backend-memfd,id=mem,size=${BLK_GUEST_MIB}M,share=on" "$@"
}

# blk_disk NAME PATH [DEVICE-OPTIONS] [OPTIONS...]: one more disk, whose serial
# number is NAME.
blk_disk() {
	local name=$1 path=$2 device=${3:-}
	shift 2
	[ $# = 0 ] || shift
	blk_disks+=(--blk "$path" --socket "$blk_dir/$name.sock" --serial "$name" --queues 4 "$@")
	disks+=(-chardev "socket,id=chr-$name,path=$blk_dir/$name.sock,reconnect=1"
		-device "vhost-user-blk-pci,id=$name,chardev=chr-$name,num-queues=1${device:+,$device}")
}

# blk_serve: start the back end of all disks, or start it again.
blk_serve() {
	khx-vhost-user "${blk_disks[@]}" 2>> "$blk_dir/daemon.log" &
	blk_daemon=$!
	blk_later "kill $blk_daemon"
	tap_wait 20 blk_is_listening && return
	cat "$blk_dir/daemon.log"
	return 1
}

blk_is_listening() {
	local i
	kill -0 "$blk_daemon" || return
	for ((i = 0; i < ${#blk_disks[@]}; i++)); do
		[ "${blk_disks[i]}" != --socket ] ||
			grep -q "00010000 .* ${blk_disks[i + 1]}\$" /proc/net/unix || return
	done
}

# blk_claim NAME COMMAND...: as tap_run, but in this shell, and with the time.
blk_claim() {
	local name=$1 status=0 start=$SECONDS
	shift
	"$@" > "$blk_dir/output" 2>&1 || status=$?
	[ "$status" = 0 ] || sed 's/^/# /' "$blk_dir/output"
	tap_diag "$name: $((SECONDS - start)) s"
	tap_ok "$status" "$name"
}

# blk_in GUEST NAME COMMAND: run it in the guest, with the disk of that serial
# number as $d.
blk_in() {
	GUEST_TIMEOUT=${GUEST_TIMEOUT:-120} guest_run "$1" "
		set -e
		for s in /sys/block/vd*/serial; do
			[ \"\$(cat \$s)\" != $2 ] || d=/dev/\$(basename \${s%/serial})
		done
		[ -b \"\$d\" ] || { echo no disk $2; exit 1; }
		$3"
}

# A file system that is made, written, and good by the judgement of its fsck.
blk_in_mkfs() {
	local check="e2fsck -fn"
	[ "$3" = ext4 ] || check="xfs_repair -n"
	blk_in "$1" "$2" "
		modprobe -a crc32c_generic $3
		mkfs.$3 \$([ $3 = ext4 ] && echo -F || echo -f) \$d > /dev/null
		mkdir -p /mnt/$2; mount -t $3 \$d /mnt/$2
		head -c 8388608 /dev/urandom > /mnt/$2/a
		mkdir /mnt/$2/b; for i in \$(seq 50); do echo \$i > /mnt/$2/b/\$i; done
		sync; cp /mnt/$2/a /mnt/$2/c; umount /mnt/$2
		$check \$d > /dev/null 2>&1
		mount -t $3 \$d /mnt/$2; cmp /mnt/$2/a /mnt/$2/c
		[ \$(cat /mnt/$2/b/50) = 50 ]; umount /mnt/$2"
}

# Random and sequential I/O of all sizes with flushes, and every block checked.
blk_in_fio() {
	GUEST_TIMEOUT=200 blk_in "$1" "$2" "
		for rw in randwrite write; do
			host fio --name=v --filename=\$d --direct=1 --rw=\$rw --size=${3:-3m} \
				--bsrange=512-64k --ioengine=libaio --iodepth=16 \
				--fsync=16 --verify=crc32c --verify_fatal=1 \
				--do_verify=1 --minimal > /tmp/fio.$2 || { cat /tmp/fio.$2; exit 1; }
		done"
}
