# SPDX-License-Identifier: GPL-2.0
# Guests whose network is served by khx_net, for the guest_* tests.
#
# Each NIC has a link of its own, so that no traffic takes another way:
#
#	guest NIC N  <->  khx_net  <->  khxt-tapN  <->  bridge khxt-brN
#	10.99.N.2                                      10.99.N.1
#	fd99:N::2                                      fd99:N::1
#
# DEVICE is the vhost device to test. Mainline's /dev/vhost-net shows no
# counters: with it every claim about them fails, which is how one sees that
# these tests can.
#
# shellcheck shell=bash disable=SC2154

DEVICE=${DEVICE:-/dev/khx-net}
# What goes each way.
NET_MIB=${NET_MIB:-64}
NET_PORT=7700
declare -A net_fds
net_server=

# The guests' image with our `stream` in it: the kernel unpacks one archive
# after the other, if each starts at a multiple of four bytes.
net_guest_image() {
	local dir=$GUEST_DIR/image
	mkdir -p "$dir/usr/bin"
	cp "$(command -v stream)" "$dir/usr/bin/"
	cp "$KHX_GUEST/initramfs" "$dir/initramfs"
	truncate -s %4 "$dir/initramfs"
	(cd "$dir" && find usr | cpio -o -H newc --quiet) >> "$dir/initramfs"
	ln -s "$KHX_GUEST/vmlinuz" "$dir/vmlinuz"
	KHX_GUEST=$dir
}

# What every test of this kind needs; the rest is undone when it exits.
net_set_up() {
	tap_need_root
	guest_need
	tap_need ip cpio stream chrt
	[ -c "$DEVICE" ] || tap_skip_all "no $DEVICE"
	[ -c /dev/net/tun ] || modprobe -q tun
	modprobe -q bridge
	trap 'net_tear_down; guest_cleanup' EXIT
	net_remove_links
	net_guest_image
	stream serve "$NET_PORT" &
	net_server=$!
}

net_tear_down() {
	local name
	for name in "${!guest_pids[@]}"; do
		guest_kill "$name"
	done
	[ -z "$net_server" ] || kill "$net_server" 2>/dev/null
	net_remove_links
}

# Also those of a test that was killed.
net_remove_links() {
	local link
	for link in /sys/class/net/khxt-*; do
		[ ! -e "$link" ] || ip link del "${link##*/}"
	done 2>/dev/null
}

# net_address N: the host's addresses, on the device $1 of link N.
net_address() {
	ip addr add "10.99.$2.1/24" dev "$1"
	ip addr add "fd99:$2::1/64" dev "$1" nodad
}

# net_link N [TAP-FLAGS...]: a tap on a bridge.
net_link() {
	local n=$1
	shift
	ip tuntap add "khxt-tap$n" mode tap vnet_hdr "$@" || return
	ip link add "khxt-br$n" type bridge
	ip link set "khxt-tap$n" master "khxt-br$n" up
	ip link set "khxt-br$n" up
	net_address "khxt-br$n" "$n"
}

net_mac() {
	printf '52:54:00:99:00:%02x' "$1"
}

# net_open N: one more open $DEVICE for the NIC of link N; its number is then
# the last of net_fds[N].
net_open() {
	local fd
	exec {fd}<>"$DEVICE" || return
	net_fds[$1]+="${net_fds[$1]:+ }$fd"
}

# net_close: forget them all; what QEMU inherited stays its own.
net_close() {
	local fd
	for fd in ${net_fds[*]}; do
		exec {fd}>&-
	done
}

# net_nic N [NETDEV-OPTIONS] [DEVICE-OPTIONS]: add the arguments for the NIC of
# link N to the array `nics`. No option ROM: that of guest_netboot is special.
net_nic() {
	local n=$1
	net_open "$n" || return
	nics+=(-netdev "tap,id=net$n,ifname=khxt-tap$n,script=no,downscript=no,vhost=on,vhostfd=${net_fds[$n]}${2:+,$2}")
	nics+=(-device "virtio-net-pci,id=nic$n,netdev=net$n,mac=$(net_mac "$n"),romfile=${3:+,$3}")
}

# net_up GUEST N [COMMANDS]: name the NIC of link N nicN and give it addresses.
net_up() {
	guest_run "$1" "
		for dir in /sys/class/net/*; do
			[ \$(cat \$dir/address) = $(net_mac "$2") ] && old=\${dir##*/}
		done
		[ \"\$old\" = nic$2 ] || ip link set \$old name nic$2 || exit
		ip link set nic$2 up
		ip addr add 10.99.$2.2/24 dev nic$2
		ip addr add fd99:$2::2/64 dev nic$2 nodad
		${3:-true}"
}

