#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The YAML description of the netlink family has the commands, attributes and
# constants of its header, in the order that gives them their numbers.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

header=../../uapi/linux/khx_exits.h
spec=../../Documentation/netlink/specs/khx_exits.yaml

[ -f "$spec" ] || tap_skip_all "the description is not installed here"

# of_header PREFIX: enumerators, but for the one that counts them.
of_header() {
	grep -oP "^\t$1\K\w+(?=,$)" $header | grep -vx UNSPEC
}

# of_spec FROM TO: the names between two lines.
of_spec() {
	sed -n "/^ *$1/,/^ *$2/p" $spec | grep -oP '^ +-?\s*name: \K[a-z0-9-]+' |
		tr 'a-z-' 'A-Z_'
}

# The first names are those of the attribute set, and of nothing.
tap_plan 3
tap_is "$(of_spec 'attributes:$' 'operations:' | xargs)" \
	"$(of_header KHX_EXITS_A_ | xargs)" "attributes"
tap_is "$(of_spec 'operations:$' 'mcast-groups:' | xargs)" \
	"$(of_header KHX_EXITS_CMD_ | xargs)" "commands"
tap_is "$(sed -n '/^definitions:/,/^attribute-sets:/p' $spec |
		awk '$1 == "name:" { name = $2 } $1 == "value:" { print name, $2 }' |
		tr 'a-z-' 'A-Z_' | sort | xargs)" \
	"$(sed -n 's/^#define KHX_EXITS_\([A-Z_]*\)[ \t]*\([0-9]\{2,\}\).*/\1 \2/p' $header |
		sort | xargs)" "constants"
tap_exit
