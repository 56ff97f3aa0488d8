// SPDX-License-Identifier: GPL-2.0
/*
 * disk-io PATH [through|noflush] ((in|out|flush) SECTOR|wce MODE|queue NUMBER)...
 * [hold]: requests of 4 KiB, one after the other; prints the status of each. With
 * `through`, as a driver that knows neither FLUSH nor CONFIG_WCE; with `noflush`, as
 * one that knows the latter. `wce` sets the cache mode; `queue` says by which of two
 * queues what follows is done. With `hold`, keeps the disk open until there is
 * nothing more to read on stdin.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "disk.h"
#include "tap.h"

static int set_wce(struct disk *disk, uint32_t wce)
{
	return ioctl(disk->fd, KHX_BLK_SET_WCE, &wce) ? -errno : 0;
}

static int request(struct disk *disk, const char *name, const char *number)
{
	static unsigned int queue;
	unsigned long n = strtoul(number, NULL, 0);
	struct disk_request req = {
		.type = VIRTIO_BLK_T_FLUSH, .sector = n,
		.data = disk->memory + DISK_DATA,
	};

	if (!strcmp(name, "wce"))
		return set_wce(disk, n);
	if (!strcmp(name, "queue"))
		return (queue = n) >= disk->nqueues;
	if (strcmp(name, "flush")) {
		req.type = strcmp(name, "in") ? VIRTIO_BLK_T_OUT :
						VIRTIO_BLK_T_IN;
		req.len = 4096;
	}
	return disk_do(disk, queue, &req);
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
	struct disk_options options = { .nqueues = 2 };
	struct disk disk;
	int i = 2;

	if (argc < 4)
		tap_bail("usage: disk-io PATH [through|noflush] ((in|out|flush) SECTOR|wce MODE|queue NUMBER)... [hold]");
	if (!strcmp(argv[2], "through"))
		options.without = 1ull << VIRTIO_BLK_F_FLUSH |
				  1ull << VIRTIO_BLK_F_CONFIG_WCE;
	else if (!strcmp(argv[2], "noflush"))
		options.without = 1ull << VIRTIO_BLK_F_FLUSH;
	i += options.without != 0;
	disk_open(&disk, argv[1], &options);
	for (; i + 1 < argc; i += 2)
		printf("%d\n", request(&disk, argv[i], argv[i + 1]));
	if (i < argc)
		hold();
	disk_close(&disk);
	return 0;
}
