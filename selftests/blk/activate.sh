#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Sockets that systemd has listened on are served, each by the disk in its place.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
PATH=$PATH:${KHX_TOP:-../..}/build/tools
tap_need khx-vhost-user

tap_plan 2
blk_file "$blk_dir/a" 16
blk_file "$blk_dir/b" 32
activate "$blk_dir/a.sock" "$blk_dir/b.sock" -- \
	khx-vhost-user --blk "$blk_dir/a" --blk "$blk_dir/b" 2> "$blk_dir/log" &
blk_later "kill $!"
tap_wait 10 test -S "$blk_dir/b.sock"
tap_is "$(resize "$blk_dir/a.sock" truncate -s 24M "$blk_dir/a")" \
	"32768 1 49152 0" "a front end on the first socket"
tap_is "$(resize "$blk_dir/b.sock" truncate -s 48M "$blk_dir/b")" \
	"65536 1 98304 0" "and one on the second"
sed 's/^/# log: /' "$blk_dir/log" | head -n 20
tap_exit
