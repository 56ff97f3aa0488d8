// SPDX-License-Identifier: GPL-2.0
/*
 * disk-rate PATH in|out MIB|SECONDSs [direct]: sequential requests of 64 KiB, eight
 * at a time, so many or so long; prints KiB a second.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "disk.h"
#include "tap.h"

#define DEPTH	8
#define SIZE	65536

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Until @count are done, or the time is over; how many were done? */
static unsigned int run(struct disk *disk, uint32_t type, unsigned int count,
			double end)
{
	static struct disk_request reqs[DEPTH];
	unsigned int places = disk->config.capacity / (SIZE / 512);
	unsigned int i, next = 0, done = 0;
	int n;

	while (done < count && now() < end) {
		for (i = 0; i < DEPTH && next < count; i++) {
			if (next >= DEPTH && !reqs[i].done)
				continue;
			reqs[i] = (struct disk_request) {
				.type = type, .len = SIZE,
				.sector = next++ % places * (SIZE / 512),
				.data = disk->memory + DISK_DATA + i * SIZE,
			};
			if (disk_submit(disk, 0, &reqs[i]))
				tap_bail("no room in the ring");
		}
		disk_kick(disk, 0);
		n = disk_reap(disk, 0, 60000);
		if (!n)
			tap_bail("no answer");
		done += n;
	}
	return done;
}

int main(int argc, char **argv)
{
	struct disk_options options = {};
	struct disk disk;
	unsigned int count, done;
	bool timed;
	double start;

	if (argc < 4)
		tap_bail("usage: disk-rate PATH in|out MIB|SECONDSs [direct]");
	timed = strchr(argv[3], 's');
	count = timed ? UINT_MAX : strtoul(argv[3], NULL, 0) * 16;
	options.flags = argc > 4 ? KHX_BLK_F_DIRECT : 0;
	disk_open(&disk, argv[1], &options);
	start = now();
	done = run(&disk, strcmp(argv[2], "in") ? VIRTIO_BLK_T_OUT :
						  VIRTIO_BLK_T_IN,
		   count, timed ? start + atoi(argv[3]) : INFINITY);
	printf("%.0f\n", done * (SIZE / 1024) / (now() - start));
	disk_close(&disk);
	return 0;
}
