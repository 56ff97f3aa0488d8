#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# net.sh: /dev/khx-net beside mainline's /dev/vhost-net, instructions a packet.
#
# Runs on a test host with one processor on which every instruction takes one
# nanosecond (QEMU -icount), so that the figures hardly vary: see netgen.c. They
# include the generator and the network stack, the same for both. Where the
# generator costs most, in receive cases, it also runs without a device; the
# ratios are what remains after that.
#
#	PACKETS=20000	packets of one round
#	ROUNDS=2	times that the whole is run, devices in turn
#	QUICK=1		only the sizes and options that matter most
#	PROFILE=1	the functions that the instructions are spent in

set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
out=${KHX_BUILD:-$top/build}/bench
# On the test host they are set already.
: "${KHX_PACKETS:=${PACKETS:-20000}}" "${KHX_ROUNDS:=${ROUNDS:-2}}"
: "${KHX_QUICK:=${QUICK:-0}}" "${KHX_PROFILE:=${PROFILE:-0}}"
export KHX_PACKETS KHX_ROUNDS KHX_QUICK KHX_PROFILE

lib=$top/selftests/lib

build() {
	mkdir -p "$out"
	"${CC:-cc}" -O2 -g -Wall -Wextra -std=gnu11 -D_GNU_SOURCE -I"$lib" \
		-o "$out/netgen" "$here/netgen.c" \
		"$lib/vdev.c" "$lib/vring.c" "$lib/tapdev.c"
}

# gen LABEL OPTION...: one run of netgen with the case and the device in front.
gen() {
	local label=$1
	shift
	netgen -n "$KHX_PACKETS" -r 2 "$@" | tail -n 1 | sed "s/^{/{\"case\": \"$label\", /"
}

# The same load for mainline and for us, split and packed.
compare() {
	local label=$1
	shift
	[[ $label != rx* ]] || gen "$label" -d none "$@"
	gen "$label" -d /dev/vhost-net "$@"
	gen "$label" -d /dev/khx-net "$@"
	gen "$label" -d /dev/khx-net -p "$@"
}

cases_quick() {
	compare "tx 60" -m tx -s 60
	compare "rx 60" -m rx -s 60
	compare "rx 60 bursts" -m rx -s 60 -w
}

cases_more() {
	compare "tx 60 flags" -m tx -s 60 -E
	compare "tx 60 indirect" -m tx -s 60 -i
	compare "tx 512" -m tx -s 512
	compare "tx 1514" -m tx -s 1514
	compare "tx 65000" -m tx -s 65000
	compare "rx 60 flags" -m rx -s 60 -E
	compare "rx 60 indirect" -m rx -s 60 -i
	compare "rx 60 one buffer" -m rx -s 60 -M
	compare "rx 512" -m rx -s 512
	compare "rx 1514" -m rx -s 1514
	compare "rx 1514 bursts" -m rx -s 1514 -w
	compare "rx 1514 in 4" -m rx -s 1514 -w -B 400
	compare "rx 65000" -m rx -s 65000 -B 1536 -w
}

# Where the instructions go; perf samples by the clock, which counts them.
profile() {
	perf record -q -a -e cpu-clock -c 5003 -o "$out/perf.data" \
		netgen -n "$KHX_PACKETS" -r 4 "$@" > "$out/perf.out"
	echo "== $*"
	tail -n 1 "$out/perf.out"
	perf report -i "$out/perf.data" --stdio --no-children -s sym \
		--percent-limit 0.7 2>/dev/null | grep -v '^#' | grep .
}

# In the test host.
guest() {
	# shellcheck source=/dev/null
	. "$lib/modules.sh"
	PATH=$out:$PATH
	modprobe tun
	modprobe vhost_net
	khx_module_load khx_net
	if [ "$KHX_PROFILE" = 1 ]; then
		profile -d /dev/vhost-net -m tx
		profile -d /dev/khx-net -m tx
		profile -d /dev/khx-net -m tx -p
		profile -d none -m rx
		profile -d /dev/vhost-net -m rx
		profile -d /dev/khx-net -m rx
		return
	fi
	for _ in $(seq "$KHX_ROUNDS"); do
		cases_quick
		[ "$KHX_QUICK" = 1 ] || cases_more
	done
}

# One line a case: medians, and ours as a fraction of mainline's.
table() {
	awk '
	function field(name) {
		if (!match($0, "\"" name "\": \"?[^\",}]*"))
			return ""
		text = substr($0, RSTART, RLENGTH)
		sub(/^[^:]*: "?/, "", text)
		return text
	}
	function median(key,    i, n, v, t, j) {
		n = count[key]
		if (!n)
			return 0
		for (i = 1; i <= n; i++)
			v[i] = value[key, i]
		for (i = 1; i < n; i++)
			for (j = i + 1; j <= n; j++)
				if (v[j] < v[i]) { t = v[i]; v[i] = v[j]; v[j] = t }
		return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
	}
	function ratio(a, b, own) {
		return b ? sprintf("%.3f", (a - own) / (b - own)) : "-"
	}
	/^{/ {
		name = field("case")
		if (!(name in seen)) { seen[name] = 1; order[++cases] = name }
		who = field("device") ~ /vhost/ ? "vhost" : field("ring")
		if (field("device") == "none")
			who = "none"
		key = name SUBSEP who
		value[key, ++count[key]] = field("ns_per_packet") + 0
		kicks[key] = field("kicks"); calls[key] = field("calls")
	}
	END {
		printf "%-18s %10s %10s %10s %7s %10s %7s   %s\n", "instructions/packet",
			"generator", "vhost-net", "khx split", "ratio", "khx packed", "ratio",
			"kicks and calls: vhost-net, split, packed"
		for (i = 1; i <= cases; i++) {
			own = median(order[i] SUBSEP "none")
			v = order[i] SUBSEP "vhost"
			s = order[i] SUBSEP "split"
			p = order[i] SUBSEP "packed"
			printf "%-18s %10s %10.0f %10.0f %7s %10.0f %7s   %s+%s %s+%s %s+%s\n",
				order[i], own ? sprintf("%.0f", own) : "-",
				median(v), median(s),
				ratio(median(s), median(v), own), median(p),
				ratio(median(p), median(v), own), kicks[v], calls[v],
				kicks[s], calls[s], kicks[p], calls[p]
		}
	}' "$1"
}

case ${1:-} in
guest)
	guest
	;;
*)
	build
	"$top/selftests/vm/run" --icount --timeout 1500 --out "$out" \
		"$here/net.sh" guest | tee "$out/net.jsonl"
	[ "$KHX_PROFILE" = 1 ] || table "$out/net.jsonl"
	;;
esac
