#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# khx dev, queue, worker and monitor, and the trace events, on a device that
# transmits all the time (netgen ends by itself if a packet is lost).

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

PATH=$PATH:$PWD/../../build/tools
events=/sys/kernel/tracing/events/khx
switches=15

tap_need_root
tap_need khx jq setpriv
[ -c /dev/khx-net ] || tap_skip_all "no /dev/khx-net"

work=$(mktemp -d)
# Processes, and so devices, are called whatever their owners like.
cp "$(command -v netgen)" "$work/"$'net\e[2J\ngen'
nice "$work/"$'net\e[2J\ngen' -m tx -n 2000 -r 1000000 > "$work/netgen" 2>&1 &
load=$!
trap 'jobs -p | xargs -r kill 2> /dev/null; rm -rf "$work"' EXIT

device() {
	khx -j dev show | jq -e ".[] | select(.pid == $load and .running == 2) | .dev"
}
tap_wait 20 device || tap_bail "the device does not show: $(cat "$work/netgen")"
dev=$(device)

# keys VERB...: names of the members of the first row, sorted.
keys() {
	khx -s -j "$@" | jq -r '.[0] | keys | join(" ")'
}

chains() {
	khx -s -j dev show "$dev" | jq '.[0].stats.chains'
}

grows() {
	local before
	before=$(chains)
	sleep 0.3
	[ "$(chains)" -gt "$before" ]
}

# What does not change from one moment to the next.
still() {
	khx "$1" dev show "$dev" | jq -c '.[0] | del(.stats)'
}

is_pretty() {
	[ "$(khx -p dev show "$dev" | wc -l)" -gt 5 ] &&
		[ "$(khx -j dev show "$dev" | wc -l)" = 1 ] &&
		[ "$(still -p)" = "$(still -j)" ]
}

# Each cell begins, or ends, where its heading does.
aligns() {
	khx "$@" | awk '
	NR == 1 {
		for (i = 1; i <= NF; i++) {
			from[i] = index(substr($0, end[i - 1] + 1), $i) + end[i - 1]
			end[i] = from[i] + length($i) - 1
		}
		n = NF
		next
	}
	{
		rows++
		at = 0
		for (i = 1; i <= n; i++) {
			start = index(substr($0, at + 1), $i) + at
			at = start + length($i) - 1
			if (start != from[i] && at != end[i]) {
				print "cell " i ": " $0
				exit bad = 1
			}
		}
	}
	END { exit bad || !rows }'
}

rates() {
	khx -j -i 1 dev show "$dev" > "$work/rates" || return
	cat "$work/rates"
	jq -e ".[0].stats | .chains > 0 and .chains < $(chains)" "$work/rates"
}

# A terminal is not told to do anything, and a row is a line.
is_harmless() {
	khx dev show > "$work/table"
	khx dev show 99999 2> "$work/error"
	[ "$(grep -c 'net?\[2J?gen' "$work/table")" = 1 ] &&
		[ "$(grep -c 'net?\[2J?gen' "$work/error")" = 1 ] &&
		! grep -q $'\e' "$work/table" "$work/error" &&
		khx -j dev show "$dev" | jq -e '.[0].comm == "net\u001b[2J\ngen"'
}

# refuses STATUS TEXT COMMAND...: fails with that status and says TEXT.
refuses() {
	local status=$1 text=$2
	shift 2
	"$@" > "$work/refused" 2>&1
	set -- $?
	cat "$work/refused"
	[ "$1" = "$status" ] && grep -q -- "$text" "$work/refused"
}

as_nobody() {
	setpriv --reuid 65534 --clear-groups "$(command -v khx)" "$@"
}

mode() {
	khx -j worker show "$dev" | jq -r '.[0].mode + " " + (length | tostring)'
}

switch_often() {
	local i
	for ((i = 0; i < switches; i += 3)); do
		khx worker set "$dev" mode queue poll-us $((i % 2 * 20)) &&
			khx worker set "$dev" mode shared workers $((1 + i % 2)) &&
			khx worker set "$dev" mode device || return
	done
	kill -0 "$load" && grows
}

