// SPDX-License-Identifier: GPL-2.0
/*
 * bases PATH [packed]: where a ring has stopped is left where KHX_BLK_SET_BASES says,
 * however it has come to stop.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define NONE	0xdeadbeef
#define DEPTH	16

static struct disk_options options = { .nqueues = 2 };
static struct disk_request reqs[DEPTH];
static struct disk disk;
static uint32_t *bases;		/* shared with children, at the end of a page */

static int set_bases(const void *at)
{
	uint64_t address = (uintptr_t)at;

	return ioctl(disk.fd, KHX_BLK_SET_BASES, &address) ? errno : 0;
}

static uint32_t base_of(unsigned int queue)
{
	struct vhost_vring_state base = { queue, 0 };

	if (ioctl(disk.fd, VHOST_GET_VRING_BASE, &base))
		tap_bail("VHOST_GET_VRING_BASE");
	return base.num;
}

static void forget(void)
{
	unsigned int i;

	for (i = 0; i < KHX_BLK_QUEUES; i++)
		bases[i] = NONE;
}

static void begin(const char *path)
{
	disk_open(&disk, path, &options);
	forget();
	if (set_bases(bases))
		tap_bail("KHX_BLK_SET_BASES: %s", strerror(errno));
}

static void submit(unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		reqs[i] = (struct disk_request) {
			.type = VIRTIO_BLK_T_IN, .sector = i * 64,
			.data = disk.memory + DISK_DATA + i * 65536,
			.len = 32768, .indirect = true,
		};
		if (disk_submit(&disk, 1, &reqs[i]))
			tap_bail("no room in the ring");
	}
	disk_kick(&disk, 1);
}

/* One slot each. */
static void read_some(unsigned int n)
{
	submit(n);
	while (n) {
		unsigned int done = disk_reap(&disk, 1, 20000);

		if (!done)
			tap_bail("no answer");
		n -= done;
	}
}

/* Only what has stopped is said. */
static bool are(uint32_t first, uint32_t second)
{
	unsigned int i, others = 0;

	for (i = 2; i < KHX_BLK_QUEUES; i++)
		others += bases[i] != NONE;
	if (bases[0] == first && bases[1] == second && !others)
		return true;
	tap_diag("%#x, %#x, %u others; wanted %#x, %#x", bases[0], bases[1],
		 others, first, second);
	return false;
}

static void test_stop(const char *path)
{
	bool ok;

	begin(path);
	read_some(DEPTH);
	if (disk_stop(&disk, 1))
		tap_bail("KHX_BLK_RUN_VRING");
	tap_ok(are(NONE, base_of(1)), "a ring that is stopped");
	if (disk_start(&disk, 1))
		tap_bail("KHX_BLK_RUN_VRING");
	ok = !set_bases(bases + KHX_BLK_QUEUES);
	forget();
	disk_halt(&disk);
	ok &= are(NONE, NONE) && bases[KHX_BLK_QUEUES + 1] == base_of(1);
	disk_run(&disk);
	forget();
	ok &= !set_bases(NULL);
	disk_halt(&disk);
	tap_ok(ok && are(NONE, NONE), "elsewhere, or nowhere");
	disk_close(&disk);
}

static void test_reset(const char *path)
{
	uint32_t fresh, last;

	begin(path);
	fresh = base_of(0);
	read_some(DEPTH);
	last = base_of(1);
	if (ioctl(disk.fd, VHOST_RESET_OWNER, NULL))
		tap_bail("VHOST_RESET_OWNER");
	tap_ok(are(fresh, last), "VHOST_RESET_OWNER stops all");
	forget();
	disk_close(&disk);
	tap_ok(are(NONE, NONE), "and with it the place is forgotten");
}

static void test_close(const char *path)
{
	uint32_t fresh, last;

	begin(path);
	fresh = base_of(0);
	read_some(DEPTH);
	last = base_of(1);
	/* What only the device keeps is written, too. */
	disk_close(&disk);
	tap_ok(are(fresh, last), "so does the close");
}

/* As base_of() would say; all requests have one slot and the ring had no lap yet. */
static uint32_t base_after(uint32_t fresh, unsigned int n)
{
	return fresh + n + (options.packed ? n << 16 : 0);
}

static void test_kill(const char *path)
{
	unsigned int round, bad = 0, n, amid = 0;
	uint32_t fresh = options.packed ? VRING_PACKED_BASE : 0;
	int ready[2], status;
	pid_t pid;
	char byte;

	for (round = 0; round < 10; round++) {
		if (pipe(ready))
			tap_bail("pipe");
		pid = fork();
		if (!pid) {
			begin(path);
			submit(DEPTH);
			if (write(ready[1], "", 1) != 1)
				_exit(1);
			pause();
		}
		close(ready[1]);
		if (read(ready[0], &byte, 1) != 1)
			tap_bail("no child");
		usleep(round * 100);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		/* The pipe was closed before, but the device not necessarily. */
		for (n = 0; n < 500 && bases[1] == NONE; n++)
			usleep(10000);
		for (n = 0; n <= DEPTH; n++)
			if (bases[1] == base_after(fresh, n))
				break;
		amid += n && n < DEPTH;
		bad += n > DEPTH || bases[0] != fresh;
		close(ready[0]);
	}
	tap_diag("%u of %u times amid requests", amid, round);
	tap_is(bad, 0, "and the end of an owner that was killed");
}

static void test_errors(const char *path)
{
	uint8_t *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS,
			     -1, 0);
	int fd;

	begin(path);
	tap_is(ioctl(disk.fd, KHX_BLK_SET_BASES, 1) ? errno : 0, EFAULT,
	       "a bad argument");
	tap_is(set_bases((uint8_t *)bases + 4), EINVAL, "one that is not aligned");
	tap_is(set_bases(page), EFAULT, "one that cannot be written");
	munmap(page, 4096);
	tap_is(set_bases(page), EFAULT, "one that is not there");
	tap_is(set_bases((void *)(1ull << 63)), EFAULT, "one of the kernel");
	fd = open(path, O_RDWR);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	tap_is(page == MAP_FAILED ? -1 : set_bases(page), EFAULT,
	       "one that is written back to a disk");
	munmap(page, 4096);
	close(fd);
	disk_halt(&disk);
	tap_ok(bases[0] != NONE, "after those, the old one counts");
	disk_close(&disk);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		tap_bail("usage: bases PATH [packed]");
	options.packed = argc > 2;
	bases = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (bases == MAP_FAILED)
		tap_bail("mmap");
	bases += 4096 / 4 - 2 * KHX_BLK_QUEUES;
	tap_plan(13);
	test_stop(argv[1]);
	test_reset(argv[1]);
	test_close(argv[1]);
	test_kill(argv[1]);
	test_errors(argv[1]);
	return tap_exit();
}
