// SPDX-License-Identifier: GPL-2.0
/*
 * queues DEVICE [packed]: all queues that a disk offers are used at once, by one
 * worker and by one for each of them.
 */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "../core/worker.h"
#include "disk.h"
#include "tap.h"

#define BLOCK	4096
#define DEPTH	8	/* requests of each queue */
#define ALL	(DISK_QUEUES * DEPTH)

static struct disk disk;
static struct disk_request requests[DISK_QUEUES][DEPTH];

/* Blocks lie on the disk in the order of queues, wherever they are in memory. */
static uint8_t *data_of(unsigned int block)
{
	return disk.memory + DISK_DATA + block * BLOCK;
}

static uint64_t sector_of(unsigned int block)
{
	return block * (BLOCK / 512);
}

static void submit(unsigned int queue, uint32_t type, unsigned int first)
{
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		requests[queue][i] = (struct disk_request){
			.type = type,
			.sector = sector_of(first + i),
			.data = data_of(first + i),
			.len = BLOCK,
		};
		if (disk_submit(&disk, queue, &requests[queue][i]))
			tap_bail("no room in the ring");
	}
}

/* What came back on its own queue, and well. */
static unsigned int reap(unsigned int queue)
{
	unsigned int i, left = DEPTH, good = 0;
	int n;

	while (left && (n = disk_reap(&disk, queue, 20000)) > 0)
		left -= n;
	for (i = 0; i < DEPTH; i++)
		good += requests[queue][i].done &&
			*requests[queue][i].status == VIRTIO_BLK_S_OK;
	return good;
}

/* All queues have requests before any has been waited for. */
static unsigned int do_all(uint32_t type, unsigned int shift)
{
	unsigned int i, good = 0;

	for (i = 0; i < DISK_QUEUES; i++)
		submit(i, type, (i + shift) % DISK_QUEUES * DEPTH);
	for (i = 0; i < DISK_QUEUES; i++)
		disk_kick(&disk, i);
	for (i = 0; i < DISK_QUEUES; i++)
		good += reap(i);
	return good;
}

/* What one queue wrote another one reads. */
static void test_all(uint32_t seed, const char *how)
{
	unsigned int i, wrong = 0;

	for (i = 0; i < ALL; i++)
		disk_fill(data_of(i), BLOCK, sector_of(i), seed);
	tap_is(do_all(VIRTIO_BLK_T_OUT, 0), ALL, "all queues write, %s", how);
	memset(data_of(0), 0, ALL * BLOCK);
	tap_is(do_all(VIRTIO_BLK_T_IN, 1), ALL, "all queues read, %s", how);
	for (i = 0; i < ALL; i++)
		wrong += !disk_check(data_of(i), BLOCK, sector_of(i), seed);
	tap_is(wrong, 0, "what others wrote, %s", how);
}

/* The first queue keeps the one that all had. Returns how many have their own. */
static unsigned int give_workers(void)
{
	unsigned int i;

	for (i = 1; i < DISK_QUEUES; i++) {
		struct vhost_worker_state state = {};
		struct vhost_vring_worker attach = { .index = i };

		if (ioctl(disk.fd, VHOST_NEW_WORKER, &state))
			break;
		attach.worker_id = state.worker_id;
		if (ioctl(disk.fd, VHOST_ATTACH_VRING_WORKER, &attach))
			break;
	}
	return i;
}

int main(int argc, char **argv)
{
	struct vhost_vring_state one_more = { DISK_QUEUES, 1 };

	if (argc < 2)
		tap_bail("usage: queues DEVICE [packed]");
	tap_plan(11);
	disk_open(&disk, argv[1], &(struct disk_options){
		.nqueues = DISK_QUEUES, .packed = argc > 2, .num = 16 * DEPTH,
	});
	tap_is(disk.config.num_queues, 64, "64 queues");
	tap_is(ioctl(disk.fd, KHX_BLK_RUN_VRING, &one_more) ? errno : 0,
	       ENOBUFS, "and not one more");
	test_all(1, "by one worker");
	tap_is(give_workers(), DISK_QUEUES, "64 workers");
	test_all(2, "by 64 workers");
	if (disk_stop(&disk, 0))
		tap_bail("queue 0 does not stop");
	submit(DISK_QUEUES - 1, VIRTIO_BLK_T_IN, 0);
	disk_kick(&disk, DISK_QUEUES - 1);
	tap_is(reap(DISK_QUEUES - 1), DEPTH, "the last one without the first");
	tap_ok(disk_start(&disk, 0) == 0 && do_all(VIRTIO_BLK_T_IN, 0) == ALL,
	       "and all of them again");
	disk_close(&disk);
	return tap_exit();
}
