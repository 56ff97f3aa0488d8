// SPDX-License-Identifier: GPL-2.0
/*
 * Packets that cannot be delivered are lost, counted, and cost nothing more;
 * those that lack buffers wait for them, and the worker sleeps meanwhile.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "netlib.h"

#define NUM	128
#define F_1	VDEV_F(VIRTIO_F_VERSION_1)
#define F_MRG	VDEV_F(VIRTIO_NET_F_MRG_RXBUF)
#define F_EVENT	VDEV_F(VIRTIO_RING_F_EVENT_IDX)

static const struct {
	const char *name;
	uint64_t features;
} rings[] = {
	{ "split", F_1 },
	{ "split, event index", F_1 | F_EVENT },
	{ "packed", F_1 | VDEV_F(VIRTIO_F_RING_PACKED) },
	{ "packed, event index", F_1 | VDEV_F(VIRTIO_F_RING_PACKED) | F_EVENT },
};

static const char *ring;
static struct net net;
static char *memory;

static void offer(unsigned int index, void *buffer, unsigned int len)
{
	struct vring_buf buf = {
		.addr = vdev_gpa(&net.dev, buffer), .len = len,
	};
	struct vring_chain chain = {
		.bufs = &buf,
		.nr_in = index == NET_RX, .nr_out = index == NET_TX,
	};

	vring_add(&net.dev.queues[index].ring, &chain, buffer);
	vdev_publish(&net.dev.queues[index]);
}

static void start(uint64_t features)
{
	net_open(&net, features, NUM);
	memory = vdev_alloc(&net.dev, 1 << 20);
}

static bool host_send(unsigned int len, unsigned int seed)
{
	char frame[2048];

	net_frame_fill(frame, len, seed);
	return net_host_send(&net, frame, len);
}

/* Wait until a counter has a value; it may take the worker a moment. */
static bool drops_become(const char *line, long value)
{
	unsigned int i;

	for (i = 0; i < 200; i++) {
		if (vdev_stat(&net.dev, line, "drops") == value)
			return true;
		usleep(10000);
	}
	tap_diag("%s drops %ld", line, vdev_stat(&net.dev, line, "drops"));
	return false;
}

/* Buffers of one size for all: what is larger is lost, the rest is not. */
static void test_too_large(uint64_t features)
{
	uint32_t len = 0;
	void *cookie;

	start(features);
	offer(NET_RX, memory, 512);
	host_send(1000, 1);
	host_send(100, 2);
	tap_ok(vdev_get(&net.dev.queues[NET_RX], &cookie, &len,
			NET_TIMEOUT_MS) && len == 100 + net.hdr_len &&
	       net_frame_ok(memory + net.hdr_len, 100, 2),
	       "%s: a packet behind one that is too large arrives", ring);
	tap_ok(drops_become("rx", 1), "%s: that one is counted", ring);
	net_close(&net);
}

static void test_num_buffers(uint64_t features)
{
	struct virtio_net_hdr_mrg_rxbuf *hdr;
	uint32_t len;
	void *cookie;

	start(features);
	hdr = (void *)memory;
	memset(hdr, 0xff, sizeof(*hdr));
	offer(NET_RX, memory, 2048);
	host_send(100, 1);
	vdev_get(&net.dev.queues[NET_RX], &cookie, &len, NET_TIMEOUT_MS);
	tap_is(hdr->num_buffers, 1, "%s: num_buffers without mergeable", ring);
	net_close(&net);
}

/* Mergeable: too few buffers for the packet; more come one by one. */
static void test_too_few(uint64_t features)
{
	struct vdev_queue *queue = &net.dev.queues[NET_RX];
	unsigned int i, got = 0;
	uint32_t len, sum = 0;
	void *cookie;

	start(features | F_MRG);
	offer(NET_RX, memory, 256);
	host_send(1200, 7);
	tap_ok(net_worker_sleeps(&net), "%s: too few buffers: the worker sleeps", ring);
	tap_ok(!vring_has_used(&queue->ring), "%s: nothing is delivered", ring);
	for (i = 1; i < 5; i++) {
		usleep(20000);
		offer(NET_RX, memory + i * 256, 256);
	}
	while (got < 5 && vdev_get(queue, &cookie, &len, NET_TIMEOUT_MS)) {
		got++;
		sum += len;
	}
	tap_is(sum, 1200 + 12, "%s: then it comes, in 5 buffers", ring);
	tap_ok(net_frame_ok(memory + 12, 1200, 7), "%s: and is whole", ring);
	tap_is(vdev_stat(&net.dev, "rx", "drops"), 0, "%s: no drops", ring);
	net_close(&net);
}

/* 16 bytes each: 1000 bytes would need more buffers than a packet may have. */
static void test_too_many(uint64_t features)
{
	unsigned int i;
	uint32_t len;
	void *cookie;

	start(features | F_MRG);
	for (i = 0; i < 100; i++)
		offer(NET_RX, memory + i * 256, i < 99 ? 15 : 256);
	host_send(1000, 1);
	tap_ok(drops_become("rx", 1), "%s: a packet for 68 buffers is lost",
	       ring);
	host_send(60, 2);
	tap_ok(vdev_get(&net.dev.queues[NET_RX], &cookie, &len,
			NET_TIMEOUT_MS) && len == 15,
	       "%s: one for 5 buffers comes", ring);
	tap_is(((struct virtio_net_hdr_mrg_rxbuf *)memory)->num_buffers, 5,
	       "%s: in 5 buffers", ring);
	net_close(&net);
}

