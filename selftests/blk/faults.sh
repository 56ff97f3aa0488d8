#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Storage that fails: exactly the requests it concerns fail, nothing else.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup

# rw PATH TYPE SECTOR: the status of one request of 4 KiB.
rw() {
	disk-io "$@"
}

tap_plan 10
blk_null_blk nullb-khx || tap_bail "no null_blk"
sectors=$(blockdev --getsz /dev/nullb-khx)
blk_dm khx-bad <<- EOT || tap_bail "no device mapper"
	0 1024 linear /dev/nullb-khx 0
	1024 1024 error
	2048 $((sectors - 2048)) linear /dev/nullb-khx 2048
EOT
bad=$blk_path
tap_is "$(rw $bad in 0)" 0 "sectors before the bad ones can be read"
tap_is "$(rw $bad in 1024)" 1 "bad ones cannot"
tap_is "$(rw $bad out 2040)" 1 "nor be written"
tap_is "$(rw $bad in 1020)" 1 "a request that touches one fails"
tap_is "$(rw $bad out 2048)" 0 "sectors behind can be written"

# The block layer tells of such errors itself, ten times in five seconds.
blk_null_blk nullb-bad badblocks=+0-1023 || tap_bail "no null_blk"
echo "khx-faults:" > /dev/kmsg
# shellcheck disable=SC2046 # words are meant to split
disk-io "$blk_path" $(seq -f "in %g" 0 2 500) > "$blk_dir/statuses"
dmesg | sed '1,/khx-faults:/d' > "$blk_dir/dmesg"
lines=$(wc -l < "$blk_dir/dmesg")
tap_diag "$lines lines, the first of them: $(head -n 3 "$blk_dir/dmesg")"
tap_ok "$([ "$(grep -c 1 "$blk_dir/statuses")" = 251 ] && [ "$lines" -lt 60 ]; echo $?)" \
	"the host's log does not fill up with errors"

modprobe -q dm-flakey
if blk_dm khx-flakey <<< "0 $sectors flakey /dev/nullb-khx 0 0 1 1 error_writes"; then
	tap_is "$(rw "$blk_path" out 0 in 0 | xargs)" "1 0" \
		"a device that takes no more writes can be read"
else
	tap_skip "no dm-flakey" "a device that takes no more writes can be read"
fi

mkdir "$blk_dir/small"
mount -t tmpfs -o size=1m none "$blk_dir/small" &&
	blk_later "umount $blk_dir/small"
blk_file "$blk_dir/small/disk" 64
head -c 1M /dev/zero > "$blk_dir/small/fill" 2> /dev/null
tap_is "$(rw "$blk_path" out 4096)" 1 "a full file system fails writes"
tap_is "$(rw "$blk_path" in 4096)" 0 "and not reads"
rm "$blk_dir/small/fill"
tap_is "$(rw "$blk_path" out 4096)" 0 "and goes on when there is room"
tap_exit
