# SPDX-License-Identifier: GPL-2.0
# Shared by the scripts of selftests/vm: where things are, and how to say it.
# shellcheck shell=bash

KHX_VM=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
KHX_TOP=$(cd "$KHX_VM/../.." && pwd)
# What one checkout unpacks and builds.
KHX_BUILD=${KHX_BUILD:-$KHX_TOP/build}
# What is worth sharing between checkouts: packages and the debug kernel.
KHX_CACHE=${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/khx

say() {
	printf 'khx: %s\n' "$*" >&2
}

die() {
	printf 'khx: error: %s\n' "$*" >&2
	exit 1
}

# with_lock FILE COMMAND...: one at a time, whoever else wants the same.
with_lock() {
	local file=$1
	shift
	mkdir -p "$(dirname "$file")"
	(
		flock -n 9 || { say "waiting for $file"; flock 9; }
		"$@" 9>&-
	) 9>"$file"
}

# replace_dir NEW DIR: put the complete NEW where DIR is, in one step.
replace_dir() {
	rm -rf "$2.old"
	if [ -e "$2" ]; then
		mv "$2" "$2.old"
	fi
	mv "$1" "$2"
	rm -rf "$2.old"
}
