#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A disk of khx-vhost-user is all that a guest has: its root file system is
# there, also after a reboot and when the back end was exchanged under it, where
# another disk's rings are packed; and firmware reads its boot sector.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/lib.sh"
. "$here/blkguest.sh"

reboot_root() {
	guest_run root "echo was here > /file; sync; (sleep 0.2; reboot -f) > /dev/null 2>&1 &" &&
		guest_wait root 300 && blk_root_is_disk root &&
		[ "$(guest_run root "cat /file")" = "was here" ]
}

# The first sector reads the second with INT 13h and sends it to the serial
# port, up to a zero.
make_boot_sector() {
	local code='31C0 8ED8 8EC0' # ax, ds, es = 0
	code+=' B80102 BB007E B90200 B600 CD13' # sector 2 of disk dl to 0:7E00
	code+=' BE007E AC 84C0 7406 BAF803 EE EBF5' # lodsb, out 3F8h, until 0
	code+=' F4 EBFD' # hlt
	truncate -s 1M "$1"
	printf '%b' "$(sed 's/ //g; s/../\\x&/g' <<< "$code")" |
		dd of="$1" conv=notrunc 2> /dev/null
	printf '\x55\xaa' | dd of="$1" bs=1 seek=510 conv=notrunc 2> /dev/null
	printf 'read by the firmware' | dd of="$1" bs=512 seek=1 conv=notrunc 2> /dev/null
}

firmware_boots() {
	qemu-system-x86_64 -M q35,memory-backend=mem -accel kvm -cpu host -m 64 \
		-object memory-backend-memfd,id=mem,size=64M,share=on \
		-display none -nodefaults -no-user-config -nic none \
		-serial "file:$blk_dir/serial" "${boot_disk[@]}" < /dev/null &
	blk_later "kill -9 $!"
	tap_wait 60 grep -q "read by the firmware" "$blk_dir/serial"
}

blk_guest_set_up
tap_need cpio mkfs.ext4
blk_make_root || tap_bail "no root file system"
make_boot_sector "$blk_dir/boot"
blk_disk root "$blk_dir/root" ""
truncate -s 16M "$blk_dir/packed"
blk_disk packed "$blk_dir/packed" packed=on
blk_disk boot "$blk_dir/boot" bootindex=1

tap_plan 5
blk_serve || tap_bail "no back end"
boot_disk=("${disks[@]:8}") disks=("${disks[@]:0:8}")
blk_guest_start root || tap_bail "QEMU does not start"
guest_wait root 300 || tap_bail "the guest does not boot"
blk_claim "its root is on the disk" blk_root_is_disk root
blk_claim "and stays there after a reboot" reboot_root
blk_claim "the back end is killed and replaced" blk_exchange root packed 2
guest_kill root
tap_run "the file system is good" blk_root_is_good
blk_claim "SeaBIOS boots" firmware_boots
sed 's/^/# log: /' "$blk_dir/daemon.log" | head -n 20
tap_exit
