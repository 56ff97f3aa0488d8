#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Every kind of NIC that QEMU makes of a khx_net device carries NET_MIB MiB each
# way to and from a real guest, every byte checked, through our queues.  One
# guest has them all, as booting takes longer than the traffic.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/netguest.sh"

OFFLOADS="host_tso4=off,host_tso6=off,host_ecn=off,host_ufo=off,guest_tso4=off,guest_tso6=off,guest_ecn=off,guest_ufo=off"
LEGACY="disable-legacy=off,disable-modern=on"

# Number; what is claimed; features that the guest must (+) or must not (-)
# have taken; options of the netdev; options of the device.
matrix="
1|split|+version_1 +mrg_rxbuf +event_idx +indirect -packed||
2|packed|+version_1 +mrg_rxbuf +event_idx +packed||packed=on
3|legacy|-version_1 +mrg_rxbuf||$LEGACY
4|legacy, header of 10 bytes|-version_1 -mrg_rxbuf||$LEGACY,mrg_rxbuf=off
5|mergeable off|+version_1 -mrg_rxbuf||mrg_rxbuf=off
6|packed, mergeable off|+packed -mrg_rxbuf||packed=on,mrg_rxbuf=off
7|no TSO, no checksum offload|-packed||$OFFLOADS,csum=off,guest_csum=off
8|packed, no TSO|+packed||packed=on,$OFFLOADS
9|no EVENT_IDX, no INDIRECT|-event_idx -indirect||event_idx=off,indirect_desc=off
10|packed, no EVENT_IDX|+packed -event_idx||packed=on,event_idx=off
11|vhostforce, 1024 entries|+version_1|vhostforce=on|rx_queue_size=1024
12|MTU 9000|+version_1||host_mtu=9000
13|two queue pairs, packed|+packed||
14|macvtap|+version_1||
"

each_nic() {
	local n name features netdev device
	while IFS='|' read -r n name features netdev device; do
		[ -z "$n" ] || "$@" || return
	done <<< "$matrix"
}

add_nic() {
	case $n in
	13) add_multiqueue ;;
	14) add_macvtap ;;
	*) net_link "$n" && net_nic "$n" "$netdev" "$device" ;;
	esac
}

# One vhost device and one open tap queue a pair; tapfds opens the latter.
add_multiqueue() {
	net_link 13 multi_queue && net_open 13 && net_open 13 || return
	nics+=(-netdev "tap,id=net13,fds=100:101,vhost=on,vhostfds=${net_fds[13]// /:}")
	nics+=(-device "virtio-net-pci,id=nic13,netdev=net13,mac=$(net_mac 13),romfile=,mq=on,vectors=6,packed=on")
}

# The host's end is the other end of the veth below the macvtap.
add_macvtap() {
	ip link add khxt-veth14 type veth peer name khxt-low14 || return
	ip link add link khxt-low14 name khxt-mv14 address "$(net_mac 14)" \
		type macvtap mode bridge
	ip link set khxt-veth14 up
	ip link set khxt-low14 up
	ip link set khxt-mv14 up
	net_address khxt-veth14 14
	net_open 14
	exec {macvtap}<>"/dev/tap$(cat /sys/class/net/khxt-mv14/ifindex)" || return
	nics+=(-netdev "tap,id=net14,fd=$macvtap,vhost=on,vhostfd=${net_fds[14]}")
	nics+=(-device "virtio-net-pci,id=nic14,netdev=net14,mac=$(net_mac 14),romfile=")
}

qemu-system-x86_64() {
	exec tapfds khxt-tap13 100,101 qemu-system-x86_64 "$@"
}

nic_up() {
	local more=
	[ "$n" != 13 ] || more="ethtool -L nic13 combined 2"
	net_up matrix "$n" "$more"
}

# A NIC's claims are those of the table, and the traffic.
check_nic() {
	local word
	for word in $features; do
		net_feature matrix "$n" "$word" || return
	done
	if [ "$n" = 12 ]; then
		guest_run matrix ping -c 2 -s 8972 10.99.12.1 || return
	fi
	net_both matrix "$n"
}

claim_nic() {
	net_claim "$name" check_nic
	return 0
}

vlan() {
	ip link add link khxt-br1 name khxt-vlan1 type vlan id 42
	ip addr add 10.99.142.1/24 dev khxt-vlan1
	ip link set khxt-vlan1 up
	guest_run matrix "modprobe 8021q; ip link add link nic1 name vlan1 type vlan id 42 &&
		ip addr add 10.99.142.2/24 dev vlan1 && ip link set vlan1 up" || return
	net_both matrix 1 10.99.142.1
}

# Both pairs of queues have had traffic: flows are spread by their hash.
both_pairs() {
	local fd
	for _ in 1 2 3 4 5 6; do
		net_both matrix 13 10.99.13.1 1 || return
	done
	for fd in ${net_fds[13]}; do
		[ "$(net_counter matrix "$fd" 1 chains)" -gt 0 ] || return
	done
}

nics=()
net_set_up
tap_need tapfds
modprobe -q macvtap
each_nic add_nic || tap_bail "no links"
for n in khxt-tap12 khxt-br12; do
	ip link set "$n" mtu 9000
done
tap_plan 18
guest_start matrix "${nics[@]}"
net_close
exec {macvtap}>&-
guest_wait matrix || tap_bail "the guest does not boot"
each_nic nic_up || tap_bail "the guest has no NIC"
each_nic claim_nic
net_claim "VLAN" vlan
net_claim "IPv6, split" net_both matrix 1 fd99:1::1
net_claim "IPv6, packed" net_both matrix 2 fd99:2::1
net_claim "both queue pairs are used" both_pairs
guest_kill matrix
tap_exit
