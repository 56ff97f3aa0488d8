#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# The files in debugfs are those that Documentation/ABI describes, with the
# columns it names.

cd "$(dirname "$0")" || exit 1
. ../lib/tap.sh

dir=/sys/kernel/debug/khx/exits
doc=../../Documentation/ABI/testing/debugfs-khx-exits

tap_need_root
[ -f "$doc" ] || tap_skip_all "its description is not installed here"
[ -d "$dir" ] || tap_skip_all "khx_exits is not loaded"
[ -e /dev/kvm ] || modprobe -q kvm_intel 2> /dev/null || modprobe -q kvm_amd
[ -e /dev/kvm ] || tap_skip_all "no /dev/kvm"

forever &
guest=$!
trap 'kill -9 $guest; wait $guest 2> /dev/null' EXIT

# Without a process: the guest needs the processor.
is_shown() {
	for vm in "$dir/$guest"-*; do
		[ -d "$vm" ] && return
	done
	return 1
}

files() {
	find "$1" -maxdepth 1 -type f -printf '%f\n' | sort | xargs
}

# described PATTERN: the last components of the paths below exits/ that match.
described() {
	sed -n "s#^What:.*/khx/exits/$1\([a-z_]*\)\$#\1#p" $doc | sort | xargs
}

# Columns are named by the first line; the tables' first one by the table.
columns_described() {
	find "$1" -maxdepth 1 -type f -exec awk '
	NR == FNR { described[$0]; next }
	FNR == 1 {
		table = FILENAME
		sub(/.*\//, "", table)
		sub("^# " table " access", "# <table> access")
		if (("\t\t" $0) in described)
			next
		print table ": " $0
		failed = 1
	}
	END { exit failed }' $doc {} +
}

only_root_reads() {
	[ -z "$(find "$1" -type f ! -perm 0400)" ]
}

tap_plan 7
tap_wait 60 is_shown || tap_bail "the guest does not show"
kill -STOP $guest
tap_is "$(files $dir)" "$(described '')" "files of the module"
tap_is "$(files "$vm")" "$(described '<pid>-<fd>/')" "files of a VM"
tap_is "$(files "$vm/vcpu0")" "$(files "$vm")" "files of a vCPU"
tap_run "columns of a VM's files" columns_described "$vm"
tap_run "columns of a vCPU's files" columns_described "$vm/vcpu0"
tap_run "only root reads them" only_root_reads "$vm"
tap_is "$(cut -d ' ' -f 1 $dir/status | xargs)" \
	"$(sed -n '/status$/,/^What/s/^\t\t\([a-z_]*\)\t.*/\1/p' $doc | xargs)" \
	"names in status"
tap_exit
