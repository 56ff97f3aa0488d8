#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The YAML description of the netlink family has the commands and attributes of
# its header, in the order that gives them their numbers, and the same ranges.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

header=../../uapi/linux/khx_merge.h
spec=../../Documentation/netlink/specs/khx_merge.yaml

# of_header PREFIX: enumerators, but for the one that counts them
of_header() {
	grep -oP "^\t$1\K\w+(?=,)" $header | grep -vx UNSPEC
}

# of_spec FROM TO: the names between two lines
of_spec() {
	sed -n "/^ *$1/,/^ *$2/p" $spec | grep -oP '^ +name: \K[a-z0-9-]+' |
		tr 'a-z-' 'A-Z_'
}

header_ranges() {
	sed -n 's,^.*_A_SET_,,; s/,.*\* \([0-9]*\) [a-z]* \([0-9]*\)[, ].*/ \1 \2/p' \
		$header | grep -v RUN
}

spec_ranges() {
	awk '$1 == "name:" { name = $2 } $1 == "min:" { min = $2 }
		$1 == "max:" { print name, min, $2 }' $spec |
		sed 's/^set-//' | tr 'a-z-' 'A-Z_' | grep -v RUN
}

tap_plan 3
tap_is "$(of_spec 'attributes:$' 'operations:' | xargs)" \
	"$(of_header KHX_MERGE_A_ | xargs)" "attributes"
tap_is "$(of_spec 'operations:$' 'mcast-groups:' | xargs)" \
	"$(of_header KHX_MERGE_CMD_ | xargs)" "commands"
tap_is "$(spec_ranges)" "$(header_ranges)" "ranges"
tap_exit
