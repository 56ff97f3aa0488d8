#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# What systemd and udev are given is what they understand.

. "$(dirname "$0")/../lib/tap.sh"
dir=$(dirname "$0")/../../tools/khx-vhost-user
[ -f "$dir/60-khx.rules" ] || tap_skip_all "not in the source tree"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# complaints COMMAND...: it must not have any, and succeed.
complaints() {
	local status=0
	"$@" > "$work/output" 2>&1 || status=$?
	[ "$status" = 0 ] || echo "exit status $status"
	cat "$work/output"
}

verify_units() {
	complaints systemd-analyze verify --man=no "$work"/khx-vhost-user@.*
}

tap_plan 3
if command -v systemd-analyze > /dev/null; then
	cp "$dir"/khx-vhost-user@.* "$work"
	sed -i "s#/usr/local/sbin/khx-vhost-user#$(command -v true)#" "$work"/*.service
	tap_is "$(verify_units)" "" "the units are right"
	sed -i 's/^Restart=.*/Restart=perhaps/' "$work"/*.service
	tap_ok "$([ -n "$(verify_units)" ]; echo $?)" "what is not would be seen"
else
	tap_skip "no systemd-analyze" "the units are right"
	tap_skip "no systemd-analyze" "what is not would be seen"
fi
if udevadm verify --help > /dev/null 2>&1; then
	tap_is "$(complaints udevadm verify --no-style --no-summary "$dir/60-khx.rules")" "" \
		"the udev rules are right"
else
	tap_skip "no udevadm verify" "the udev rules are right"
fi
tap_exit
