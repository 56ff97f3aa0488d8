#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# `khx merge`, `khx monitor` and the netlink family behind them: what they show is
# what is, and all that the family's description lists; and events come when something
# happens. (That of the profit guard: cpu_time.c.)

. "$(dirname "$0")/../lib/tap.sh"

PATH=$PATH:$(dirname "$0")/../../build/tools
tap_need_root
tap_need khx jq setpriv
[ -d /sys/kernel/khx_merge ] || tap_skip_all "khx_merge is not loaded"

sysfs=/sys/kernel/khx_merge
spec=$(dirname "$0")/../../Documentation/netlink/specs/khx_merge.yaml
dir=/tmp/khxmem-tool
host_kib=$(awk '/^MemTotal:/ { print $2 }' /proc/meminfo)
work=$(mktemp -d)

clean_up() {
	khx merge set run 0 cpu-limit 10 sleep-ms 20 profit-guard 1
	jobs -p | xargs -r kill -9
	umount "$dir" "$dir-small"
	rm -rf "$work"
} 2> /dev/null
trap clean_up EXIT

# shows FILTER COMMAND...: what jq makes of the first row
shows() {
	local filter=$1
	shift
	khx -j merge "$@" | jq -r ".[0] | $filter"
}

# file_row NAME FILTER: of the row of that file
file_row() {
	khx -j merge files | jq -r ".[] | select(.name == \"$1\") | $2"
}

# event NAME [FILTER]: has one come?
event() {
	# -e is no help: it takes no event at all for success.
	jq -c "select(.event == \"$1\") | ${2:-.}" "$work/events" | grep -q .
}

mkdir -p "$dir" "$dir-small"
mount -t khxmem -o size=4g,domain=tool khxmem "$dir" &&
	mount -t khxmem -o size=64k,domain=small khxmem "$dir-small" ||
	tap_bail "no mounts"
# vm2 is 4 MiB, what equals it 8, and 3 more hold nothing.
truncate -s 3G "$dir/vm1"
head -c 4M /dev/urandom > "$dir/vm2"
cat "$dir/vm2" "$dir/vm2" > "$dir/vm3"

refused_all() {
	local setting value range
	while read -r setting value range; do
		khx merge set "$setting" "$value" 2>&1 | grep -F "$range" ||
			return
	done <<- END
		run 3 run: 0 to 2
		pages-to-scan 0 pages_to_scan: 1 to 1048576
		pages-to-scan 1048577 pages_to_scan: 1 to 1048576
		sleep-ms 3600001 sleep_millisecs: 0 to 3600000
		cpu-limit 0 cpu_limit: 1 to 100
		cpu-limit 101 cpu_limit: 1 to 100
		max-page-sharing 1 max_page_sharing: 2 to 1048576
		max-page-sharing 1048577 max_page_sharing: 2 to 1048576
		use-zero-pages 2 use_zero_pages: 0 or 1
		merge-across-nodes 2 merge_across_nodes: 0 or 1
		profit-guard 2 profit_guard: 0 or 1
		profit-guard -1 profit_guard: 0 or 1
		cpu-limit 4294967306 cpu_limit: 1 to 100
	END
}

settings() {
	tap_run "settings are set" khx merge set cpu-limit 33 sleep-ms 44
	tap_is "$(cat $sysfs/cpu_limit $sysfs/sleep_millisecs | paste -sd' ')" \
		"33 44" "as sysfs shows"
	tap_is "$(khx merge show settings | awk 'NR == 2 { print $4, $3 }')" "33 44" \
		"and as the tool shows"
	tap_run "values out of range are refused with the range" refused_all
	tap_fails "an unknown setting is refused" khx merge set colour 3
	tap_fails "nobody else may set" setpriv --reuid 65534 --clear-groups \
		--bounding-set=-all --inh-caps=-all khx merge set run 1
	tap_fails "nor see whose files there are" setpriv --reuid 65534 \
		--clear-groups --bounding-set=-all --inh-caps=-all khx merge files
	tap_fails "nor what merges in which domain" setpriv --reuid 65534 \
		--clear-groups --bounding-set=-all --inh-caps=-all khx merge domains
}

# Files that the document of the directory describes
described() {
	sed -n 's,^What:.*/,,p' \
		"$(dirname "$0")/../../Documentation/ABI/testing/sysfs-kernel-khx_merge"
}

