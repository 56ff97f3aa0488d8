// SPDX-License-Identifier: GPL-2.0
/*
 * The dirty log of a real device: a migration begins while packets arrive,
 * and every page that changes is in the bitmap by the time the driver can
 * know. The bitmap has no alignment, as QEMU's has none.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
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
static uint64_t used_log_offset;	/* of the used area, from where it is */

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
		.log_guest_addr = vdev_gpa(&net.dev, at->used) +
				  used_log_offset,
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

/* The used ring is logged when it is written, which we see: under the lock of this. */
static void wait_for_log(void)
{
	struct vhost_vring_state state = { .index = NET_RX };

	if (ioctl(net.dev.fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &state))
		tap_bail("VHOST_GET_VRING_BUSYLOOP_TIMEOUT: %s", strerror(errno));
}

/* Pages that changed since the copy and are not in the log. */
static unsigned int pages_missed(void)
{
	unsigned int missed = 0;
	size_t at;

	wait_for_log();
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
	wait_for_log();
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

static bool wait_event(int fd)
{
	int i;

	for (i = 0; i < 1000; i++) {
		if (vdev_event(fd))
			return true;
		usleep(1000);
	}
	return false;
}

static void hole_open(uint64_t features)
{
	unsigned long i;

	net_open(&net, features, NUM);
	buffers = vdev_alloc(&net.dev, NUM * BUFFER);
	for (i = 0; i < NUM - 1; i++)
		offer(i);
	vdev_publish(&net.dev.queues[NET_RX]);
	bitmap_size = 16 * PAGE;
	bitmap = mmap(NULL, bitmap_size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void hole_close(void)
{
	munmap(bitmap, bitmap_size);
	used_log_offset = 0;
	net_close(&net);
}

/*
 * A page of the bitmap is missing: that of the buffers, or that of the used
 * area. When it is back, the driver has lost neither a packet nor a call.
 */
static void test_hole(const char *format, uint64_t features, const char *what,
		      size_t page)
{
	struct vdev_queue *rx = &net.dev.queues[NET_RX];
	char frame[FRAME_LEN];
	unsigned int n = 0;
	void *cookie;
	uint32_t len;
	bool called;

	hole_open(features);
	/* A bit a page: the first page of the bitmap is 128 MiB. */
	used_log_offset = 1 << 30;
	log_start();
	receive(1);
	vring_calls_on(&rx->ring);
	vdev_event(rx->call);
	mprotect(bitmap + page * PAGE, PAGE, PROT_NONE);
	net_frame_fill(frame, sizeof(frame), 1);
	net_host_send(&net, frame, sizeof(frame));
	tap_ok(wait_event(rx->err), "%s: no log for %s: an error", format,
	       what);

	mprotect(bitmap + page * PAGE, PAGE, PROT_READ | PROT_WRITE);
	set_addr(NET_RX, true);
	net_host_send(&net, frame, sizeof(frame));
	called = vdev_wait(rx, NET_TIMEOUT_MS);
	while (n < 2 && vdev_get(rx, &cookie, &len, NET_TIMEOUT_MS))
		n++;
	tap_ok(called && n == 2, "%s: then both packets and a call", format);
	if (!called || n != 2)
		tap_diag("called %d, packets %u", called, n);
	hole_close();
}

/* VHOST_SET_LOG_FD: signalled when something was logged, and only then. */
static void test_log_fd(const char *format, uint64_t features)
{
	int event = eventfd(0, EFD_NONBLOCK), none = -1;
	bool set;

	hole_open(features);
	set = !ioctl(net.dev.fd, VHOST_SET_LOG_FD, &event);
	tap_ok(set && receive(5) && !vdev_event(event),
	       "%s: the log's eventfd is silent before logging", format);
	tap_ok(log_start() && receive(1) && vdev_event(event),
	       "%s: a packet signals it", format);

	/* A start, and each packet, is followed by a write of an event. */
	usleep(100000);
	vdev_event(event);
	eventfd_write(net.dev.queues[NET_TX].kick, 1);
	tap_ok(wait_event(event), "%s: so does what no packet comes with",
	       format);

	set = !ioctl(net.dev.fd, VHOST_SET_LOG_FD, &none);
	usleep(100000);
	vdev_event(event);
	tap_ok(set && receive(5) && !vdev_event(event),
	       "%s: none when it was taken back", format);
	close(event);
	hole_close();
}

int main(void)
{
	if (access(NET_DEVICE, R_OK | W_OK))
		tap_skip_all("no %s", NET_DEVICE);
	tap_plan(2 * (9 + 4) + 3 * 2);
	test_log("split", SPLIT);
	test_log("packed", PACKED);
	test_log_fd("split", SPLIT);
	test_log_fd("packed", PACKED);
	test_hole("split", SPLIT, "the buffers", 0);
	test_hole("split", SPLIT, "the used ring", 8);
	test_hole("packed", PACKED, "the buffers", 0);
	return tap_exit();
}
