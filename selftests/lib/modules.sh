# SPDX-License-Identifier: GPL-2.0
# Loading and unloading our modules, in place or installed.
# shellcheck shell=bash

# khx_module_file NAME: the file of one of our modules below KHX_MODULES.
khx_module_file() {
	[ -n "${KHX_MODULES:-}" ] || return 1
	find "$KHX_MODULES" -name "$1.ko" | grep -m 1 .
}

khx_module_loaded() {
	[ -d "/sys/module/$1" ]
}

# khx_module_load NAME [PARAMETERS]: load it after what it depends on; from
# KHX_MODULES if that is set, else the installed one.
khx_module_load() {
	local name=$1 file dependency
	shift
	khx_module_loaded "$name" && return
	if ! file=$(khx_module_file "$name"); then
		modprobe "$name" "$@"
		return
	fi
	for dependency in $(modinfo -F depends "$file" | tr ',' ' '); do
		khx_module_load "$dependency" || return
	done
	insmod "$file" "$@"
}

# khx_module_unload NAME...: in this order; the first failure ends it. Who was killed
# may still be on his way out.
khx_module_unload() {
	local name try
	for name in "$@"; do
		for try in $(seq 100); do
			khx_module_loaded "$name" || continue 2
			rmmod "$name" 2> /dev/null && continue 2
			sleep 0.3
		done
		rmmod "$name" || return
	done
}
