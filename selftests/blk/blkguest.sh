# SPDX-License-Identifier: GPL-2.0
# Guests whose disks are served by khx-vhost-user, for the guest_* tests: lib.sh
# makes the storage, lib/guest.sh runs the guests, and here one meets the other.
#
# shellcheck shell=bash disable=SC2154

BLK_GUEST_MIB=256
BLK_FIO_SIZE=2m		# of a round of blk_fio_start
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

# blk_has_size GUEST NAME MIB
blk_has_size() {
	[ "$(blk_in "$1" "$2" "cat /sys/block/\${d#/dev/}/size")" = $(($3 * 2048)) ]
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

# blk_copy_program NAME TREE: with its libraries.
blk_copy_program() {
	{ command -v "$1"; ldd "$(command -v "$1")" | grep -o '/[^ ]*'; } |
		xargs cp -L --parents -t "$2"
}

# blk_make_root [PROGRAM]: an ext4 image in $blk_dir/root with all that the guests'
# initramfs has, and a program of the test host; and an initramfs that does nothing
# but go there.
blk_make_root() {
	local tree=$blk_dir/tree image=$blk_dir/image
	mkdir "$tree" "$image" &&
		zcat "$KHX_GUEST/initramfs" | (cd "$tree" && cpio -id --quiet) &&
		mkdir "$tree/mnt" "$tree/root" || return
	if [ $# = 1 ]; then
		blk_copy_program "$1" "$tree" || return
		printf '#!/bin/sh\nexec "$@"\n' > "$tree/usr/bin/host"
	fi
	mkfs.ext4 -q -F -d "$tree" "$blk_dir/root" 300M || return
	rm -rf "$tree"
	mkdir "$tree"
	cat > "$tree/init" <<- 'EOT'
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		mount -t proc proc /proc
		mount -t sysfs sysfs /sys
		mount -t devtmpfs devtmpfs /dev
		modprobe -a virtio_pci virtio_blk crc32c_generic ext4
		mkdir /new
		mount -t ext4 /dev/vda /new
		umount /dev /sys /proc
		exec switch_root /new /init
	EOT
	chmod +x "$tree/init"
	cp "$KHX_GUEST/initramfs" "$image/initramfs"
	truncate -s %4 "$image/initramfs"
	(cd "$tree" && find init | cpio -o -H newc --quiet) >> "$image/initramfs"
	rm -rf "$tree"
	ln -s "$KHX_GUEST/vmlinuz" "$image/vmlinuz"
	KHX_GUEST=$image
}

blk_root_is_disk() {
	guest_run "$1" "grep '^/dev/vda / ext4 ' /proc/mounts"
}

# What the journal of the root does not say by itself (1: it was used) must be right.
blk_root_is_good() {
	e2fsck -fp "$blk_dir/root" || [ $? = 1 ]
}

# blk_exchange GUEST NAME TIMES: its back end dies by kill -9 amid writes to its root
# and, past the page cache, to another disk; QEMU finds the next one.
blk_exchange() {
	local i
	blk_write_on "$1" "$2"
	for ((i = 0; i < $3; i++)); do
		sleep 1
		kill -9 "$blk_daemon"
		sleep 0.5
		blk_serve && blk_goes_on "$1" "$2" || return
	done
	guest_run "$1" "touch /stop; sync; ! dmesg | grep -i 'error.*vd'"
}

blk_write_on() {
	blk_in "$1" "$2" "
		echo 0 > /n; echo 0 > /tmp/n
		setsid sh -c 'i=0; until [ -e /stop ]; do
			i=\$((i + 1)); echo \$i > /m; mv /m /n; sync
		done' > /dev/null 2>&1 &
		setsid sh -c 'i=0; until [ -e /stop ]; do
			i=\$((i + 1))
			printf \"%-511d\n\" \$i | dd of='\$d' bs=512 count=1 oflag=direct
			echo \$i > /tmp/m; mv /tmp/m /tmp/n
		done' > /dev/null 2>&1 &"
}

# Both go on, and what is on the disk is not older than what was done.
blk_goes_on() {
	blk_in "$1" "$2" "
		for n in /n /tmp/n; do
			a=\$(cat \$n)
			for i in \$(seq 1000); do
				b=\$(cat \$n)
				[ \$b -le \$a ] || break
				sleep 0.2
			done
			echo \$n: \$a, \$b
			[ \$b -gt \$a ]
		done
		c=\$(dd if=\$d bs=512 count=1 iflag=direct 2> /dev/null)
		echo on the disk: \$c
		[ \$c -ge \$b ]"
}

# blk_fio_start GUEST: on its disk `disk`, round after round, until told to stop;
# counts them, and says what went wrong.  A reader beside it has pages that nobody writes to but the disk, and each time
# something else: a page that is missing from the log is missed.
blk_fio_start() {
	blk_in "$1" disk "
		cat > /tmp/fio.sh <<- EOT
			n=0 status=0
			until [ -e /tmp/fio.stop ]; do
				host fio --name=v --filename=\$d --direct=1 \
					--rw=randwrite --size=$BLK_FIO_SIZE \
					--bsrange=4k-64k \
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
blk_fio_goes_on() {
	GUEST_TIMEOUT=120 guest_run "$1" "
		n=\$(cat /tmp/fio.rounds)
		until [ -e /tmp/fio.status ] || [ \$(cat /tmp/fio.rounds) -gt \$n ]; do
			sleep 0.1
		done
		[ ! -e /tmp/fio.status ] || { cat /tmp/fio.out; exit 1; }
		kill -0 \$(cat /tmp/read.pid) || { cat /tmp/read.out; exit 1; }"
}

blk_fio_stop() {
	GUEST_TIMEOUT=120 guest_run "$1" "
		touch /tmp/fio.stop
		until [ -e /tmp/fio.status ]; do sleep 0.1; done
		[ \$(cat /tmp/fio.status) = 0 ] || { cat /tmp/fio.out; exit 1; }"
}

# blk_hop FROM TO: a guest moves, and fio in it goes on. The test knows how to start its
# other side.
blk_hop() {
	start_side "$2" -S -incoming "unix:$GUEST_DIR/socket" &&
		guest_qmp "$1" migrate "{\"uri\": \"unix:$GUEST_DIR/socket\"}" > /dev/null &&
		tap_wait 600 guest_is_migrated "$1" && tap_wait 120 guest_is_loaded "$2" &&
		guest_same_memory "$1" "$2" || return
	guest_kill "$1"
	guest_qmp "$2" cont > /dev/null
	blk_fio_goes_on "$2"
}
