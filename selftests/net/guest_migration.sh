#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Live migration of a guest from one khx_net device to another, and to and from
# mainline's vhost-net, while checked streams run both ways. Not a byte of them
# is lost or changed; and the guest's memory is the same, byte by byte, in the
# QEMU that was left and the one that goes on, as no page written by khx_net
# is missing from the dirty log.
#
#	khxt-tap1  one side's NIC  \
#	                           bridge khxt-br1  <->  stream serve
#	khxt-tap2  other side's NIC/

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "$here/netguest.sh"

# Less would be there before the guest is.
[ "$NET_MIB" -ge 8 ] || NET_MIB=8
GUEST_MEM=192
# Its page is written by KVM when the state of a vCPU is loaded.
GUEST_APPEND=no-kvmclock
ROUNDS=${ROUNDS:-$([ -n "${KHX_LONG:-}" ] && echo 10 || echo 2)}
KINDS=${KINDS:-split mainline packed}
khx_net=$DEVICE

# start_side NAME TAP DEVICE [QEMU-ARGUMENTS...]: both NICs are 1 to the
# library; what differs is which tap and which vhost device serve it.
start_side() {
	local name=$1 tap=$2 fd
	exec {fd}<>"$3"
	shift 3
	guest_start "$name" \
		-netdev "tap,id=net1,ifname=khxt-tap$tap,script=no,downscript=no,vhost=on,vhostfd=$fd" \
		-device "virtio-net-pci,id=nic1,netdev=net1,mac=$(net_mac 1),romfile=,packed=$packed" \
		"$@"
	exec {fd}>&-
}

# migrate FROM TO: until TO can go on; prints the figures.
migrate() {
	local figures
	guest_qmp "$1" migrate "{\"uri\": \"unix:$GUEST_DIR/socket\"}" > /dev/null ||
		return
	tap_wait 60 guest_is_migrated "$1" && tap_wait 10 guest_is_loaded "$2" || return
	figures=$(guest_qmp "$1" query-migrate | tr ',{}' '\n\n\n' |
		grep -e '"total-time"' -e '"downtime"' -e '"dirty-sync-count"' \
			-e '"transferred"' | tr '\n' ' ')
	echo "$1 to $2: $figures"
}

# cancel FROM: QEMU turns the log off again, and later on once more.
cancel() {
	guest_qmp "$1" migrate-set-parameters '{"max-bandwidth": 4194304}' > /dev/null
	guest_qmp "$1" migrate "{\"uri\": \"exec:cat > /dev/null\"}" > /dev/null
	sleep 1
	guest_qmp "$1" migrate_cancel > /dev/null
	tap_wait 10 is_cancelled "$1" || return
	guest_qmp "$1" migrate-set-parameters '{"max-bandwidth": 1073741824}' > /dev/null
}

is_cancelled() {
	guest_qmp "$1" query-migrate | grep -q '"status": "cancelled"'
}

# The streams run in the guest; what they say is read after it has moved.
start_streams() {
	guest_run "$1" "cd /tmp; rm -f send receive
		setsid sh -c 'stream send 10.99.1.1 $NET_PORT $NET_MIB 1; echo \$?' > send 2>&1 &
		setsid sh -c 'stream receive 10.99.1.1 $NET_PORT $NET_MIB 2; echo \$?' > receive 2>&1 &"
	sleep 0.5
}

await_streams() {
	GUEST_TIMEOUT=300 guest_run "$1" "cd /tmp
		until [ -n \"\$(tail -n 1 send | grep '^[0-9]*\$')\" ] &&
			[ -n \"\$(tail -n 1 receive | grep '^[0-9]*\$')\" ]; do sleep 0.2; done
		cat send receive; [ \$(tail -n 1 send)\$(tail -n 1 receive) = 00 ]"
}

# hop FROM TO TAP DEVICE: with streams under way, which go on at TO.
hop() {
	start_side "$2" "$3" "$4" -S -incoming "unix:$GUEST_DIR/socket" &&
		start_streams "$1" && migrate "$1" "$2" &&
		guest_same_memory "$1" "$2" || return
	guest_kill "$1"
	guest_qmp "$2" cont > /dev/null
	await_streams "$2" && ! net_fell_back "$2"
}

boot() {
	start_side "$1" 1 "$2" && guest_wait "$1" && net_up "$1" 1
}

# journey KIND: there and back again; of a migration that was cancelled
# nothing must be left.
journey() {
	local i
	net_claim "$1: boot" boot a "$khx_net" || return
	for ((i = 1; i <= ROUNDS; i++)); do
		net_claim "$1: there, $i" hop a b 2 "$khx_net" || return
		net_claim "$1: back, $i" hop b a 1 "$khx_net" || return
	done
	net_claim "$1: cancelled, then there" cancel_and_hop
	guest_kill b
	guest_kill a
}

cancel_and_hop() {
	start_streams a && cancel a && await_streams a && hop a b 2 "$khx_net"
}

with_mainline() {
	local i
	net_claim "from vhost-net: boot" boot a /dev/vhost-net || return
	for ((i = 1; i <= ROUNDS; i++)); do
		net_claim "vhost-net to khx_net, $i" hop a b 2 "$khx_net" || return
		net_claim "khx_net to vhost-net, $i" hop b a 1 /dev/vhost-net ||
			return
	done
	guest_kill a
}

# kind NAME: of KINDS
kind() {
	case $1 in
	split) packed=off journey split ;;
	packed) packed=on journey packed ;;
	mainline)
		if [ -c /dev/vhost-net ]; then
			packed=off with_mainline
		else
			tap_skip "no /dev/vhost-net" "with vhost-net"
		fi
		;;
	esac || tap_bail "no use going on"
}

# rows NAME: a boot and two hops a round, and one that is cancelled first.
rows() {
	case $1 in
	split | packed) echo $((2 * ROUNDS + 2)) ;;
	mainline) [ -c /dev/vhost-net ] && echo $((2 * ROUNDS + 1)) || echo 1 ;;
	esac
}

net_set_up
net_link 1 || tap_bail "no links"
ip tuntap add khxt-tap2 mode tap vnet_hdr || tap_bail "no tap"
ip link set khxt-tap2 master khxt-br1 up
[ -c /dev/vhost-net ] || modprobe -q vhost_net
plan=0
for kind in $KINDS; do
	plan=$((plan + $(rows "$kind")))
done
tap_plan $plan
for kind in $KINDS; do
	kind "$kind"
done
tap_exit