worker_sets() {
	jq -s "map(select(.event == \"worker-set\" and .dev == $dev)) | length" \
		"$work/events"
}

# has NUMBER EVENT: so many are written down.
has() {
	[ "$(jq -s "map(select(.event == \"$2\")) | length" "$work/events")" = "$1" ]
}

# The monitor listens when it has found its families, not as soon as it runs; and
# what it heard is written when both are.
is_heard() {
	local before
	before=$(worker_sets)
	khx worker set "$dev" mode queue && khx worker set "$dev" mode device &&
		tap_wait 2 eval "[ \$(worker_sets) = $((before + 2)) ]"
}

monitored() {
	local before
	khx -j monitor > "$work/events" &
	tap_wait 60 is_heard || { kill %khx; return 1; }
	before=$(worker_sets)
	khx worker set "$dev" mode queue
	khx worker set "$dev" mode device
	break-queue
	tap_wait 60 has 1 dev-del
	kill %khx
	cat "$work/events"
	[ "$(worker_sets)" = $((before + 2)) ] &&
		jq -e -s 'map(.event) | index("dev-add") < index("queue-start") and
			index("queue-start") < index("queue-error") and
			index("queue-error") < index("dev-del")' "$work/events" &&
		jq -e -s '.[] | select(.event == "queue-error") | .fault | length > 5' \
			"$work/events"
}

# Each event, with what its name says, and none once they are off.
traced() {
	local trace=/sys/kernel/tracing/trace event lines
	echo > $trace
	echo 1 > $events/enable
	khx worker set "$dev" mode queue
	khx worker set "$dev" mode device
	break-queue
	sleep 0.2
	echo 0 > $events/enable
	cat $trace > "$work/trace"
	for event in "khx_batch: dev=$dev queue=1 chains=[1-9]" \
		"khx_signal: dev=$dev queue=1 sent=[01]" \
		"khx_worker_switch: dev=$dev mode=1 workers=2" \
		'khx_queue_error: dev=[0-9]* queue=1 err=-[0-9]* check="..*"'; do
		echo "$event"
		grep -q "$event" "$work/trace" || return
	done
	echo > $trace
	sleep 0.3
	lines=$(grep -vc '^#' $trace)
	echo "$lines lines after the end"
	[ "$lines" = 0 ]
}

tap_plan 22
tap_is "$(khx --version)" "khx $(cat /sys/module/khx/version)" \
	"the tool and the modules are of one version"
tap_is "$(keys dev show "$dev")" \
	"comm dev failed features mode netns pid queues ring running stats type workers" \
	"the members of a device are those that scripts know"
tap_is "$(keys queue show "$dev")" \
	"avail_index dev poll_now_us poll_us queue ring ring_size state stats tid used_index weight worker" \
	"those of a queue, too"
tap_is "$(keys worker show "$dev")" "cpus dev mode queues runtime_ns tid worker" \
	"and those of a worker"
tap_run "pretty JSON says the same" is_pretty
tap_run "the table of devices aligns" aligns dev show
tap_run "the table of their counters aligns" aligns -s dev show
tap_run "the table of queues aligns" aligns queue show "$dev"
tap_run "the table of their counters does, too" aligns -s queue show "$dev"
tap_run "the table of workers aligns" aligns worker show
tap_run "counters grow" grows
tap_run "an interval makes rates of them" rates

tap_run "an unknown device is refused, and those that are there are named" \
	refuses 1 "no device 99999; there are:.*net.*gen" khx dev show 99999
tap_run "names are shown, and not obeyed" is_harmless
tap_run "half a word is not a word" refuses 2 "unknown object" khx de show
tap_run "half a verb is none, either" refuses 2 "unknown verb" khx dev sho
tap_run "anybody may look" as_nobody dev show "$dev"
tap_run "only an administrator may change" \
	refuses 1 "CAP_NET_ADMIN\|ermission\|ermitted" as_nobody worker set "$dev" mode queue

tap_run "workers are exchanged $switches times under load" switch_often
tap_is "$(mode)" "device 1" "the last mode is what it is served in"
tap_run "events come as they should" monitored
tap_run "trace events say what happens, while they are on" traced
kill "$load"
tap_exit
