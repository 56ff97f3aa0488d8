#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# What comes with the tools: manual pages, completion, and what they say when
# nothing is loaded.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

tools=$PWD/../../tools
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
tap_plan $((${#pages[@]} + 6))
for page in "${pages[@]}"; do
	tap_run "$(basename "$page") has no warning" man_ok "$page"
done
tap_run "without the module, the tool says so" says_what_is_missing
tap_is "$(complete_words w)" "worker" "an object is completed"
tap_is "$(complete_words worker s)" "show set" "its verbs are"
tap_is "$(complete_words worker set 1 mode "")" "device queue shared" \
	"the values of a setting are"
tap_is "$(complete_words -j -i 2 queue sh)" "show" "options do not get in the way"
tap_is "$(complete_words --st)" "--statistics" "options are completed"
tap_exit