# net_up_for_good GUEST N: as net_up, and both ends know each other's address
# for good: neither asks when the link was away, or full of other packets, for
# longer than usual.
net_up_for_good() {
	ip neigh replace "10.99.$2.2" lladdr "$(net_mac "$2")" \
		dev "khxt-br$2" nud permanent
	net_up "$1" "$2" "ip neigh replace 10.99.$2.1 \
		lladdr $(cat "/sys/class/net/khxt-br$2/address") \
		dev nic$2 nud permanent"
}

# net_counter GUEST FD QUEUE COUNTER: of queue 0 (to the guest) or 1.
net_counter() {
	awk -v line="queue-$3-stats:" -v key="$4" '
		$1 == line { for (i = 2; i < NF; i += 2) if ($i == key) print $(i + 1) }
	' "/proc/$(guest_pid "$1")/fdinfo/$2" 2>/dev/null
}

# net_sum GUEST N QUEUE COUNTER: over all open files of the NIC.
net_sum() {
	local fd sum=0 value
	for fd in ${net_fds[$2]}; do
		value=$(net_counter "$1" "$fd" "$3" "$4")
		sum=$((sum + ${value:-0}))
	done
	echo "$sum"
}

# net_feature GUEST N +NAME|-NAME: what the guest took, of all files of the NIC.
net_feature() {
	local -A bits=([mrg_rxbuf]=15 [indirect]=28 [event_idx]=29 [version_1]=32
		[packed]=34)
	local fd features wanted=0
	[ "${3:0:1}" = - ] || wanted=1
	for fd in ${net_fds[$2]}; do
		features=$(awk '$1 == "khx-features:" { print $2 }' \
			"/proc/$(guest_pid "$1")/fdinfo/$fd")
		if [ "$(((${features:-0} >> ${bits[${3:1}]}) & 1))" != $wanted ]; then
			echo "feature ${3:1}, wanted $3: $features"
			return 1
		fi
	done
}

# Has QEMU itself served a queue?
net_fell_back() {
	grep -q -e "falling back on userspace" -e "could not be initialized" \
		"$GUEST_DIR/$1/qemu.log"
}

# net_workers GUEST N POLICY: how the NIC's workers are scheduled. With "batch"
# they do not preempt the guest when it kicks: with one processor each packet
# would else be a batch of its own; and each time the guest is left and entered
# again, the emulator forgets all it has translated of addresses, which takes
# longer than to move a packet.
net_workers() {
	local fd tid
	for fd in ${net_fds[$2]}; do
		while read -r tid; do
			chrt "--$3" --pid 0 "$tid"
		done < <(awk '$1 == "khx-worker:" { print $4 }' \
			"/proc/$(guest_pid "$1")/fdinfo/$fd")
	done
}

# net_moved GUEST N QUEUE MIB BYTES CHAINS: so many since it had moved these?
net_moved() {
	local bytes chains
	bytes=$(($(net_sum "$1" "$2" "$3" bytes) - $5))
	chains=$(($(net_sum "$1" "$2" "$3" chains) - $6))
	echo "$DEVICE, queue $3: $bytes bytes in $chains chains"
	[ "$bytes" -ge "$(($4 << 20))" ] && [ "$chains" -gt 0 ]
}

# net_both GUEST N [ADDRESS] [MIB]: one way, then the other. Every byte arrives,
# and at least as many went through our queues.
net_both() {
	local guest=$1 n=$2 address=${3:-10.99.$2.1} mib=${4:-$NET_MIB}
	local queue stream status=0 bytes=() chains=()
	for queue in 0 1; do
		bytes+=("$(net_sum "$guest" "$n" $queue bytes)")
		chains+=("$(net_sum "$guest" "$n" $queue chains)")
	done
	net_workers "$guest" "$n" batch
	stream="$address $NET_PORT $mib $RANDOM"
	GUEST_TIMEOUT=${GUEST_TIMEOUT:-$((90 + 8 * mib))} guest_run "$guest" \
		"stream send $stream && stream receive $stream" || status=$?
	net_workers "$guest" "$n" other
	[ "$status" = 0 ] || return "$status"
	if net_fell_back "$guest"; then
		echo "QEMU served the queue itself"
		return 1
	fi
	for queue in 0 1; do
		net_moved "$guest" "$n" "$queue" "$mib" "${bytes[queue]}" \
			"${chains[queue]}" || return
	done
}

# net_claim NAME COMMAND...: as tap_run, but in this shell, as what it starts
# is to stay, and with the figures in the output.
net_claim() {
	local name=$1 output=$GUEST_DIR/output status=0 start=$SECONDS
	shift
	"$@" > "$output" 2>&1 || status=$?
	sed 's/^/# /' "$output"
	tap_diag "$name: $((SECONDS - start)) s"
	tap_ok "$status" "$name"
}