figures() {
	tap_is "$(ls $sysfs | sort | xargs)" "$(described | sort | xargs)" \
		"each file in sysfs is described"
	tap_is "$(shows .state show)" stopped "the state is shown"
	tap_is "$(shows .promised_mib show)" 3084 "and what guests are promised"
	tap_is "$(shows '"\(.host_mib) \(.overcommit_percent)"' show)" \
		"$((host_kib / 1024)) $((3084 * 1024 * 100 / host_kib))" \
		"beside what the host has"
	tap_is "$(shows .private show "$dir/vm2")" 1024 "a file's pages are shown"
	tap_is "$(shows .size_mib show "$dir/vm1")" 3072 "and its size"
	tap_fails "a file elsewhere is refused" khx merge show /etc/passwd
	tap_is "$(shows .domain domains)" tool "a domain is shown"
	tap_is "$(khx merge show warn 0 2>&1 | grep -c 'are promised')" 1 \
		"a promise beyond the threshold is warned of"
	sleep 2
	tap_run "and how old both are" eval \
		'[ "$(file_row vm1 .age_s)" -ge 2 ] && [ "$(shows .age_s domains)" -ge 2 ]'
	tap_is "$(khx -j merge domains | jq length)" 2 "every domain is listed"
	truncate -s 4E "$dir-small/long"
	tap_is "$(shows .promised_mib show)" 3084 \
		"no more is promised than a mount may hold"
	mv "$dir-small/long" "$dir-small/"$'a\n\e[2Jb'
	tap_is "$(khx merge files | grep -c '^a\|'$'\e')" 0 \
		"a file's name is no command to the terminal"
	rm "$dir-small/"$'a\n\e[2Jb'
}

merging() {
	head -c 3M /dev/zero | dd of="$dir/vm1" bs=1M conv=notrunc 2> /dev/null
	# Asleep for an hour, unless it hears of what is set now.
	khx merge set sleep-ms 3600000 cpu-limit 100 profit-guard 0 run 1
	sleep 1
	khx merge set sleep-ms 0
	tap_run "pages merge, and each file shows its own" \
		tap_wait 20 eval '[ "$(file_row vm3 .merged)" = 2048 ]'
	tap_run "those of another one too" \
		tap_wait 20 eval '[ "$(file_row vm2 .merged)" = 1024 ]'
	tap_run "the domain has the copies" \
		tap_wait 20 eval '[ "$(shows .shared domains)" = 1024 ]'
	tap_run "zeros are given back" \
		tap_wait 20 eval '[ "$(file_row vm1 .zeroed)" = 768 ]'
	tap_run "the end of a pass is an event" tap_wait 10 event merge-pass
	tap_run "with figures" tap_wait 10 event merge-pass 'select(.shared == 1024)'
	khx merge set run 0
	tap_is "$(file_row vm3 .saved_mib)" 8 "a file has what was merged of it"
	tap_run "the scanner at rest has given most frames for copies back" \
		tap_wait 20 eval '[ "$(cat $sysfs/metadata_bytes)" -lt 1000000 ]'
	tap_is "$(shows '"\(.in_use_mib) \(.saved_mib)"' show)" "4 11" \
		"of 15 MiB 4 are in use, 11 are saved"
	tap_is "$(shows '"\(.metadata) \(.profit)"' show)" \
		"$(cat $sysfs/metadata_bytes $sysfs/general_profit | xargs)" \
		"what is needed for that, and the profit, are shown"
	tap_run "that is what is saved, less what is needed" eval \
		'needed=$(cat $sysfs/metadata_bytes) && [ "$needed" -gt 0 ] &&
		[ "$(cat $sysfs/general_profit)" = $(((11 << 20) - needed)) ]'
}

full() {
	head -c 128K /dev/zero > "$dir-small/full" 2> /dev/null
	tap_run "a full mount is an event" tap_wait 60 event merge-limit
	for _ in $(seq 30); do
		head -c 128K /dev/zero > "$dir-small/full" 2> /dev/null
		sleep 0.1
	done
	tap_is "$(dmesg | grep -c 'khx_merge.*suppressed')" 0 \
		"one that stays full is no line of the kernel log"
}

# of_message OPERATION: what its messages have in them, as the tool calls that
of_message() {
	awk -v operation="$1" '$1 == "name:" { here = $2 == operation } here' "$spec" |
		tr -d '\n' | sed 's/.*attributes: \[\([^]]*\)\].*/\1/; s/, */\n/g' |
		sed -E 's/^(set|stat)-//; s/-msecs$/-ms/; s/^breaks$/cow_breaks/
			s/^(size|promised)$/\1_mib/; s/^age$/age_s/; s/-/_/g' | sort | xargs
}

# listed: the keys of some rows, but for what the tool makes of the others itself
listed() {
	jq -rs 'flatten | [.[] | keys[]] | unique | .[]' |
		grep -vxE 'event|(host|in_use|saved)_mib|overcommit_percent' | sort | xargs
}

# A file has an owner when somebody has mapped it.
lists_all() {
	local event mapper
	cp "$(command -v sleep)" "$dir/mapped"
	"$dir/mapped" 100 &
	mapper=$!
	tap_wait 20 eval '[ "$(file_row mapped .owner)" -gt 1 ]'
	tap_is "$(khx -j merge show | listed)" "$(of_message get)" \
		"what is shown is what the description lists"
	tap_is "$(khx -j merge files | listed)" "$(of_message file-get)" "so it is of files"
	tap_is "$(khx -j merge domains | listed)" "$(of_message domain-get)" "of domains"
	for event in pass limit; do
		tap_is "$(jq -c "select(.event == \"merge-$event\")" "$work/events" | listed)" \
			"$(of_message $event)" "and of the event $event"
	done
	kill $mapper
	wait $mapper 2> /dev/null
}

tap_plan $((13 + 8 + 11 + 2 + 5))
khx -j monitor > "$work/events" &
sleep 0.5
figures
settings
merging
full
lists_all
tap_exit
