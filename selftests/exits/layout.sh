#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# A KVM that is not laid out as khx_exits knows it is said to be so in the kernel
# log, and left alone. That KVM is the running kernel's own with a few bytes
# changed: how many arguments a tracepoint has, or what something is called.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

dir=/sys/kernel/debug/khx/exits

tap_need_root
tap_need readelf objcopy
[ -d "$dir" ] || tap_skip_all "khx_exits is not loaded"
[ -e /dev/kvm ] || modprobe -q kvm_intel 2> /dev/null || modprobe -q kvm_amd
[ -e /dev/kvm ] || tap_skip_all "no /dev/kvm"
[ -d /sys/module/kvm ] || tap_skip_all "KVM is built into this kernel"

vendor=kvm_amd get_info=svm_get_exit_info
[ -d /sys/module/kvm_intel ] && vendor=kvm_intel get_info=vmx_get_exit_info

work=$(mktemp -d)
kvm=$work/kvm
trap 'kill -9 $(jobs -p) 2> /dev/null; rm -rf "$work"' EXIT

# take MODULE: its file as it is, but for the signature.
take() {
	local file
	file=$(modinfo -F filename "$1")
	case $file in
	*.xz) xz -dc "$file" > "$work/packed" && file=$work/packed ;;
	esac
	objcopy --strip-debug "$file" "$work/$1.orig"
}

# put OFFSET BYTE: into KVM's file.
put() {
	printf '%b' "\\x$2" |
		dd of="$kvm" bs=1 seek="$1" conv=notrunc status=none
}

# section NAME: where it begins in KVM's file.
section() {
	sed -n "s/.*\] $1 *[A-Z]* *[0-9a-f]* \([0-9a-f]*\) .*/0x\1/p" \
		"$work/sections"
}

# The tracepoint's entry in that section is found by its relocation; behind two
# pointers it has the number of arguments.
set_args() {
	local entry
	entry=$(sed -n "s/^0*\([0-9a-f]*\) .* __tracepoint_$1 + 0\$/0x\1/p" \
		"$work/relocations")
	[ -n "$entry" ] &&
		put $(($(section __bpf_raw_tp_map) + entry + 16)) "0$2"
}

# Its name, which the kernel has elsewhere as that of a function, too.
rename_tracepoint() {
	local start at
	start=$(section __tracepoints_strings)
	at=$(tail -c +$((start + 1)) "$kvm" | LC_ALL=C grep -aboP "\x00$1\x00" |
		sed -n '1s/:.*//p')
	[ -n "$at" ] && put $((start + at + 1)) 58
}

# rename_symbol MODULE NAME: to one that is as long. Newer compilers have it once,
# as the end of another one's, too.
rename_symbol() {
	LC_ALL=C sed -i "s/\(\x00\|\x00__pfx_\)$2\x00/\1${2%?}X\x00/g" "$work/$1"
}

# with COMMAND...: load KVM as that has changed its files.
with() {
	rmmod $vendor kvm && cp "$kvm.orig" "$kvm" &&
		cp "$work/$vendor.orig" "$work/$vendor" && "$@" || return
	echo "khx-layout: $*" > /dev/kmsg
	insmod "$kvm" && insmod "$work/$vendor"
}

said() {
	dmesg | awk '/khx-layout: / { text = "" } { text = text $0 "\n" }
		END { printf "%s", text }' | grep "khx_exits: .*$1"
}

attached() {
	grep "attached $1" $dir/status
}

# A guest runs, and nothing is shown of it.
uncounted() {
	local shown
	forever &
	# KVM's own count.
	tap_wait 60 eval "cat /sys/kernel/debug/kvm/$!-*/exits | grep -qv '^0'"
	shown=$(find $dir -mindepth 1 -type d)
	kill -9 $! && wait $! 2> /dev/null
	[ -z "$shown" ]
}

refused() {
	local what=$1
	shift
	with "$@" && said "$what" && attached 0 && uncounted
}

# What tells the layout only shows in the first exit.
refused_late() {
	local what=$1
	shift
	with "$@" && uncounted && said "$what" &&
		! grep -qx 'missed_exits 0' $dir/status
}

less_counted() {
	with set_args kvm_mmio 5 && said 'kvm_mmio has 5 arguments' &&
		attached 1 && counts brief
}

back() {
	with true && attached 1 && counts brief
}

take kvm && take $vendor || tap_bail "no copy of KVM's modules"
readelf -SW "$kvm.orig" > "$work/sections"
readelf -rW "$kvm.orig" | sed -n '/__bpf_raw_tp_map/,/^$/p' > "$work/relocations"

tap_plan 7
tap_run "kvm_exit with one argument more" \
	refused 'kvm_exit has 3 arguments, 2 to 2 expected' set_args kvm_exit 3
tap_run "kvm_entry with one argument more" \
	refused 'kvm_entry has 3 arguments, 1 to 2 expected' set_args kvm_entry 3
tap_run "no kvm_exit" \
	refused 'no tracepoint kvm_exit' rename_tracepoint kvm_exit
tap_run "no kvm_x86_ops" \
	refused 'exit information not found' rename_symbol kvm kvm_x86_ops
tap_run "get_exit_info is something else" \
	refused_late 'unknown layout of kvm_x86_ops' \
	rename_symbol $vendor $get_info
tap_run "kvm_mmio with one argument more: only that is not counted" less_counted
tap_run "KVM as it was: all is counted again" back
rmmod $vendor kvm && modprobe $vendor
tap_exit
