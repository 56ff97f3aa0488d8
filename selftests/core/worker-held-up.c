// SPDX-License-Identifier: GPL-2.0
/*
 * An owner can hold a worker up, as his memory may be backed by anything; here
 * by userfaultfd. Who changes how the device is served gets an answer all the
 * same, soon, and all is well once the owner lets go.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "netlib.h"

#define NUM		16
#define LEN		100
#define PAGE		4096
#define FEATURES	VDEV_F(VIRTIO_F_VERSION_1)

/* Longer than the kernel waits, on a slow machine, and not for ever. */
#define SOON		20

struct held {
	struct net net;
	struct ctl ctl;
	uint32_t dev;
	int uffd;
	char *page;
};

static int64_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static int set_mode(struct held *held, uint32_t mode)
{
	struct nlmsghdr *nlh = ctl_request(&held->ctl, KHX_CMD_WORKER_SET, 0);
	int64_t start = seconds();
	int ret;

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, held->dev);
	mnl_attr_put_u32(nlh, KHX_A_MODE, mode);
	ret = ctl_run(&held->ctl, nlh, NULL, NULL);
	if (held->ctl.extack[0])
		tap_diag("%s", held->ctl.extack);
	return seconds() - start < SOON ? ret : -ETIME;
}

/* From now on whoever touches the page waits until let_go(). */
static void watch(struct held *held)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)held->page, PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	held->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (held->uffd < 0)
		tap_skip_all("userfaultfd: %s", strerror(errno));
	if (ioctl(held->uffd, UFFDIO_API, &api) ||
	    ioctl(held->uffd, UFFDIO_REGISTER, &reg))
		tap_bail("userfaultfd: %s", strerror(errno));
}

/* Have the transmit queue's worker stand before the page. */
static bool hold_up(struct held *held)
{
	struct vdev_queue *queue = &held->net.dev.queues[NET_TX];
	struct vring_buf buf = {
		.addr = vdev_gpa(&held->net.dev, held->page),
		.len = held->net.hdr_len + LEN,
	};
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	struct pollfd pollfd = { .fd = held->uffd, .events = POLLIN };
	struct uffd_msg msg;

	madvise(held->page, PAGE, MADV_DONTNEED);
	if (vring_add(&queue->ring, &chain, NULL))
		return false;
	vdev_publish(queue);
	return poll(&pollfd, 1, NET_TIMEOUT_MS) == 1 &&
	       read(held->uffd, &msg, sizeof(msg)) == sizeof(msg);
}

/* A page of zeroes; the packet in it then comes back. */
static bool let_go(struct held *held)
{
	struct uffdio_zeropage zero = {
		.range = { (uintptr_t)held->page, PAGE },
	};
	uint32_t len;
	void *cookie;

	return !ioctl(held->uffd, UFFDIO_ZEROPAGE, &zero) &&
	       vdev_get(&held->net.dev.queues[NET_TX], &cookie, &len,
			NET_TIMEOUT_MS);
}

int main(void)
{
	static struct held held;

	net_require();
	net_open(&held.net, FEATURES, NUM);
	ctl_open(&held.ctl);
	held.dev = ctl_last_device(&held.ctl);
	held.page = vdev_alloc(&held.net.dev, PAGE);
	watch(&held);
	tap_plan(10);

	tap_ok(hold_up(&held), "the only worker is held up");
	tap_is(vdev_stat(&held.net.dev, "tx", "drops"), 0,
	       "the device's counters can be read all the same");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), -ETIMEDOUT,
	       "it cannot be told to make others, which is said soon");
	tap_ok(let_go(&held), "its packet is sent once it can be read");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), 0, "then it can");

	tap_ok(hold_up(&held), "the worker of one queue is held up");
	tap_is(set_mode(&held, KHX_MODE_DEVICE), 0,
	       "it is replaced without waiting for its end");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), -ETIMEDOUT,
	       "but others are not before it has come");
	tap_ok(let_go(&held), "its packet is sent once it can be read, too");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), 0, "then others are");

	ctl_close(&held.ctl);
	net_close(&held.net);
	return tap_exit();
}
