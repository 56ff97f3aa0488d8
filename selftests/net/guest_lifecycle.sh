#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What happens to a guest in its life: it is stopped, loses its link, gets
# another driver, reboots, is reset, and loses a NIC, each time under traffic.
# After each, NET_MIB MiB go each way on a split NIC, and some on a packed one.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/netguest.sh"

GUEST_QEMU=${KHX_QEMU:-qemu-system-x86_64}

some_on_packed() {
	net_both life 2 "" 16
}

both_nics() {
	net_both life 1 && some_on_packed
}

nics_up() {
	net_up_for_good life 1 && net_up_for_good life 2
}

# A transfer is under way while QEMU's vCPUs and back ends stand still.
stop_and_continue() {
	local status=0 transfer
	net_both life 1 > "$GUEST_DIR/transfer" 2>&1 &
	transfer=$!
	for _ in 1 2 3; do
		sleep 0.5
		guest_qmp life stop > /dev/null || return
		sleep 0.5
		guest_qmp life cont > /dev/null || return
	done
	wait "$transfer" || status=$?
	cat "$GUEST_DIR/transfer"
	[ "$status" = 0 ] && some_on_packed
}

# link_loss N: QEMU stops the device when the link goes, and starts it with the
# same rings when it is back.
link_loss() {
	local n=$1 status=0 transfer
	net_both life "$n" > "$GUEST_DIR/transfer" 2>&1 &
	transfer=$!
	for _ in 1 2 3; do
		guest_qmp life set_link "{\"name\": \"net$n\", \"up\": false}" \
			> /dev/null || return
		sleep 0.3
		guest_qmp life set_link "{\"name\": \"net$n\", \"up\": true}" \
			> /dev/null || return
		sleep 0.5
	done
	wait "$transfer" || status=$?
	cat "$GUEST_DIR/transfer"
	return "$status"
}

# QEMU before 8.2 keeps the wrap counter in the used index of a packed ring that
# any vhost device hands back (mask 0x7ffff in virtio_queue_packed_set_last_avail_idx)
# and aborts if it serves the ring itself, as it does without a link.
packed_link_loss() {
	local name="link loss, packed"
	if guest_qemu_since 8.2; then
		net_claim "$name" link_loss 2
	else
		tap_skip "QEMU before 8.2 aborts" "$name"
	fi
}

rebind_driver() {
	local n
	for n in 1 2; do
		guest_run life "
			device=\$(basename \$(readlink -f /sys/class/net/nic$n/device))
			cd /sys/bus/virtio/drivers/virtio_net &&
			echo \$device > unbind && echo \$device > bind && sleep 0.5" ||
			return
	done
	nics_up && both_nics
}

# It does not wait for its network.
flood() {
	guest_run life "setsid stream flood 10.99.1.1 9 1400 > /dev/null 2>&1 &
		setsid stream flood 10.99.2.1 9 1400 > /dev/null 2>&1 &"
}

# Whether its answer still arrives is of no interest: that it boots is.
reboot_guest() {
	flood
	guest_run life "(sleep 2; reboot -f) > /dev/null 2>&1 &" || true
}

reset_guest() {
	flood
	sleep 0.5
	guest_qmp life system_reset > /dev/null
}

# back_again COMMAND...: what makes the guest boot once more.
back_again() {
	"$@" && guest_wait life && nics_up && both_nics
}

nic_is_gone() {
	! guest_run life "ip link show nic2" > /dev/null
}

# The guest agrees to let it go, then QEMU closes its files.
unplug() {
	flood
	guest_qmp life device_del '{"id": "nic2"}' || return
	guest_event life DEVICE_DELETED || return
	guest_qmp life netdev_del '{"id": "net2"}' || return
	[ ! -e "/proc/$(guest_pid life)/fd/${net_fds[2]}" ] || return
	nic_is_gone && guest_run life "killall stream" && net_both life 1
}

nics=()
net_set_up
# Its slots can be unplugged without root ports.
GUEST_MACHINE=pc
net_link 1 && net_link 2 || tap_bail "no links"
net_nic 1 "" ""
net_nic 2 "" packed=on
tap_plan 9
guest_start life "${nics[@]}"
net_close
guest_wait life || tap_bail "the guest does not boot"
nics_up || tap_bail "the guest has no NIC"
net_claim "stop and cont" stop_and_continue
net_claim "link loss, split" link_loss 1
packed_link_loss
net_claim "driver unbound and bound" rebind_driver
net_claim "reboot" back_again reboot_guest
net_claim "system_reset" back_again reset_guest
net_claim "hot unplug" unplug
tap_run "QEMU never served a queue" eval '! net_fell_back life'
guest_quit life
tap_ok $? "orderly end"
tap_exit
