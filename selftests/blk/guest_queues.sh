#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A guest with four processors uses all four queues of its disks, split and packed,
# on a null_blk and a loop device; what they write at once is all there.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/lib.sh"
. "$here/blkguest.sh"

GUEST_SMP=4

# Each processor writes and verifies a part of its own.
fio_on_all() {
	GUEST_TIMEOUT=300 blk_in queues "$1" "
		[ \$(ls /sys/block/\${d#/dev/}/mq | wc -l) = 4 ]
		for cpu in 0 1 2 3; do
			host fio --name=v --filename=\$d --cpus_allowed=\$cpu \
				--offset=\$((cpu * 8))m --size=2m --direct=1 \
				--rw=randwrite --bsrange=4k-64k --ioengine=libaio \
				--iodepth=8 --verify=crc32c --verify_fatal=1 \
				--minimal > /tmp/fio.\$cpu 2>&1 &
			pids=\"\$pids \$!\"
		done
		for pid in \$pids; do
			wait \$pid || { cat /tmp/fio.*; exit 1; }
		done"
}

# Of each disk's queues, those that have had requests.
used_queues() {
	khx -j -s queue show | jq -c '[group_by(.dev)[] |
		[.[] | select(.stats.chains > 0)] | length]'
}

blk_guest_set_up
tap_need khx jq
blk_null_blk nullb-khx || tap_bail "no null_blk"
blk_disk null /dev/nullb-khx num-queues=4
blk_file "$blk_dir/loop" 64
loop=$(losetup --show -f "$blk_path") && blk_later "losetup -d $loop" ||
	tap_bail "no loop device"
blk_disk loop "$loop" packed=on,num-queues=4

tap_plan 5
blk_claim "the back end listens" blk_serve || tap_bail "no back end"
blk_guest_start queues || tap_bail "QEMU does not start"
blk_claim "a guest with 4 processors boots" guest_wait queues 400 ||
	tap_bail "no use going on"
blk_claim "4 queues of a null_blk, split" fio_on_all null
blk_claim "4 queues of a loop device, packed" fio_on_all loop
tap_is "$(used_queues)" "[4,4]" "all of them were used"
sed 's/^/# log: /' "$blk_dir/daemon.log" | head -n 20
tap_exit
