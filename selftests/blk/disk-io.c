// SPDX-License-Identifier: GPL-2.0
/*
 * disk-io PATH [through] (in|out|flush SECTOR)... [hold]: requests of 4 KiB, one
 * after the other; prints the status of each. With `through`, as a driver that
 * knows no FLUSH. With `hold`, keeps the disk open until there is nothing more
 * to read on stdin.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"
#include "tap.h"

static int request(struct disk *disk, const char *name, const char *sector)
{
	uint32_t type = !strcmp(name, "in") ? VIRTIO_BLK_T_IN :
			!strcmp(name, "out") ? VIRTIO_BLK_T_OUT :
					       VIRTIO_BLK_T_FLUSH;

	return disk_rw(disk, type, strtoull(sector, NULL, 0),
		       disk->memory + DISK_DATA,
		       type == VIRTIO_BLK_T_FLUSH ? 0 : 4096);
}

static void hold(void)
{
	puts("held");
	fflush(stdout);
	while (getchar() != EOF)
		;
}

int main(int argc, char **argv)
{
	struct disk_options options = {};
	struct disk disk;
	int i = 2;

	if (argc < 4)
		tap_bail("usage: disk-io PATH [through] (in|out|flush SECTOR)... [hold]");
	if (!strcmp(argv[2], "through")) {
		options.without = 1ull << VIRTIO_BLK_F_FLUSH |
				  1ull << VIRTIO_BLK_F_CONFIG_WCE;
		i++;
	}
	disk_open(&disk, argv[1], &options);
	for (; i + 1 < argc; i += 2)
		printf("%d\n", request(&disk, argv[i], argv[i + 1]));
	if (i < argc)
		hold();
	disk_close(&disk);
	return 0;
}
