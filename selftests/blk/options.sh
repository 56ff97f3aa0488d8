#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What the command line of khx-vhost-user says is done, or refused in plain words.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
PATH=$PATH:${KHX_TOP:-../..}/build/tools
tap_need khx-vhost-user

sock=$blk_dir/sock

# serve OPTIONS...: until the next one.
serve() {
	[ -z "${daemon:-}" ] || { kill "$daemon"; wait "$daemon"; } 2> /dev/null
	khx-vhost-user --socket "$sock" "$@" 2> "$blk_dir/log" &
	daemon=$!
	blk_later "kill $daemon"
	tap_wait 10 grep -q "00010000 .* $sock\$" /proc/net/unix
}

# says STATUS TEXT OPTIONS...: it ends with that, and the text is in its one line.
says() {
	local status=0 output
	output=$(timeout 10 khx-vhost-user "${@:3}" 2>&1) || status=$?
	[ "$status" = "$1" ] && [[ $output == *"$2"* ]] &&
		[ "$(wc -l <<< "$output")" -le 2 ] && return
	tap_diag "${*:3}: $status, $output"
	return 1
}

refuses_files() {
	: > "$blk_dir/empty"
	head -c 1000 /dev/zero > "$blk_dir/odd"
	says 1 "$blk_dir is a directory" --socket "$sock" --blk "$blk_dir" &&
		says 1 "$blk_dir is a directory" --socket "$sock" --blk "$blk_dir" --readonly &&
		says 1 "empty is empty" --socket "$sock" --blk "$blk_dir/empty" &&
		says 1 "odd is not made of whole sectors" --socket "$sock" --blk "$blk_dir/odd" &&
		says 1 "/dev/null is neither" --socket "$sock" --blk /dev/null &&
		says 1 "/nowhere: No such file" --socket "$sock" --blk /nowhere
}

refuses_values() {
	local disk=(--socket "$sock" --blk "$blk_dir/file")
	says 1 "'1' is not a number from 2 to 32768" "${disk[@]}" --queue-size 1 &&
		says 1 "'40000' is not" "${disk[@]}" --queue-size 40000 &&
		says 1 "'0' is not a number from 1 to 64" "${disk[@]}" --queues 0 &&
		says 1 "'2x' is not" "${disk[@]}" --queues 2x &&
		says 1 "more than 20 characters" "${disk[@]}" --serial 012345678901234567890 &&
		says 1 "neither on nor off" "${disk[@]}" --direct maybe &&
		says 1 "neither writethrough nor writeback" "${disk[@]}" --cache none
}

refuses_usage() {
	says 1 "no --blk" &&
		says 1 "which --blk?" --socket "$sock" &&
		says 1 "none from systemd" --blk "$blk_dir/file" &&
		says 1 "what is 'that'" --blk "$blk_dir/file" that &&
		says 2 "unrecognized option" --fast &&
		says 1 "too long for a socket" --blk "$blk_dir/file" \
			--socket "/$(printf '%0200d' 0)" &&
		says 1 "no user nobody-at-all" --socket "$sock" \
			--blk "$blk_dir/file" --user nobody-at-all
}

is_user() {
	local uid
	uid=$(id -u "$1")
	[ "$(awk '/^(Uid|Gid):/ { print $2, $3, $4, $5 }' "/proc/$daemon/status" | xargs)" = \
		"$(echo "$uid $uid $uid $uid" "$(yes "$(id -g "$1")" | head -n 4)" | xargs)" ] &&
		! awk '/^Groups:/ { exit NF == 1 }' "/proc/$daemon/status"
}

tap_plan 9
blk_file "$blk_dir/file" 16
tap_run "what is no disk is refused" refuses_files
tap_run "so are values that cannot be" refuses_values
tap_run "and what makes no sense" refuses_usage
serve --blk "$blk_dir/file" --queue-size 256 || tap_bail "no back end"
tap_is "$(offers "$sock" 256 512 128)" "yes no yes 1 0" \
	"no ring is larger than --queue-size"
serve --blk "$blk_dir/file" || tap_bail "no back end"
tap_is "$(offers "$sock" 1024 2048)" "yes no 1 0" "or than 1024"
serve --blk "$blk_dir/file" --user nobody || tap_bail "no back end"
tap_run "--user drops what root has" is_user nobody
tap_is "$(offers "$sock")" "1 0" "and serves"
serve --blk "$blk_dir/file" --cache writethrough || tap_bail "no back end"
tap_is "$(offers "$sock")" "0 0" "--cache writethrough is how the disk begins"
serve --blk "$blk_dir/file" --cache writeback || tap_bail "no back end"
tap_is "$(offers "$sock")" "1 0" "or writeback, as by default"
tap_exit
