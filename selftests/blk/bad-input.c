// SPDX-License-Identifier: GPL-2.0
/*
 * bad-input PATH [packed]: what a hostile driver or owner does is answered with
 * the status or the error that khx_blk.h names, and harms nobody.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "disk.h"
#include "tap.h"

#define OK	VIRTIO_BLK_S_OK
#define IOERR	VIRTIO_BLK_S_IOERR

#define LONG	160	/* requests, less than may be served in a row */

static struct disk disk;
static struct disk_options options;
static uint8_t *data;
static struct virtio_blk_outhdr *hdr;
static uint8_t *status;

static bool alive(void)
{
	return disk_rw(&disk, VIRTIO_BLK_T_IN, 0, data + (1 << 20), 4096) == OK;
}

static struct vring_buf buf(const void *p, uint32_t len)
{
	return (struct vring_buf){ disk_gpa(&disk, p), len };
}

static void submit_raw(const struct vring_buf *bufs, unsigned int nr_out,
		       unsigned int nr_in, struct disk_request *req)
{
	*status = 0xff;
	if (disk_submit_raw(&disk, 0, bufs, nr_out, nr_in, req))
		tap_bail("no room in the ring");
	disk_kick(&disk, 0);
}

/* Returns the status, -1 if none came. */
static int raw(const struct vring_buf *bufs, unsigned int nr_out,
	       unsigned int nr_in, bool indirect)
{
	struct disk_request req = { .indirect = indirect };

	submit_raw(bufs, nr_out, nr_in, &req);
	disk_reap(&disk, 0, 20000);
	return req.done ? *status : -1;
}

/* Nothing can be answered: the owner is told, the driver gets nothing. */
static bool fails(const struct vring_buf *bufs, unsigned int nr_out,
		  unsigned int nr_in)
{
	struct disk_request req = {};
	bool early = disk_has_failed(&disk, 0, 0);

	submit_raw(bufs, nr_out, nr_in, &req);
	return !early && disk_has_failed(&disk, 0, 20000) &&
	       !disk_reap(&disk, 0, 0) && *status == 0xff;
}

/* A queue that stopped for an error is as new once its ring is. */
static bool restart(void)
{
	const char *path = getenv("DISK");

	disk_close(&disk);
	disk_open(&disk, path, &options);
	data = disk.memory + DISK_DATA;
	hdr = (void *)(data - 4096);
	status = data - 1024;
	memset(hdr, 0, sizeof(*hdr));
	return alive();
}

static void test_chains(void)
{
	struct vring_buf bufs[300];
	unsigned int i;

	hdr->type = VIRTIO_BLK_T_IN;
	hdr->sector = 0;

	bufs[0] = buf(hdr, 15);
	bufs[1] = buf(status, 1);
	tap_is(raw(bufs, 1, 1, false), IOERR, "a header of 15 bytes");
	bufs[0] = buf(hdr, 16);
	bufs[1] = buf(status, 1);
	tap_is(raw(bufs, 0, 2, false), IOERR,
	       "a header that the device could only write");

	bufs[1] = buf(data, 512);
	for (i = 0; i < 255; i++)
		bufs[1 + i] = buf(data + i * 512, 512);
	bufs[256] = buf(status, 1);
	tap_is(raw(bufs, 1, 256, true), IOERR, "more segments than allowed");
	bufs[255] = buf(status, 1);
	tap_is(raw(bufs, 1, 255, true), OK, "but one less will do");

	bufs[1] = buf(status, 1);
	tap_is(raw(bufs, 1, 1, false), OK, "no data at all");

	hdr->type = VIRTIO_BLK_T_WRITE_ZEROES;
	bufs[1] = buf(data, 15);
	bufs[2] = buf(status, 1);
	tap_is(raw(bufs, 2, 1, false), IOERR, "a range of 15 bytes");
	bufs[1] = buf(data, 32);
	tap_is(raw(bufs, 2, 1, false), IOERR, "two ranges");
	hdr->type = VIRTIO_BLK_T_IN;
	tap_ok(alive(), "the disk serves all the same");

	bufs[0] = buf(hdr, 16);
	tap_ok(fails(bufs, 1, 0), "no room for a status: the queue fails");
	tap_ok(restart(), "a fresh ring works");

	hdr->type = VIRTIO_BLK_T_IN;
	bufs[0] = buf(hdr, 16);
	bufs[1] = (struct vring_buf){ 0x1000, 4096 };
	bufs[2] = buf(status, 1);
	tap_ok(fails(bufs, 1, 2),
	       "data outside the guest's memory: the queue fails");
	tap_ok(restart(), "a fresh ring works");

	bufs[1] = buf(data + 4096, 1);
	mprotect(data + 4096, 4096, PROT_READ);
	tap_ok(fails(bufs, 1, 1),
	       "a status that cannot be written: the queue fails");
	tap_ok(restart(), "a fresh ring works");
}

/* The owner's table promises memory that is not there. */
static void test_hole(void)
{
	struct disk_request req = {
		.type = VIRTIO_BLK_T_IN, .data = data + (8 << 20), .len = 65536,
	};

	munmap(req.data + 4096, 4096);
	tap_is(disk_do(&disk, 0, &req), IOERR, "a hole in the data");
	mprotect(req.data + 8192, 4096, PROT_READ);
	req.data += 8192;
	req.len = 4096;
	tap_is(disk_do(&disk, 0, &req), IOERR, "data that cannot be written");
	req.type = VIRTIO_BLK_T_OUT;
	tap_is(disk_do(&disk, 0, &req), OK, "but can be read");
	tap_ok(alive(), "the disk serves all the same");
}

