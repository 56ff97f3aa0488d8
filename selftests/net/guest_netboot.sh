#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A guest boots from the network through khx_net: the firmware's driver (iPXE)
# uses a split ring with the least of features, then Linux the same device
# with a packed ring and all it can have.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/netguest.sh"

# QEMU's own choice for the device; it makes the ROM's ID the device's.
ROM=/usr/lib/ipxe/qemu/efi-virtio.rom
KERNEL_IMAGE=${KHX_GUEST:-}/bzImage
HTTP_PORT=8099

# Without the kernel that guest_start would have it boot.
qemu-system-x86_64() {
	local arguments=()
	while [ $# -gt 0 ]; do
		case $1 in
		-kernel | -initrd | -append) shift ;;
		*) arguments+=("$1") ;;
		esac
		shift
	done
	exec qemu-system-x86_64 "${arguments[@]}"
}

# iPXE knows Linux only as it is packed for booting.
is_bzimage() {
	[ "$(dd if="$1" bs=1 skip=514 count=4 2>/dev/null | tr -d '\0')" = HdrS ]
}

serve_files() {
	local dir=$GUEST_DIR/http url=http://10.99.1.1:$HTTP_PORT
	mkdir "$dir"
	cp "$KERNEL_IMAGE" "$dir/vmlinuz"
	cp "$KHX_GUEST/initramfs" "$dir/"
	cat > "$dir/boot.ipxe" <<-SCRIPT
	#!ipxe
	kernel $url/vmlinuz console=ttyS0 quiet panic=-1 mitigations=off
	initrd $url/initramfs
	boot
	SCRIPT
	cat > "$GUEST_DIR/udhcpd.conf" <<-CONF
	start 10.99.1.2
	end 10.99.1.2
	interface khxt-br1
	lease_file $GUEST_DIR/leases
	pidfile $GUEST_DIR/udhcpd.pid
	boot_file $url/boot.ipxe
	option subnet 255.255.255.0
	CONF
	: > "$GUEST_DIR/leases"
	busybox httpd -f -p "$HTTP_PORT" -h "$dir" &
	servers+=($!)
	busybox udhcpd -f "$GUEST_DIR/udhcpd.conf" > "$GUEST_DIR/udhcpd.log" 2>&1 &
	servers+=($!)
}

ring_is() {
	grep -q "^queue-0:[[:space:]]*$1 .*running" \
		"/proc/$(guest_pid boot)/fdinfo/${net_fds[1]}"
}

firmware() {
	tap_wait 300 ring_is split && net_feature boot 1 -event_idx
}

linux() {
	guest_wait boot 900 || return
	echo "loaded $(net_sum boot 1 0 bytes) bytes"
	[ "$(net_sum boot 1 0 bytes)" -gt "$(stat -L -c %s "$KHX_GUEST/initramfs")" ] ||
		return
	net_up boot 1 && ring_is packed && net_feature boot 1 +packed &&
		net_feature boot 1 +event_idx
}

tap_need busybox
[ -e "$ROM" ] || tap_skip_all "no $ROM"
is_bzimage "$KERNEL_IMAGE" || tap_skip_all "no $KERNEL_IMAGE"
net_set_up
servers=()
trap 'kill "${servers[@]}" 2>/dev/null; net_tear_down; guest_cleanup' EXIT
net_link 1 || tap_bail "no link"
serve_files
nics=()
net_nic 1 "" "packed=on,bootindex=1"
nics=("${nics[@]/romfile=,/}")
tap_plan 3
guest_start boot "${nics[@]}"
net_close
net_claim "the firmware uses a split ring" firmware
net_claim "Linux, that it loaded, a packed one" linux
net_claim "traffic" net_both boot 1
guest_kill boot
tap_exit
