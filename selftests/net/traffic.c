// SPDX-License-Identifier: GPL-2.0
/*
 * Packets of all sizes arrive unchanged and in order, both ways, whatever was
 * negotiated and however the driver cuts its buffers.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/if_tun.h>

#include "netlib.h"

#define NUM		64
#define PACKETS		198
#define SEGMENTS_MAX	4
#define BUFFER_SIZE	(64 << 10)
#define MODE_RESULTS	5

struct mode {
	const char *name;
	uint64_t features;
	unsigned int buf_size;		/* receive */
	unsigned int segments;		/* of each buffer */
	bool table;
	int sndbuf;			/* of the tap; 0: unlimited */
	const char *type;		/* of interface, if not a tap */
};

#define F_SPLIT		0
#define F_1		VDEV_F(VIRTIO_F_VERSION_1)
#define F_PACKED	(VDEV_F(VIRTIO_F_RING_PACKED) | F_1)
#define F_EVENT		VDEV_F(VIRTIO_RING_F_EVENT_IDX)
#define F_MRG		VDEV_F(VIRTIO_NET_F_MRG_RXBUF)
#define F_INDIRECT	VDEV_F(VIRTIO_RING_F_INDIRECT_DESC)
#define F_OWN		VDEV_F(VHOST_NET_F_VIRTIO_NET_HDR)

static const struct mode modes[] = {
	{ "split, legacy", F_SPLIT, 2048, 1 },
	{ "split, legacy, event index", F_SPLIT | F_EVENT, 2048, 1 },
	{ "split, legacy, mergeable", F_MRG | F_EVENT, 300, 1 },
	{ "split", F_1, 2048, 1 },
	{ "split, event index", F_1 | F_EVENT, 2048, 1 },
	{ "split, mergeable", F_1 | F_EVENT | F_MRG, 400, 1 },
	{ "split, chains", F_1 | F_EVENT, 2048, 3 },
	{ "split, mergeable chains", F_1 | F_EVENT | F_MRG, 500, 3 },
	{ "split, tables", F_1 | F_EVENT | F_INDIRECT, 2048, 3, true },
	{ "split, small send buffer", F_1 | F_EVENT, 2048, 2, false, 200000 },
	{ "packed", F_PACKED, 2048, 1 },
	{ "packed, event index", F_PACKED | F_EVENT, 2048, 1 },
	{ "packed, mergeable", F_PACKED | F_EVENT | F_MRG, 400, 1 },
	{ "packed, chains", F_PACKED | F_EVENT, 2048, 3 },
	{ "packed, mergeable chains", F_PACKED | F_EVENT | F_MRG, 500, 3 },
	{ "packed, tables", F_PACKED | F_EVENT | F_INDIRECT, 2048, 3, true },
	{ "packed, small send buffer", F_PACKED, 2048, 1, false, 200000 },
	{ "split, legacy, header of our own", F_OWN, 2048, 1 },
	{ "split, header of our own", F_1 | F_EVENT | F_OWN, 2048, 3 },
	{ "packed, mergeable, header of our own", F_PACKED | F_MRG | F_OWN,
	  400, 1 },
	{ "macvtap, split", F_1 | F_EVENT, 2048, 1, .type = "macvtap" },
	{ "macvtap, packed, mergeable", F_PACKED | F_EVENT | F_MRG, 400, 1,
	  .type = "macvtap" },
	{ "ipvtap, split, mergeable", F_1 | F_EVENT | F_MRG, 400, 1,
	  .type = "ipvtap" },
	{ "ipvtap, packed", F_PACKED, 2048, 1, .type = "ipvtap" },
	{ "ipvtap, split, header of our own", F_1 | F_OWN, 2048, 1,
	  .type = "ipvtap" },
};

struct test {
	const struct mode *mode;
	struct net net;
	char *buffers;
	char *tables;
	char frame[NET_FRAME_MAX];
};

/* The smallest, the usual; and to transmit, what a page does not hold. */
static unsigned int frame_len(unsigned int queue, unsigned int i)
{
	static const unsigned int lens[] = {
		60, 61, 590, 1500, 1514, 300, 3600, 9014, 60000,
	};

	return lens[i % (queue == NET_TX ? 9 : 6)];
}

static char *buffer_of(struct test *t, unsigned int i)
{
	return t->buffers + i * BUFFER_SIZE;
}

/* Offer @len bytes of buffer @i, in as many segments as the mode says. */
static int offer(struct test *t, unsigned int queue, unsigned int i,
		 unsigned int len)
{
	unsigned int k, n = t->mode->segments, part = len / n, done = 0;
	struct vring_buf bufs[SEGMENTS_MAX];
	struct vring_chain chain = { .bufs = bufs };

	for (k = 0; k < n; k++, done += part) {
		if (k == n - 1)
			part = len - done;
		bufs[k].addr = vdev_gpa(&t->net.dev, buffer_of(t, i) + done);
		bufs[k].len = part;
	}
	if (queue == NET_RX)
		chain.nr_in = n;
	else
		chain.nr_out = n;
	if (t->mode->table) {
		chain.table = t->tables + i * 256;
		chain.table_addr = vdev_gpa(&t->net.dev, chain.table);
	}
	return vring_add(&t->net.dev.queues[queue].ring, &chain,
			 buffer_of(t, i));
}

