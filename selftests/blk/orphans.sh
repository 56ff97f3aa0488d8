#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# Requests of an owner who is killed are finished, by others than his threads.

. "$(dirname "$0")/../lib/tap.sh"
. "$(dirname "$0")/lib.sh"
blk_need
tap_need dmsetup mkfs.ext4 filefrag

dm() {
	echo "dmsetup --noudevsync $* khx-held"
}

blk_null_blk nullb-khx size=192 irqmode=2 completion_nsec=5000000 || tap_bail "no null_blk"
sectors=$(blockdev --getsz "$blk_path")
blk_dm khx-held <<< "0 $sectors linear $blk_path 0" &&
	mkfs.ext4 -q -E nodiscard,lazy_itable_init=0,lazy_journal_init=0 "$blk_path" &&
	mkdir "$blk_dir/fs" && mount -o noatime,commit=1000 "$blk_path" "$blk_dir/fs" || tap_bail "no device mapper, or no ext4"
blk_later "umount $blk_dir/fs"
blk_later "$(dm resume)"

# Before it stops, where is the block at 80 MiB that orphans.c writes first?
cat > "$blk_dir/hold" <<- EOT
	filefrag -v -b512 $blk_dir/fs/disk | tr -d : | awk '
		\$2 ~ /[0-9]\.\.\$/ && int(\$2) <= 163840 && int(\$3) >= 163840 {
			print int(\$4) + 163840 - int(\$2)
		}' > $blk_dir/block
	$(dm suspend --nolockfs)
EOT
# Go on without it.
cat > "$blk_dir/fail" <<- EOT
	read -r block < $blk_dir/block || exit
	printf '%s\n' "0 \$block linear /dev/nullb-khx 0" "\$block 8 error" \
		"\$((block + 8)) \$(($sectors - block - 8)) linear /dev/nullb-khx \$((block + 8))" |
		dmsetup --noudevsync load khx-held && $(dm resume)
EOT
orphans "$blk_dir/fs/disk" "bash $blk_dir/hold" "$(dm resume)" "bash $blk_dir/fail"
