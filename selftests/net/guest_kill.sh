#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# QEMU dies by SIGKILL, again and again, while its guest floods both ways on a
# split and a packed NIC; the tap goes away under traffic; a second owner comes;
# the module is to be unloaded. Nothing may be left behind.
#
# A guest is booted once and saved with its traffic; each kill needs only that it
# is restored. Its memory is a file, which QEMU leaves out of what it saves: to
# read it from there takes longer than all the rest.

here=$(dirname "$0")
. "${KHX_LIB:-$here/../lib}/tap.sh"
. "${KHX_LIB:-$here/../lib}/guest.sh"
. "${KHX_LIB:-$here/../lib}/modules.sh"
. "$here/netguest.sh"

KILLS=${KHX_KILLS:-20}
GUEST_MEM=192
GUEST_MACHINE=q35,memory-backend=ram

# start_victim QEMU-ARGUMENTS...
start_victim() {
	nics=() net_fds=()
	net_nic 1 "" ""
	net_nic 2 "" packed=on
	guest_start victim "${nics[@]}" "$@" -object \
		"memory-backend-file,id=ram,size=${GUEST_MEM}M,mem-path=$ram,share=on" ||
		return
	net_close
	guest_qmp victim migrate-set-capabilities '{"capabilities": [
		{"capability": "x-ignore-shared", "state": true}]}' > /dev/null
}

save_victim() {
	guest_qmp victim migrate "{\"uri\": \"exec:cat > $state\"}" \
		> /dev/null || return
	guest_event victim STOP 60 > /dev/null &&
		tap_wait $((60 * guest_scale)) guest_is_migrated victim
	net_fell_back victim && return 1
	guest_kill victim
	mv "$ram" "$ram.saved"
	echo "$(stat -c %s "$state") bytes of state"
}

restore_victim() {
	cp --remove-destination "$ram.saved" "$ram" &&
		start_victim -incoming defer &&
		guest_qmp victim migrate-incoming "{\"uri\": \"exec:cat $state\"}" \
			> /dev/null
}

# It has what time the guest leaves, which is enough to fill a queue.
flood_guest() {
	nice -n 19 stream flood "10.99.$1.2" 9 1400 &
	floods+=($!)
}

flood_host() {
	guest_run victim "for n in 1 2; do
		setsid stream flood 10.99.\$n.1 9 1400 > /dev/null 2>&1 &
	done"
}

# All four queues at work, since the guest was restored.
has_traffic() {
	local -a fds
	read -ra fds <<< "${net_fds[*]}"
	awk '/^queue-[0-9]*-stats:/ {
			for (i = 2; i < NF; i += 2)
				if ($i == "chains" && $(i + 1) > 200)
					busy++
		}
		END { exit busy != 4 }' \
		"${fds[@]/#//proc/$(guest_pid victim)/fdinfo/}"
}

no_workers() {
	! ps -eo comm= | grep -q '^khx-'
}

kill_under_traffic() {
	local i
	for ((i = 1; i <= KILLS; i++)); do
		restore_victim
		if ! tap_wait $((120 * guest_scale)) has_traffic; then
			echo "no traffic before kill $i"
			cat "/proc/$(guest_pid victim)/fdinfo/${net_fds[1]}"
			guest_log victim
			guest_kill victim
			return 1
		fi
		guest_kill victim
		tap_wait $((10 * guest_scale)) no_workers || return
	done
	echo "$((i - 1)) times"
}

# ticks: CPU time that the victim's workers have used.
worker_ticks() {
	local fd tid
	for fd in ${net_fds[*]}; do
		tid=$(awk '$1 == "khx-worker:" { print $4 }' \
			"/proc/$(guest_pid victim)/fdinfo/$fd")
		cat "/proc/$tid/stat"
	done | awk '{ sum += $14 + $15 } END { print sum + 0 }'
}

# The workers get nothing done any more, and must not try for ever.
tap_removal() {
	local before after
	ip link del khxt-tap1 && ip link del khxt-tap2 || return
	guest_run victim "killall stream" || return
	sleep 1
	before=$(worker_ticks)
	sleep 2
	after=$(worker_ticks)
	echo "$((after - before)) ticks of CPU in 2 s without a tap"
	[ $((after - before)) -lt 20 ]
}

second_owner() {
	local fd output
	exec {fd}<>"$DEVICE"
	# Both inherit the same open file.
	qemu-system-x86_64 -M none -nodefaults -nographic -S \
		-netdev "tap,id=n,ifname=khxt-tap3,script=no,downscript=no,vhost=on,vhostfd=$fd" \
		< /dev/null > "$GUEST_DIR/first.log" 2>&1 &
	first=$!
	tap_wait 60 grep -q khx-worker "/proc/$first/fdinfo/$fd"
	output=$(timeout 60 qemu-system-x86_64 -M none -nodefaults -nographic -S \
		-netdev "tap,id=n,ifname=khxt-tap4,script=no,downscript=no,vhost=on,vhostforce=on,vhostfd=$fd" \
		< /dev/null 2>&1)
	exec {fd}>&-
	kill "$first"
	wait "$first" 2>/dev/null
	echo "$output"
	grep -q "vhost_set_owner failed.*busy" <<< "$output"
}

unload_and_load() {
	khx_module_unload khx_net && khx_module_load khx_net &&
		tap_wait 5 test -c "$DEVICE"
}

net_set_up
ram=$GUEST_DIR/ram state=$GUEST_DIR/state
trap 'kill "${floods[@]}" 2>/dev/null; net_tear_down; guest_cleanup' EXIT
floods=()
for n in 1 2 3 4; do
	net_link "$n" || tap_bail "no links"
done
tap_plan 8
start_victim
guest_wait victim || tap_bail "the guest does not boot"
net_up_for_good victim 1 && net_up_for_good victim 2 ||
	tap_bail "the guest has no NIC"
flood_guest 1
flood_guest 2
flood_host
tap_wait $((120 * guest_scale)) has_traffic
tap_run "traffic before anything else" has_traffic
net_claim "a running guest is saved" save_victim || tap_bail "no saved guest"
net_claim "killed $KILLS times under traffic" kill_under_traffic

restore_victim
tap_wait $((120 * guest_scale)) has_traffic
tap_fails "the module stays while it is in use" rmmod khx_net
net_claim "tap removed under traffic" tap_removal
guest_kill victim
kill "${floods[@]}"
tap_run "no worker is left" tap_wait $((10 * guest_scale)) no_workers
net_claim "a second owner is refused" second_owner
tap_run "the module can be unloaded and loaded" unload_and_load
tap_exit
