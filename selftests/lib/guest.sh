# SPDX-License-Identifier: GPL-2.0
# Nested guests for tests written in shell.
#
#	. "$(dirname "$0")/../lib/guest.sh"
#	guest_need
#	exec 9<>/dev/khx-net
#	guest_start a -netdev tap,id=n,ifname=tap0,script=no,downscript=no,vhost=on,vhostfd=9 \
#		-device virtio-net-pci,netdev=n
#	exec 9>&-
#	guest_wait a
#	guest_run a ip addr add 10.0.0.2/24 dev eth0
#	guest_kill a
#
# KHX_GUEST is the directory of the guests' kernel and initramfs, as
# selftests/vm/guest-image makes it.  GUEST_MEM (MiB), GUEST_SMP, GUEST_MACHINE,
# GUEST_QEMU (the program), GUEST_APPEND and GUEST_HOST=1 (the guest can run the
# test host's programs: `guest_run a host fio ...`) apply to the next guest_start;
# GUEST_TIMEOUT (seconds) to guest_run.  Everything is ended when the test exits.
#
# shellcheck shell=bash

GUEST_DIR=$(mktemp -d /tmp/khx-guests.XXXXXX)
declare -A guest_pids guest_boots
guest_serial=0
guest_eol=$'\r$'
# All limits are for a machine that is not slowed down by checkers.
guest_scale=${KHX_TIME_SCALE:-1}
# 50000 of the 60000 exits of a guest's boot are two walks over all PCI buses
# that exist, for a GART and for peer bridges (so says `khx exits show`).
guest_fast="mitigations=off pci=noearly,lastbus=0"
# Where the test host counts instructions, this check of a guest's timer never ends.
guest_fast+=" no_timer_check"
trap guest_cleanup EXIT

# guest_need: skip the whole test where no guest can run.
guest_need() {
	tap_need qemu-system-x86_64
	[ -e /dev/kvm ] || modprobe -q kvm_amd || modprobe -q kvm_intel
	[ -w /dev/kvm ] || tap_skip_all "no /dev/kvm"
	[ -e "${KHX_GUEST:-}/initramfs" ] || tap_skip_all "KHX_GUEST is no guest image"
}

# guest_qemu_since VERSION: is GUEST_QEMU that new?
guest_qemu_since() {
	"${GUEST_QEMU:-qemu-system-x86_64}" --version |
		sed -n 's/.* version \([0-9.]*\).*/\1/p' |
		{ cat; echo "$1"; } | sort -CVr
}

# guest_start NAME QEMU-ARGUMENTS...: start it and return at once.  It inherits
# the open files of the shell, for vhostfd= and the like.
guest_start() {
	local name=$1 dir=$GUEST_DIR/$1 share=() append=${GUEST_APPEND:-}
	shift
	rm -rf "$dir"
	mkdir "$dir"
	mkfifo "$dir/command.in" "$dir/qmp.in"
	# QEMU's pipe: .in is a pipe, and .out may as well be a file.
	: > "$dir/command.out"
	: > "$dir/qmp.out"
	if [ "${GUEST_HOST:-0}" = 1 ]; then
		share=(-fsdev "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap"
			-device "virtio-9p-pci,fsdev=host,mount_tag=khxhost")
		append+=" khx.host"
	fi
	"${GUEST_QEMU:-qemu-system-x86_64}" -M "${GUEST_MACHINE:-q35}" -accel kvm -cpu host \
		-m "${GUEST_MEM:-256}" -smp "${GUEST_SMP:-1}" \
		-nographic -nodefaults -no-user-config -nic none \
		-kernel "$KHX_GUEST/vmlinuz" -initrd "$KHX_GUEST/initramfs" \
		-append "console=ttyS0 quiet panic=-1 $guest_fast $append" \
		-chardev "file,id=console,path=$dir/console" -serial chardev:console \
		-chardev "pipe,id=qmp,path=$dir/qmp" -mon chardev=qmp,mode=control \
		-chardev "pipe,id=command,path=$dir/command" \
		-device virtio-serial-pci,id=khx-serial \
		-device virtserialport,chardev=command,name=command \
		"${share[@]}" "$@" < /dev/null > "$dir/qemu.log" 2>&1 &
	guest_pids[$name]=$!
	guest_boots[$name]=0
	# What is written to a pipe before QEMU has opened it would be lost.
	guest_reply "$name" qmp.out '"QMP"' 30 > /dev/null &&
		guest_qmp "$name" qmp_capabilities > /dev/null && return
	guest_log "$name"
	return 1
}

guest_pid() {
	echo "${guest_pids[$1]}"
}

# guest_alive NAME: is its QEMU still there?
guest_alive() {
	[ -d "/proc/${guest_pids[$1]}" ] &&
		! grep -q '^State:.*zombie' "/proc/${guest_pids[$1]}/status"
}

