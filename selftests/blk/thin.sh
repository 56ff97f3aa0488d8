#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# A recipe of Documentation/blk.rst: thin devices of one pool, and their snapshots.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup

# thin NUMBER: device NUMBER of the pool khx-pool.
thin() {
	blk_dm "khx-thin$1" <<< "0 131072 thin /dev/mapper/khx-pool $1"
}

sum() {
	sha256sum < "$1"
}

tap_plan 4
modprobe -q dm-thin-pool
blk_null_blk nullb-pool && blk_null_blk nullb-meta size=16 &&
	blk_dm khx-pool <<< "0 524288 thin-pool /dev/nullb-meta /dev/nullb-pool 128 0" &&
	dmsetup --noudevsync mknodes && dmsetup message khx-pool 0 "create_thin 0" &&
	thin 0 || tap_bail "no dm-thin"
thin=$blk_path
blk_tap "a thin device is a disk" requests "$thin"
was=$(sum "$thin")
dmsetup --noudevsync suspend khx-thin0 &&
	dmsetup message khx-pool 0 "create_snap 1 0" &&
	dmsetup --noudevsync resume khx-thin0 && thin 1 || tap_bail "no snapshot"
snap=$blk_path
tap_is "$(sum "$snap")" "$was" "a snapshot of it begins as it was"
blk_tap "and is a disk" requests "$snap"
tap_is "$(sum "$thin")" "$was" "whose writes it does not see"
tap_exit
