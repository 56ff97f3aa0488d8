#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# blk.sh: khx-vhost-user beside qemu-storage-daemon, instructions a 4 KiB read.
#
# Runs on a test host with one processor on which every instruction takes one
# nanosecond (QEMU -icount). The figures are those of the whole machine, and
# include the driver and the block layer, which are the same for all; the
# floor is the device read by io_submit(). The disk is null_blk without data.
#
#	COUNT=5000	requests of one round
#	DEPTHS="1 32"	requests in flight
#	PROFILE=1	the functions that they are spent in instead, for one read:
#			instructions, calls (insns.c counts); build/bench/profile
#			has all of them

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
out=${KHX_BUILD:-$top/build}/bench
# The test host gets only variables of that name.
export KHX_COUNT=${COUNT:-${KHX_COUNT:-5000}}
export KHX_DEPTHS=${DEPTHS:-${KHX_DEPTHS:-1 32}}
export KHX_PROFILE=${PROFILE:-${KHX_PROFILE:-0}}
lib=$top/selftests/lib

build() {
	mkdir -p "$out"
	"${CC:-cc}" -O2 -g -no-pie -Wall -Wextra -std=gnu11 -D_GNU_SOURCE -I"$lib" \
		-o "$out/blkload" "$here/blkload.c" \
		"$top/selftests/blk/front-end.c" "$lib/vring.c"
	[ "$KHX_PROFILE" = 0 ] || "${CC:-cc}" -O2 -g -Wall -Wextra -shared -fPIC \
		-o "$out/insns.so" "$here/insns.c"
	make -s -C "$top/tools"
}

work=''
daemon=''

# serve COMMAND...: have a back end listen on $work/sock.
serve() {
	rm -f "$work/sock"
	"$@" > "$work/log" 2>&1 &
	daemon=$!
	until [ -S "$work/sock" ]; do
		kill -0 "$daemon" || { cat "$work/log" >&2; return 1; }
		sleep 0.1
	done
}

stop() {
	kill "$daemon" 2> /dev/null || true
	wait "$daemon" 2> /dev/null || true
}

# It must not poll: there is no other processor that could meanwhile work.
serve_qsd() {
	serve qemu-storage-daemon \
		--blockdev "host_device,node-name=disk,filename=/dev/nullb0,cache.direct=on,aio=$1" \
		--object iothread,id=io,poll-max-ns=0 \
		--export "vhost-user-blk,id=e,node-name=disk,iothread=io,writable=on,addr.type=unix,addr.path=$work/sock"
}

serve_khx() {
	serve "$top/build/tools/khx-vhost-user" --socket "$work/sock" \
		--blk /dev/nullb0 --queues 1
}

measure() {
	blkload -n "$KHX_COUNT" "$@"
}

# In the test host.
guest() {
	# shellcheck source=/dev/null
	. "$lib/modules.sh"
	PATH=$out:$PATH
	local depth aio
	work=$(mktemp -d)
	modprobe null_blk queue_mode=2 irqmode=0 gb=4 bs=512
	khx_module_load khx_blk
	[ "$KHX_PROFILE" = 0 ] || cat /proc/kallsyms > "$KHX_OUT/kallsyms"
	for depth in $KHX_DEPTHS; do
		echo "floor $depth $(measure -f /dev/nullb0 -d $depth)"
		for aio in native io_uring; do
			serve_qsd $aio
			echo "qsd-$aio $depth $(measure -u "$work/sock" -d $depth)"
			stop
		done
		serve_khx
		echo "khx $depth $(measure -u "$work/sock" -d $depth)"
		stop
	done
}

table() {
	awk -v depths="$KHX_DEPTHS" '
	NF == 3 && $3 ~ /^[0-9]+$/ { value[$1, $2] = $3 }
	END {
		printf "%-6s %8s %12s %12s %8s %14s %14s\n", "depth", "floor",
			"qsd native", "qsd uring", "khx", "khx/native",
			"khx/uring"
		n = split(depths, list, " ")
		for (i = 1; i <= n; i++) {
			d = list[i]
			khx = value["khx", d]
			q = value["qsd-native", d]
			u = value["qsd-io_uring", d]
			printf "%-6d %8d %12d %12d %8d %14s %14s\n", d,
				value["floor", d], q, u, khx,
				q ? sprintf("%.3f", khx / q) : "-",
				u ? sprintf("%.3f", khx / u) : "-"
		}
	}'
}

# profile OPTIONS of ./run...: each measures three rounds, of which the last counts.
profile() {
	local depth name window=0 dir=$out/profile mark
	rm -rf "$dir"
	mark=0x$(nm "$out/blkload" | awk '$3 == "now" { print $1 }')
	"$top/selftests/vm/run" "$@" --append nokaslr --out "$dir" --qemu "-plugin \
		$out/insns.so,mark=$mark,count=$KHX_COUNT,symbols=$dir/kallsyms,out=$dir/insns" \
		"$here/blk.sh" guest
	for depth in $KHX_DEPTHS; do
		for name in floor qsd-native qsd-io_uring khx; do
			window=$((window + 3))
			echo "$name, depth $depth:"
			head -n 60 "$dir/insns.$window"
		done
	done
}

if [ "${1:-}" = guest ]; then
	guest
	exit
fi
build
echo "instructions a random read of 4 KiB, whole machine"
options=(--icount --mem 1024 --timeout "${TIMEOUT:-400}")
if [ "$KHX_PROFILE" = 1 ]; then
	profile "${options[@]}"
else
	"$top/selftests/vm/run" "${options[@]}" "$here/blk.sh" guest |
		tee "$out/blk.log" | table
fi
