// SPDX-License-Identifier: GPL-2.0
/*
 * drain PATH [packed]: a ring that is stopped, or whose owner is closed or killed, has
 * given back every request that was taken from it.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define DEPTH	64
#define RING	128

static struct disk_options options;
static struct disk_request reqs[DEPTH];

static void submit_all(struct disk *disk)
{
	uint8_t *data = disk->memory + DISK_DATA;
	unsigned int i;

	for (i = 0; i < DEPTH; i++) {
		reqs[i] = (struct disk_request) {
			.type = i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
			.sector = i * 64, .data = data + i * 65536,
			.len = 32768, .indirect = true,
		};
		if (disk_submit(disk, 0, &reqs[i]))
			tap_bail("no room in the ring");
	}
	disk_kick(disk, 0);
}

static unsigned int base_of(struct disk *disk)
{
	struct vhost_vring_state base = { 0, 0 };

	if (ioctl(disk->fd, VHOST_GET_VRING_BASE, &base))
		tap_bail("VHOST_GET_VRING_BASE");
	return base.num & 0x7fff;
}

static unsigned int take_all(struct disk *disk)
{
	unsigned int n = 0, more;

	while ((more = disk_reap(disk, 0, 0)))
		n += more;
	return n;
}

static void test_stop(const char *path)
{
	unsigned int round, left = 0, taken, wrong = 0;
	struct disk disk;

	disk_open(&disk, path, &options);
	for (round = 0; round < 20; round++) {
		unsigned int before = base_of(&disk);

		submit_all(&disk);
		usleep(round * 200);
		disk_halt(&disk);
		taken = base_of(&disk) - before;
		left = take_all(&disk);
		/* One slot each: a ring of 128 is half a lap. */
		wrong += left != taken % RING;
		disk_run(&disk);
		while (left < DEPTH) {
			unsigned int n = disk_reap(&disk, 0, 20000);

			if (!n)
				break;
			left += n;
		}
		if (left != DEPTH)
			break;
	}
	tap_is(wrong, 0, "what was taken when a ring stopped, was given back");
	tap_is(left, DEPTH, "and the rest when it went on");
	disk_close(&disk);
}

/* The device is closed amid requests; the ring is ours to look at. */
static void test_close(const char *path)
{
	struct disk disk;
	unsigned int n;
	int i, bad = 0;

	for (i = 0; i < 10; i++) {
		disk_open(&disk, path, &options);
		submit_all(&disk);
		usleep(i * 300);
		close(disk.fd);
		n = take_all(&disk);
		bad += n > DEPTH;
		/* Nothing comes later. */
		usleep(10000);
		bad += take_all(&disk) != 0;
		disk.fd = dup(0);
		disk_close(&disk);
	}
	tap_is(bad, 0, "nothing is given back after the close");
}

/*
 * The owner dies amid requests. Its ring is in memory that we share: all that
 * it took must be published, for whoever comes next.
 */
static void test_kill(const char *path)
{
	unsigned int i, bad = 0, n;
	struct disk *disk;
	pid_t pid;

	disk = malloc(sizeof(*disk));
	for (i = 0; i < 10; i++) {
		int ready[2];
		char byte;

		if (pipe(ready))
			tap_bail("pipe");
		pid = fork();
		if (!pid) {
			disk_open(disk, path, &options);
			submit_all(disk);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			pause();
		}
		close(ready[1]);
		n = read(ready[0], &byte, 1);
		usleep(i * 300);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		close(ready[0]);
		bad += n != 1;
	}
	tap_is(bad, 0, "owners killed amid requests go away");
	disk_open(disk, path, &options);
	tap_is(disk_rw(disk, VIRTIO_BLK_T_IN, 0, disk->memory + DISK_DATA,
		       4096), VIRTIO_BLK_S_OK, "and the disk works for the next");
	disk_close(disk);
}

/* Memory is replaced by other mappings of it while requests are in flight. */
static void test_memory(const char *path)
{
	struct disk disk;
	unsigned int n = 0, more;

	disk_open(&disk, path, &options);
	submit_all(&disk);
	disk_remap(&disk);
	while (n < DEPTH && (more = disk_reap(&disk, 0, 20000)))
		n += more;
	tap_is(n, DEPTH, "requests survive another memory table");
	for (n = 0; n < DEPTH; n++)
		if (*reqs[n].status != VIRTIO_BLK_S_OK)
			break;
	tap_is(n, DEPTH, "and succeed");
	disk_close(&disk);
}

/*
 * The same, but the data of a long request is then where a block device cannot
 * take it from. Sooner or later that is not before it has begun.
 */
static void test_shifted_memory(const char *path)
{
	struct disk_request req = {
		.type = VIRTIO_BLK_T_IN, .len = 47 << 20, .cut = 1 << 20,
	};
	unsigned int round, rounds, failed = 0;
	struct disk disk;
	struct stat st;

	disk_open(&disk, path, &options);
	req.data = disk.memory + DISK_DATA;
	rounds = !stat(path, &st) && S_ISBLK(st.st_mode) ? 20 : 1;
	for (round = 0; round < rounds && !failed; round++) {
		disk_shift_data(&disk, 0);
		if (disk_submit(&disk, 0, &req))
			tap_bail("no room in the ring");
		disk_kick(&disk, 0);
		usleep(round * 500);
		disk_shift_data(&disk, 4);
		while (!req.done && disk_reap(&disk, 0, 20000))
			;
		failed += *req.status == VIRTIO_BLK_S_IOERR;
	}
	tap_is(failed, rounds > 1,
	       "a request to a block device fails when a table misaligns it");
	disk_close(&disk);
}

/*
 * Memory goes away under a request that has still to be copied there. What
 * the owner has at low addresses is not the guest's, and stays as it is.
 */
static void test_lost_memory(const char *path)
{
	const size_t size = 2 << 20;
	struct disk_request req = { .type = VIRTIO_BLK_T_IN, .len = 1 << 20 };
	struct disk disk;
	uint8_t *low;
	size_t i;

	low = mmap((void *)0x10000, size, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (low != (void *)0x10000)
		tap_bail("no low memory");
	memset(low, 0xa5, size);
	disk_open(&disk, path, &options);
	/* At an odd address: a window at a time, through pages of the host. */
	req.data = disk.memory + DISK_DATA + 1;
	if (disk_submit(&disk, 0, &req))
		tap_bail("no room in the ring");
	disk_kick(&disk, 0);
	usleep(20000);
	disk_lose_memory(&disk);
	disk_halt(&disk);
	for (i = 0; i < size && low[i] == 0xa5; i++)
		;
	tap_ok(i == size, "memory lost by the guest is not found elsewhere");
	munmap(low, size);
	disk_close(&disk);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		tap_bail("usage: drain PATH [packed]");
	options.packed = argc > 2;
	tap_plan(9);
	test_stop(argv[1]);
	test_close(argv[1]);
	test_kill(argv[1]);
	test_memory(argv[1]);
	test_shifted_memory(argv[1]);
	test_lost_memory(argv[1]);
	return tap_exit();
}