static bool transmit_one(struct test *t, unsigned int seed)
{
	struct vdev_queue *queue = &t->net.dev.queues[NET_TX];
	unsigned int len = frame_len(NET_TX, seed);
	unsigned int hdr_len = t->net.hdr_len;
	char *buffer = buffer_of(t, seed % NUM);
	uint32_t written;
	void *cookie;
	int got;

	memset(buffer, 0, hdr_len);
	net_frame_fill(buffer + hdr_len, len, seed);
	if (offer(t, NET_TX, seed % NUM, hdr_len + len))
		return false;
	vdev_publish(queue);
	got = net_host_receive(&t->net, t->frame, sizeof(t->frame));
	return got == (int)len && net_frame_ok(t->frame, len, seed) &&
	       vdev_get(queue, &cookie, &written, NET_TIMEOUT_MS) &&
	       cookie == buffer && !written;
}

static void test_transmit(struct test *t)
{
	unsigned int i;

	for (i = 0; i < PACKETS; i++)
		if (!transmit_one(t, i))
			break;
	tap_is(i, PACKETS, "%s: packets transmitted", t->mode->name);
}

/* A header of our own says nothing of the packet. */
static bool header_ok(const struct test *t)
{
	static const struct virtio_net_hdr none;

	return !(t->mode->features & F_OWN) ||
	       !memcmp(t->frame, &none, sizeof(none));
}

/*
 * Collect one received packet. Mergeable: as many buffers as the first one's
 * header says, each full but the last. Returns its length or -1.
 */
static int collect(struct test *t, unsigned int *buffers)
{
	struct vdev_queue *queue = &t->net.dev.queues[NET_RX];
	bool mergeable = t->mode->features & F_MRG;
	struct virtio_net_hdr_mrg_rxbuf hdr;
	unsigned int k, n = 1, at = 0;
	uint32_t len;
	char *cookie;

	for (k = 0; k < n; k++) {
		if (!vdev_get(queue, (void **)&cookie, &len, NET_TIMEOUT_MS))
			return -1;
		memcpy(t->frame + at, cookie, len);
		at += len;
		if (!k && t->net.hdr_len == sizeof(hdr)) {
			memcpy(&hdr, t->frame, sizeof(hdr));
			n = hdr.num_buffers;
			if (!n || (n > 1 && !mergeable))
				return -1;
		}
		if (k < n - 1 && len != t->mode->buf_size)
			return -1;
		if (offer(t, NET_RX, (cookie - t->buffers) / BUFFER_SIZE,
			  t->mode->buf_size))
			return -1;
	}
	vdev_publish(queue);
	*buffers += n;
	return at - t->net.hdr_len;
}

static void test_receive(struct test *t)
{
	unsigned int i, len, slots = t->mode->table ? 1 : t->mode->segments;
	struct vdev_queue *queue = &t->net.dev.queues[NET_RX];
	unsigned int buffers = 0, wanted = 0;
	char frame[2048];

	for (i = 0; i < NUM / slots; i++)
		offer(t, NET_RX, i, t->mode->buf_size);
	vdev_publish(queue);

	for (i = 0; i < PACKETS; i++) {
		len = frame_len(NET_RX, i);
		wanted += (len + t->net.hdr_len + t->mode->buf_size - 1) /
			  t->mode->buf_size;
		net_frame_fill(frame, len, i);
		if (!net_host_send(&t->net, frame, len) ||
		    collect(t, &buffers) != (int)len ||
		    !header_ok(t) ||
		    !net_frame_ok(t->frame + t->net.hdr_len, len, i))
			break;
	}
	tap_is(i, PACKETS, "%s: packets received", t->mode->name);
	tap_is(buffers, wanted, "%s: buffers taken", t->mode->name);
}

static void test_mode(const struct mode *mode)
{
	static struct test t;
	unsigned int i;

	t.mode = mode;
	if (!mode->type) {
		net_open(&t.net, mode->features, NUM);
	} else if (!net_open_on(&t.net, mode->type, mode->features, NUM)) {
		for (i = 0; i < MODE_RESULTS; i++)
			tap_skip("no such interface", "%s: %u", mode->name, i);
		return;
	}
	if (mode->sndbuf && ioctl(t.net.tap.fd, TUNSETSNDBUF, &mode->sndbuf))
		tap_bail("TUNSETSNDBUF: %s", strerror(errno));
	t.buffers = vdev_alloc(&t.net.dev, NUM * BUFFER_SIZE);
	t.tables = vdev_alloc(&t.net.dev, NUM * 256);
	test_transmit(&t);
	test_receive(&t);
	tap_is(vdev_stat(&t.net.dev, "rx", "drops") +
	       vdev_stat(&t.net.dev, "tx", "drops"), 0, "%s: no drops",
	       mode->name);
	tap_ok(!vdev_event(t.net.dev.queues[0].err) &&
	       !vdev_event(t.net.dev.queues[1].err), "%s: no errors",
	       mode->name);
	net_close(&t.net);
}

int main(void)
{
	const unsigned int n = sizeof(modes) / sizeof(modes[0]);
	unsigned int i;

	net_require();
	tap_plan(n * MODE_RESULTS);
	for (i = 0; i < n; i++)
		test_mode(&modes[i]);
	return tap_exit();
}
