#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A front end that breaks the protocol loses its connection, and nothing else: the
# next one is served. khx-vhost-user has no privileges then, and refuses a file that
# somebody else writes to.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
PATH=$PATH:${KHX_TOP:-../..}/build/tools
tap_need khx-vhost-user

tap_plan 10
blk_null_blk nullb-khx || tap_bail "no null_blk"
khx-vhost-user --socket "$blk_dir/sock" --blk /dev/nullb-khx --queues 64 2> "$blk_dir/log" &
daemon=$!
blk_later "kill $daemon"
tap_run "it listens" tap_wait 10 test -S "$blk_dir/sock"
blk_tap "front ends" bridge "$blk_dir/sock"
tap_run "it is alive" kill -0 $daemon
tap_ok "$([ "$(wc -l < "$blk_dir/log")" -lt 100 ]; echo $?)" \
	"it does not fill the host's disk with messages"
tap_is "$(awk '/^CapEff/ { print $2 }' /proc/$daemon/status)" 0000000000000000 \
	"it has no capabilities"
tap_is "$(awk '/^Seccomp:/ { print $2 }' /proc/$daemon/status)" 2 \
	"it has a system call filter"
blk_file "$blk_dir/file" 16
khx-vhost-user --socket "$blk_dir/sock2" --blk "$blk_path" 2> /dev/null &
second=$!
blk_later "kill $second"
tap_wait 10 test -S "$blk_dir/sock2"
timeout 60 khx-vhost-user --socket "$blk_dir/sock3" --blk "$blk_path" 2> /dev/null
tap_is $? 1 "a file that is in use is refused"
khx-vhost-user --socket "$blk_dir/sock3" --blk "$blk_path" --force 2> /dev/null &
blk_later "kill $!"
tap_run "unless that is said to be all right" tap_wait 10 test -S "$blk_dir/sock3"
blk_null_blk nullb-fs && mkfs.ext4 -q -E nodiscard /dev/nullb-fs &&
	mkdir "$blk_dir/fs" && mount /dev/nullb-fs "$blk_dir/fs" &&
	blk_later "umount $blk_dir/fs"
khx-vhost-user --socket "$blk_dir/sock4" --blk /dev/nullb-fs 2> "$blk_dir/log4" &
blk_later "kill $!"
tap_run "of a mounted device it warns" \
	tap_wait 10 grep -q "warning: .* is mounted" "$blk_dir/log4"
kill $daemon $second
tap_run "it ends" tap_wait 60 eval "! kill -0 $daemon"
sed 's/^/# log: /' "$blk_dir/log" | head -n 20
tap_exit
