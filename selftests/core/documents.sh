#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Each object of the tool has a manual page, and no page a warning; verbs and options
# are completed; the tool says what to do when nothing is loaded; and the netlink spec
# describes the header.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

tools=$PWD/../../tools
spec=$PWD/../../Documentation/netlink/specs/khx.yaml
header=$PWD/../../uapi/linux/khx.h
PATH=$PWD/../../build/tools:$PATH

# man_ok PAGE: formatted without a word of warning, and named as its file.
man_ok() {
	local warnings name
	warnings=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$1" 2>&1 > /dev/null)
	echo "$warnings"
	name=$(basename "$1" .8)
	[ -z "$warnings" ] && grep -qi "^\.TH $name 8" "$1"
}

# complete WORD...: what the completion offers for the last of the words.
complete_words() {
	bash -c '
	. "$1"/khx/khx.bash
	shift
	COMP_WORDS=(khx "$@")
	COMP_CWORD=$#
	_khx
	echo "${COMPREPLY[*]}"' - "$tools" "$@"
}

# Every object of the tool has a page, or is in one with its verbs.
objects_documented() {
	local object
	for object in $(khx help | awk '/^OBJECT/ { on = 1; next } on { print $1 }'); do
		echo "$object"
		[ -f "$tools/khx/khx-$object.8" ] ||
			grep -q "^\.B.* khx.* $object\|^\.B khx $object" "$tools"/khx/*.8 ||
			return
	done
}

# spec_set NAME: attributes of a set, as the header would spell them.
spec_set() {
	awk -v wanted="$1" '
	/^    name: / { set = $2 }
	/^        name: / && set == wanted { print toupper($2) }
	/^operations:/ { exit }' "$spec" | tr - _
}

spec_commands() {
	awk '/^[a-z]/ { on = $1 == "operations:" }
	on && /^      name: / { print toupper($2) }' "$spec" | tr - _
}

# Constants, as NAME VALUE.
spec_constants() {
	awk '/^attribute-sets:/ { exit }
	/^    name: / { name = toupper($2) }
	/^    value: / { print name, $2 }' "$spec" | tr - _
}

# header_enum NAME PREFIX: what it lists, without the first and the last.
header_enum() {
	awk -v begin="enum $1 {" '$0 == begin { on = 1; next } /^}/ { on = 0 } on' \
		"$header" | grep -o "^	$2[A-Z0-9_]*" | sed "s/^	$2//; /^UNSPEC$/d"
}

same() {
	diff <("${@:2:$1}") <("${@:$(($1 + 2))}")
}

constants_agree() {
	local name value
	while read -r name value; do
		echo "$name $value"
		grep -q "^#define KHX_${name}[[:space:]]*$value$" "$header" || return
	done < <(spec_constants)
}

# What requests, replies and events list are attributes of the set.
lists_known() {
	local word
	for word in $(awk '/^operations:/ { on = 1 } on' "$spec" |
		tr '\n' ' ' | grep -o 'attributes: *\[[^]]*\]' |
		sed 's/attributes: *\[//; s/[],]/ /g'); do
		echo "$word"
		spec_set khx | grep -qx "$(tr a-z- A-Z_ <<< "$word")" || return
	done
}

says_what_is_missing() {
	local text
	[ ! -d /sys/module/khx ] || return 0
	text=$(khx dev show 2>&1)
	set -- $?
	echo "$text"
	[ "$1" = 1 ] && [[ $text == *modprobe\ khx* ]]
}

tap_need man khx
pages=("$tools"/*/*.8)
tap_plan $((${#pages[@]} + 13))
for page in "${pages[@]}"; do
	tap_run "$(basename "$page") has no warning" man_ok "$page"
done
tap_run "every object of the tool has a manual page" objects_documented
tap_run "without the module, the tool says so" says_what_is_missing
tap_is "$(complete_words w)" "worker" "an object is completed"
tap_is "$(complete_words worker s)" "show set" "its verbs are"
tap_is "$(complete_words worker set 1 mode "")" "device queue shared" \
	"the values of a setting are"
tap_is "$(complete_words merge show war) $(complete_words merge set cpu-limit 5 prof)" \
	"warn profit-guard" "what can be shown and set of khx_merge is"
tap_is "$(complete_words -j -i 2 queue sh)" "show" "options do not get in the way"
tap_is "$(complete_words --st)" "--statistics" "options are completed"
tap_run "the spec has the commands of the header" \
	same 1 spec_commands header_enum khx_cmd KHX_CMD_
tap_run "and its attributes" same 2 spec_set khx header_enum khx_attr KHX_A_
tap_run "and its counters" \
	same 2 spec_set stats header_enum khx_stats_attr KHX_A_STATS_
tap_run "and its limits" constants_agree
tap_run "messages list attributes that there are" lists_known
tap_exit