# guest_wait NAME [SECONDS]: until it has booted; once more, until it has
# booted again.
guest_wait() {
	local end=$((SECONDS + ${2:-600} * guest_scale)) boots
	while true; do
		boots=$(grep -c '^ready ' "$GUEST_DIR/$1/command.out")
		if [ "$boots" -gt "${guest_boots[$1]}" ]; then
			guest_boots[$1]=$boots
			return 0
		fi
		if ! guest_alive "$1" || [ "$SECONDS" -ge "$end" ]; then
			guest_log "$1"
			return 1
		fi
		sleep 0.2
	done
}

# guest_reply NAME FILE PATTERN SECONDS: print the first line that matches, and
# match it to its end, as it may be on its way still.
guest_reply() {
	local end=$((SECONDS + $4 * guest_scale))
	until grep -m 1 -e "$3" "$GUEST_DIR/$1/$2"; do
		if ! guest_alive "$1" || [ "$SECONDS" -ge "$end" ]; then
			return 1
		fi
		sleep 0.05
	done
}

# guest_run NAME COMMAND...: run a shell command in the guest; its output and
# exit status.  125: no answer.
guest_run() {
	local name=$1 id limit=${GUEST_TIMEOUT:-60} reply status output
	shift
	# Unique also when called in subshells.
	guest_serial=$((guest_serial + 1))
	id=$BASHPID.$guest_serial
	echo "$id $((limit * guest_scale)) $(printf '%s' "$*" | base64 -w 0)" 1<>"$GUEST_DIR/$name/command.in"
	if ! reply=$(guest_reply "$name" command.out "^$id .* end$" $((limit + 10))); then
		echo "guest $name does not answer: $*"
		return 125
	fi
	read -r _ status output <<< "${reply% end}"
	printf '%s' "$output" | base64 -d
	return "$status"
}

# guest_qmp NAME COMMAND [JSON-ARGUMENTS]: print the reply; 1 for an error.
guest_qmp() {
	local name=$1 arguments=$3 id reply
	guest_serial=$((guest_serial + 1))
	id=$BASHPID.$guest_serial
	printf '{"execute": "%s", "arguments": %s, "id": "%s"}\n' "$2" \
		"${arguments:-"{}"}" "$id" 1<>"$GUEST_DIR/$name/qmp.in"
	reply=$(guest_reply "$name" qmp.out "\"id\": \"$id\".*$guest_eol" 30) || return 1
	echo "$reply"
	! grep -q '"error":' <<< "$reply"
}

# guest_event NAME EVENT [SECONDS]: wait for a QMP event; print the first.
guest_event() {
	guest_reply "$1" qmp.out "\"event\": \"$2\".*$guest_eol" "${3:-30}"
}

# guest_is_migrated NAME: has it all been sent?
guest_is_migrated() {
	guest_qmp "$1" query-migrate | grep -q '"status": "completed"'
}

# guest_is_loaded NAME: has it all been received?
guest_is_loaded() {
	guest_qmp "$1" query-status | grep -q '"status": "\(paused\|prelaunch\)"'
}

# guest_same_memory FROM TO: of two guests that stand still; prints the first
# bytes that differ in each page.
guest_same_memory() {
	local name
	for name in "$1" "$2"; do
		guest_qmp "$name" pmemsave "{\"val\": 0, \"size\": $((GUEST_MEM << 20)),
			\"filename\": \"$GUEST_DIR/memory.$name\"}" > /dev/null || return
	done
	cmp -l "$GUEST_DIR/memory.$1" "$GUEST_DIR/memory.$2" |
		awk '{ page = int(($1 - 1) / 4096) }
		page != last { n++; last = page; bytes = 0 }
		bytes++ < 16 { printf "%#x: %s -> %s (octal)\n", $1 - 1, $2, $3 }
		END { print n + 0, "pages differ"; exit n > 0 }' ||
		return
	rm "$GUEST_DIR/memory.$1" "$GUEST_DIR/memory.$2"
}

# guest_kill NAME [SIGNAL]: end its QEMU, by kill -9 if not said otherwise.
guest_kill() {
	[ -n "${guest_pids[$1]:-}" ] || return 0
	kill "-${2:-KILL}" "${guest_pids[$1]}" 2>/dev/null
	wait "${guest_pids[$1]}" 2>/dev/null
	unset "guest_pids[$1]"
	return 0
}

# guest_quit NAME: an orderly end; QEMU's exit status, 137 if it had to be killed.
guest_quit() {
	local status=0
	guest_qmp "$1" quit > /dev/null
	tap_wait 20 eval "! guest_alive $1" || kill -KILL "${guest_pids[$1]}"
	wait "${guest_pids[$1]}" || status=$?
	unset "guest_pids[$1]"
	return "$status"
}

# guest_log NAME: what is known of a guest that fails.
guest_log() {
	local file
	for file in qemu.log console; do
		echo "# guest $1, $file:"
		tail -n 20 "$GUEST_DIR/$1/$file" 2>/dev/null | tr -d '\r' | sed 's/^/#   /'
	done
}

guest_cleanup() {
	local name
	for name in "${!guest_pids[@]}"; do
		guest_kill "$name"
	done
	rm -rf "$GUEST_DIR"
}
