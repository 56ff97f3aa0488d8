// SPDX-License-Identifier: GPL-2.0
/*
 * disk-rate PATH in|out MIB [direct]: sequential requests of 64 KiB, eight at
 * a time; prints KiB a second.
 */
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

static void run(struct disk *disk, uint32_t type, unsigned int count)
{
	static struct disk_request reqs[DEPTH];
	unsigned int i, next = 0, done = 0;
	int n;

	while (done < count) {
		for (i = 0; i < DEPTH && next < count; i++) {
			if (next >= DEPTH && !reqs[i].done)
				continue;
			reqs[i] = (struct disk_request) {
				.type = type, .len = SIZE,
				.sector = next++ * (SIZE / 512),
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
}

int main(int argc, char **argv)
{
	struct disk_options options = {};
	struct disk disk;
	unsigned int mib;
	double start;

	if (argc < 4)
		tap_bail("usage: disk-rate PATH in|out MIB [direct]");
	mib = atoi(argv[3]);
	options.flags = argc > 4 ? KHX_BLK_F_DIRECT : 0;
	disk_open(&disk, argv[1], &options);
	start = now();
	run(&disk, strcmp(argv[2], "in") ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
	    mib * 16);
	printf("%.0f\n", mib * 1024 / (now() - start));
	disk_close(&disk);
	return 0;
}