static void log_all(struct disk *of)
{
	uint64_t features = of->features | 1ull << VHOST_F_LOG_ALL;
	uint64_t log = (uintptr_t)calloc(1, (DISK_GPA + DISK_MEMORY) >> 15);

	if (ioctl(of->fd, VHOST_SET_LOG_BASE, &log) ||
	    ioctl(of->fd, VHOST_SET_FEATURES, &features))
		tap_bail("no log");
}

/* They ask for nothing, in much memory, all of which is logged. */
static void submit_long(struct disk *of, unsigned int queue, unsigned int n,
			struct disk_request *reqs)
{
	uint8_t *from = of->memory + DISK_DATA;
	struct virtio_blk_outhdr *bad = (void *)(from - 65536);
	uint8_t *statuses = from - 4096 * (queue + 1);
	unsigned int i;

	bad->type = 1000;
	for (i = 0; i < n; i++) {
		struct vring_buf bufs[] = {
			{ disk_gpa(of, bad), sizeof(*bad) },
			{ disk_gpa(of, from), 8 << 20 },
			{ disk_gpa(of, statuses + i), 1 },
		};

		reqs[i].status = statuses + i;
		*reqs[i].status = 0xff;
		if (disk_submit_raw(of, queue, bufs, 1, 2, &reqs[i]))
			tap_bail("no room in the ring");
	}
	disk_kick(of, queue);
}

/* How many of the first queue are done by when one of the second is? */
static unsigned int count_before(struct disk *of, struct disk_request *reqs)
{
	struct disk_request one = {};
	unsigned int i, n = 0;

	submit_long(of, 0, LONG, reqs);
	submit_long(of, 1, 1, &one);
	if (!disk_reap(of, 1, 20000))
		return LONG;
	for (i = 0; i < LONG; i++)
		n += *reqs[i].status != 0xff;
	return n;
}

/* Two queues of one worker, while their guest migrates. */
static void test_long(void)
{
	static struct disk_request reqs[LONG];
	unsigned int round, before = LONG, n, more;
	struct disk_options two = options;
	struct disk other;

	two.nqueues = 2;
	disk_open(&other, getenv("DISK"), &two);
	log_all(&other);
	/* Unless all were done by when we come to the second queue. */
	for (round = 0; round < 5 && before == LONG; round++) {
		/* Not as the rest of the former round. */
		usleep(50000);
		before = count_before(&other, reqs);
		for (n = 0; n < LONG; n += more) {
			more = disk_reap(&other, 0, 20000);
			if (!more)
				tap_bail("no answer");
		}
	}
	tap_ok(before < LONG, "bad requests that are long do not all come first");
	disk_close(&other);
}

static int attach(const char *path, unsigned int flags)
{
	return disk_attach(&disk, path, flags, true);
}

static int attach_fd(int fd, unsigned int flags)
{
	struct khx_blk_file file = { .fd = fd, .flags = flags };
	int ret = ioctl(disk.fd, KHX_BLK_SET_BACKEND, &file) ? -errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

static int file_of(off_t size)
{
	int fd = memfd_create("file", 0);

	if (ftruncate(fd, size))
		tap_bail("ftruncate");
	return fd;
}

static void test_owner(void)
{
	struct vhost_vring_state run = { KHX_BLK_QUEUES, 1 };
	uint32_t wce = 2;
	int fds[2];

	tap_is(attach("/dev/null", 0), -EBUSY,
	       "no other backend while a ring runs");
	disk_halt(&disk);
	tap_is(attach("/", 0), -EISDIR, "a directory");
	tap_is(attach("/dev/null", 0), -EINVAL, "a character device");
	socketpair(AF_UNIX, SOCK_STREAM, 0, fds);
	close(fds[1]);
	tap_is(attach_fd(fds[0], 0), -EINVAL, "a socket");
	tap_is(attach_fd(1000, 0), -EBADF, "a closed descriptor");
	tap_is(attach_fd(file_of(0), 0), -EINVAL, "an empty file");
	tap_is(attach_fd(file_of(1000), 0), -EINVAL, "half a sector");
	tap_is(attach_fd(file_of(4096), 4), -EINVAL, "an unknown flag");
	tap_is(attach_fd(open("/tmp/khx-wronly",
			      O_WRONLY | O_CREAT | O_TRUNC, 0600), 0), -EBADF,
	       "a file that cannot be read");
	unlink("/tmp/khx-wronly");
	tap_is(attach_fd(file_of(4096), 0), 0, "a good file after all these");
	tap_is(ioctl(disk.fd, KHX_BLK_RUN_VRING, &run) ? -errno : 0, -ENOBUFS,
	       "a ring that there is not");
	run.index = 0;
	run.num = 2;
	tap_is(ioctl(disk.fd, KHX_BLK_RUN_VRING, &run) ? -errno : 0, -EINVAL,
	       "neither run nor stop");
	tap_is(ioctl(disk.fd, KHX_BLK_SET_WCE, &wce) ? -errno : 0, -EINVAL,
	       "a third cache mode");
	tap_is(ioctl(disk.fd, KHX_BLK_SET_BACKEND, NULL) ? -errno : 0, -EFAULT,
	       "an unreadable argument");
	tap_is(attach_fd(-1, 0), 0, "no backend any more");
	run.num = 1;
	tap_is(ioctl(disk.fd, KHX_BLK_RUN_VRING, &run) ? -errno : 0, -ENODEV,
	       "no ring without one");
}

int main(int argc, char **argv)
{
	if (argc < 2)
		tap_bail("usage: bad-input PATH [packed]");
	setenv("DISK", argv[1], 1);
	options.packed = argc > 2;
	options.num = 512;
	tap_plan(35);
	disk_open(&disk, argv[1], &options);
	restart();
	test_chains();
	test_hole();
	restart();
	test_long();
	test_owner();
	disk_close(&disk);
	return tap_exit();
}
