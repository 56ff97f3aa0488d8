// SPDX-License-Identifier: GPL-2.0
/* disk-io PATH in|out|flush SECTOR: one request of 4 KiB; prints its status. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "tap.h"

int main(int argc, char **argv)
{
	static const struct disk_options options;
	struct disk disk;
	uint32_t type;

	if (argc != 4)
		tap_bail("usage: disk-io PATH in|out|flush SECTOR");
	type = !strcmp(argv[2], "in") ? VIRTIO_BLK_T_IN :
	       !strcmp(argv[2], "out") ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_FLUSH;
	disk_open(&disk, argv[1], &options);
	printf("%d\n", disk_rw(&disk, type, strtoull(argv[3], NULL, 0),
			       disk.memory + DISK_DATA,
			       type == VIRTIO_BLK_T_FLUSH ? 0 : 4096));
	disk_close(&disk);
	return 0;
}
