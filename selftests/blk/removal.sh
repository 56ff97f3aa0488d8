#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Storage that wears out, and storage that goes away under load.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup

tap_plan 5
blk_null_blk nullb-khx || tap_bail "no null_blk"
sectors=$(blockdev --getsz /dev/nullb-khx)

blk_null_blk nullb-worn
echo +4096-4103 > /sys/kernel/config/nullb/nullb-worn/badblocks
tap_is "$(disk-io /dev/nullb-worn in 4096 in 4088 in 4104 out 4100 out 4088 | xargs)" \
	"1 0 0 1 0" "bad blocks of a device, and those beside them"
echo -4096-4103 > /sys/kernel/config/nullb/nullb-worn/badblocks
tap_is "$(disk-io /dev/nullb-worn in 4096)" 0 "once replaced, they can be read"

blk_null_blk nullb-gone irqmode=2 completion_nsec=500000
blk_tap "a device that goes away" removal "$blk_path" \
	sh -c "echo 0 > /sys/kernel/config/nullb/nullb-gone/power"
blk_dm khx-gone <<< "0 $sectors linear /dev/nullb-khx 0"
blk_tap "a device-mapper device that loses its table" removal "$blk_path" \
	dmsetup --noudevsync wipe_table khx-gone
tap_is "$(disk-io /dev/nullb-khx in 0)" 0 "other disks go on"
tap_exit