/* One transmitted after another; only the good ones arrive. */
static void test_transmit(uint64_t features)
{
	struct virtio_net_hdr *hdr;
	unsigned int i;
	uint32_t len;
	char frame[2048];
	void *cookie;

	start(features);
	memset(memory, 0, 1 << 16);
	hdr = (void *)(memory + 4096);
	hdr->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	hdr->csum_start = 0xffff;
	hdr->csum_offset = 0xffff;
	net_frame_fill(memory + 4096 + net.hdr_len, 100, 1);
	net_frame_fill(memory + 8192 + net.hdr_len, 100, 2);

	offer(NET_TX, memory, net.hdr_len);
	offer(NET_TX, memory, 1);
	/* Not even an Ethernet header. */
	offer(NET_TX, memory, net.hdr_len + 1);
	offer(NET_TX, memory, net.hdr_len + 13);
	offer(NET_TX, memory + 4096, net.hdr_len + 100);
	offer(NET_TX, memory + 8192, net.hdr_len + 100);
	tap_is(net_host_receive(&net, frame, sizeof(frame)), 100,
	       "%s: a good packet behind bad ones arrives", ring);
	tap_ok(net_frame_ok(frame, 100, 2), "%s: and only that one", ring);
	for (i = 0; i < 6; i++)
		if (!vdev_get(&net.dev.queues[NET_TX], &cookie, &len,
			      NET_TIMEOUT_MS))
			break;
	tap_is(i, 6, "%s: all six are returned", ring);
	tap_is(vdev_stat(&net.dev, "tx", "drops"), 5,
	       "%s: five are counted", ring);
	net_close(&net);
}

/* @n times the same @len bytes in one packet: as long as a driver likes. */
static void offer_alias(void *buffer, unsigned int len, unsigned int n)
{
	struct vring_buf bufs[64];
	struct vring_chain chain = { .bufs = bufs, .nr_out = n };
	unsigned int i;

	for (i = 0; i < n; i++)
		bufs[i] = (struct vring_buf) {
			vdev_gpa(&net.dev, buffer), len,
		};
	vring_add(&net.dev.queues[NET_TX].ring, &chain, NULL);
	vdev_publish(&net.dev.queues[NET_TX]);
}

/* No tap should see these: it counts bytes as int. */
static void test_too_long(uint64_t features)
{
	char frame[2048];
	unsigned int i;
	uint32_t len;
	void *cookie;

	start(features);
	memset(memory, 0, 1 << 17);
	net_frame_fill(memory + 8192 + net.hdr_len, 100, 2);

	offer_alias(memory + 16384, 36 << 10, 2);
	offer_alias(net.dev.mem, (64 << 20) - 4096, 64);
	offer(NET_TX, memory + 8192, net.hdr_len + 100);
	tap_ok(net_host_receive(&net, frame, sizeof(frame)) == 100 &&
	       net_frame_ok(frame, 100, 2),
	       "%s: a good packet behind some too long arrives", ring);
	for (i = 0; i < 3; i++)
		if (!vdev_get(&net.dev.queues[NET_TX], &cookie, &len,
			      NET_TIMEOUT_MS))
			break;
	tap_is(i, 3, "%s: all three are returned", ring);
	tap_is(vdev_stat(&net.dev, "tx", "drops"), 2,
	       "%s: 72 KiB and 4 GiB are counted", ring);
	net_close(&net);
}

/* Wrong direction: the ring is broken, and says so. */
static void test_direction(uint64_t features, unsigned int index)
{
	struct vdev_queue *queue = &net.dev.queues[index];
	struct vring_buf bufs[2];
	struct vring_chain chain = { .bufs = bufs, .nr_out = 1, .nr_in = 1 };
	unsigned int i;
	bool fired = false;

	start(features);
	bufs[0] = (struct vring_buf) { vdev_gpa(&net.dev, memory), 200 };
	bufs[1] = (struct vring_buf) { vdev_gpa(&net.dev, memory + 512), 512 };
	vring_add(&queue->ring, &chain, NULL);
	vdev_publish(queue);
	host_send(100, 1);
	for (i = 0; i < 200 && !fired; i++) {
		fired = vdev_event(queue->err);
		usleep(10000);
	}
	tap_ok(fired, "%s: wrong direction in queue %u is an error", ring,
	       index);
	tap_ok(net_worker_sleeps(&net), "%s: the worker sleeps then", ring);
	net_close(&net);
}

int main(void)
{
	const unsigned int n = sizeof(rings) / sizeof(rings[0]);
	unsigned int i;

	net_require();
	tap_plan(n * (2 + 1 + 5 + 3 + 4 + 3 + 4));
	for (i = 0; i < n; i++) {
		ring = rings[i].name;
		test_too_large(rings[i].features);
		test_num_buffers(rings[i].features);
		test_too_few(rings[i].features);
		test_too_many(rings[i].features);
		test_transmit(rings[i].features);
		test_too_long(rings[i].features);
		test_direction(rings[i].features, NET_RX);
		test_direction(rings[i].features, NET_TX);
	}
	return tap_exit();
}
