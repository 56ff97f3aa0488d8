# SPDX-License-Identifier: GPL-2.0
# bash completion for khx(8)

_khx_devices() {
	khx dev show 2> /dev/null | awk 'NR > 1 { print $1 }'
}

_khx_guests() {
	khx exits show 2> /dev/null | awk '/^[0-9]+-x?[0-9]+ \(/ { print $1 }'
}

# What may come after the words so far: objects, verbs and settings are those
# that the tool's own help lists.
_khx_words() {
	local object=$1 verb=$2 previous=$3 word=$4

	if [ -z "$object" ]; then
		khx help | awk '/^OBJECT/ { on = 1; next } on { print $1 }'
		return
	fi
	if [ -z "$verb" ]; then
		khx "$object" help | awk '$1 == "khx" { print $3 } END { print "help" }'
		return
	fi
	case "$object $verb $previous" in
	"worker set mode") echo device queue shared ;;
	"worker set set") _khx_devices ;;
	"worker set cpus" | "worker set workers" | "worker set poll-us" | \
	"worker set weight") ;;
	"worker set "*) echo mode workers cpus poll-us weight ;;
	"link add-tap bridge") ls /sys/class/net ;;
	"link add-tap add-tap") ;;
	"link add-tap "*) echo queues bridge owner ;;
	"link del del") ls /sys/class/net ;;
	"exits show show" | "exits reset reset") _khx_guests ;;
	"merge show show") echo settings warn; compgen -f -- "$word" ;;
	"merge set "*) khx merge help | grep -o '\[[a-z-]* ' | tr -d '[ ' ;;
	"merge "*) ;;
	*" show show") _khx_devices ;;
	esac
}

_khx() {
	local word=${COMP_WORDS[COMP_CWORD]} i object='' verb=''

	for ((i = 1; i < COMP_CWORD; i++)); do
		case ${COMP_WORDS[i]} in
		-i | --interval) i=$((i + 1)) ;;
		-*) ;;
		*)
			if [ -z "$object" ]; then
				object=${COMP_WORDS[i]}
			elif [ -z "$verb" ]; then
				verb=${COMP_WORDS[i]}
			fi
			;;
		esac
	done
	if [ -z "$object" ] && [[ $word == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--json --pretty \
			--statistics --interval --version --help" -- "$word")
		return
	fi
	mapfile -t COMPREPLY < <(compgen -W "$(_khx_words "$object" "$verb" \
		"${COMP_WORDS[COMP_CWORD - 1]}" "$word")" -- "$word")
}
complete -F _khx khx
