#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `khx merge` and the netlink family behind it: what they show is what is.

. "$(dirname "$0")/../lib/tap.sh"

[ -d /sys/kernel/khx_merge ] || tap_skip_all "khx_merge is not loaded"
khx=$(dirname "$0")/../../build/tools/khx
[ -x "$khx" ] || khx=$(command -v khx) || tap_skip_all "no khx"

sysfs=/sys/kernel/khx_merge
dir=/tmp/khxmem-tool
mkdir -p "$dir"
mount -t khxmem -o domain=tool khxmem "$dir" || exit 1
trap 'umount "$dir"' EXIT
truncate -s 16M "$dir/vm1"
head -c 40960 /dev/urandom > "$dir/vm2"
tap_plan 11

# field NAME: of the JSON on standard input
field() {
	grep -o "\"$1\": *[^,}]*" | head -n 1 | sed 's/.*: *//; s/"//g'
}

tap_is "$("$khx" -j merge show | field state)" stopped "the state is shown"
tap_is "$("$khx" -j merge show | field promised_mib)" 16 \
	"and what guests are promised"
tap_is "$("$khx" -j merge show "$dir/vm2" | field private)" 10 \
	"a file's pages are shown"
tap_is "$("$khx" -j merge show "$dir/vm1" | field size_mib)" 16 "and its size"
tap_fails "a file elsewhere is refused" "$khx" merge show /etc/passwd
tap_is "$("$khx" -j merge domains | field domain)" tool "a domain is shown"
tap_run "settings are set" "$khx" merge set cpu-limit 33 sleep-ms 44
tap_is "$(cat $sysfs/cpu_limit $sysfs/sleep_millisecs | paste -sd' ')" "33 44" \
	"as sysfs shows"
tap_is "$("$khx" merge set cpu-limit 101 2>&1 | grep -c 'cpu_limit: 1 to 100')" 1 \
	"a value out of range is refused with the range"
tap_fails "an unknown setting is refused" "$khx" merge set colour 3
tap_fails "nobody else may set" setpriv --reuid 65534 --clear-groups \
	"$khx" merge set run 1
"$khx" merge set cpu-limit 10 sleep-ms 20
tap_exit
