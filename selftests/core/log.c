// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log of a real device: a migration begins while packets arrive,
 * and every page that changes is in the bitmap by the time the driver can
 * know. The bitmap has no alignment, as QEMU's has none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "netlib.h"

#define NUM		64
#define PAGE		4096
#define BUFFER		(2 * PAGE)
#define FRAME_LEN	1400
#define SPLIT		(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_EVENT_IDX))
#define PACKED		(SPLIT | VDEV_F(VIRTIO_F_RING_PACKED))

static struct net net;
static char *buffers;
static char *copy;			/* memory as the target would have it */
static unsigned char *bitmap;
static size_t bitmap_size;

static int set_features(bool log)
{
	uint64_t features = net.dev.features |
			    (log ? VDEV_F(VHOST_F_LOG_ALL) : 0);

	return ioctl(net.dev.fd, VHOST_SET_FEATURES, &features);
}

static int set_addr(unsigned int index, bool log)
{
	const struct vring_layout *at = &net.dev.queues[index].ring.at;
	struct vhost_vring_addr addr = {
		.index = index,
		.flags = log ? 1 << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = (uintptr_t)at->desc,
		.avail_user_addr = (uintptr_t)at->avail,
		.used_user_addr = (uintptr_t)at->used,
		.log_guest_addr = vdev_gpa(&net.dev, at->used),
	};

	return ioctl(net.dev.fd, VHOST_SET_VRING_ADDR, &addr);
}

/* As QEMU does it, all while the rings run. */
static bool log_start(void)
{
	uint64_t base = (uintptr_t)bitmap;

	return !ioctl(net.dev.fd, VHOST_SET_LOG_BASE, &base) &&
	       !set_features(true) && !set_addr(NET_RX, true) &&
	       !set_addr(NET_TX, true);
}

static bool log_stop(void)
{
	return !set_addr(NET_RX, false) && !set_addr(NET_TX, false) &&
	       !set_features(false);
}

static void offer(unsigned long i)
{
	struct vring_buf buf = {
		/* Across a page boundary. */
		.addr = vdev_gpa(&net.dev, buffers + i * BUFFER + PAGE - 700),
		.len = 12 + FRAME_LEN,
	};
	struct vring_chain chain = { .bufs = &buf, .nr_in = 1 };

	vring_add(&net.dev.queues[NET_RX].ring, &chain, (void *)i);
}

/* Let @n packets arrive, and offer their buffers again. */
static bool receive(unsigned int n)
{
	struct vdev_queue *rx = &net.dev.queues[NET_RX];
	char frame[FRAME_LEN];
	void *cookie;
	uint32_t len;

	for (; n; n--) {
		net_frame_fill(frame, sizeof(frame), n);
		if (!net_host_send(&net, frame, sizeof(frame)) ||
		    !vdev_get(rx, &cookie, &len, NET_TIMEOUT_MS))
			return false;
		offer((unsigned long)cookie);
		vdev_publish(rx);
	}
	return true;
}

static bool page_logged(size_t page)
{
	page += VDEV_GPA / PAGE;
	return bitmap[page / 8] >> page % 8 & 1;
}

/* What the driver itself writes is in KVM's log, not in ours. */
static bool page_is_drivers(const char *page)
{
	const struct vring_layout *at = &net.dev.queues[NET_RX].ring.at;

	return page == at->avail || (page == at->desc && !at->packed);
}

/* Pages that changed since the copy and are not in the log. */
static unsigned int pages_missed(void)
{
	unsigned int missed = 0;
	size_t at;

	for (at = 0; at < net.dev.size; at += PAGE)
		if (!page_is_drivers(net.dev.mem + at) &&
		    memcmp(net.dev.mem + at, copy + at, PAGE) &&
		    !page_logged(at / PAGE))
			missed++;
	return missed;
}

static unsigned int pages_logged(void)
{
	unsigned int n = 0;
	size_t i;

	for (i = 0; i < bitmap_size; i++)
		n += __builtin_popcount(bitmap[i]);
	return n;
}

static void snapshot(void)
{
	memset(bitmap, 0, bitmap_size);
	memcpy(copy, net.dev.mem, net.dev.size);
}

static void test_log(const char *format, uint64_t features)
{
	unsigned long i;
	char *block;

	net_open(&net, features, NUM);
	buffers = vdev_alloc(&net.dev, NUM * BUFFER);
	copy = malloc(net.dev.size);
	bitmap_size = (VDEV_GPA + net.dev.size) / PAGE / 8 + 1;
	block = calloc(1, bitmap_size + 8);
	bitmap = (unsigned char *)block + 3;
	for (i = 0; i < NUM - 1; i++)
		offer(i);
	vdev_publish(&net.dev.queues[NET_RX]);

	snapshot();
	tap_ok(receive(20) && !pages_logged(),
	       "%s: nothing is logged before it is asked for", format);
	tap_ok(log_start(), "%s: logging starts while rings run", format);
	snapshot();
	tap_ok(receive(200), "%s: packets arrive", format);
	tap_is(pages_missed(), 0, "%s: pages changed, not logged", format);
	tap_ok(page_logged((buffers - net.dev.mem) / PAGE) &&
	       page_logged((buffers - net.dev.mem) / PAGE + 1),
	       "%s: both pages of a buffer", format);
	snapshot();
	tap_ok(receive(1), "%s: one more packet", format);
	tap_ok(pages_logged() <= 6 && !pages_missed(),
	       "%s: logs its pages and no others", format);
	tap_ok(log_stop(), "%s: logging stops while rings run", format);
	snapshot();
	tap_ok(receive(20) && !pages_logged(), "%s: nothing is logged again",
	       format);
	free(block);
	free(copy);
	net_close(&net);
}

int main(void)
{
	if (access(NET_DEVICE, R_OK | W_OK))
		tap_skip_all("no %s", NET_DEVICE);
	tap_plan(2 * 9);
	test_log("split", SPLIT);
	test_log("packed", PACKED);
	return tap_exit();
}
