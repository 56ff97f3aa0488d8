// SPDX-License-Identifier: GPL-2.0
/*
 * VHOST_SET_VRING_ENDIAN: rings of a legacy driver whose machine is big-endian,
 * written by hand; and that a modern one does not care.
 */
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "netlib.h"

#define NUM		64
#define FRAME_LEN	300
#define HEADER		12
#define LEGACY		VDEV_F(VIRTIO_NET_F_MRG_RXBUF)
#define MODERN		(LEGACY | VDEV_F(VIRTIO_F_VERSION_1))
/* Not the same when read the other way round. */
#define HEAD		5

static struct net net;
static char *buffer;

static int set_endian(unsigned int index, unsigned int endian)
{
	struct vhost_vring_state state = { .index = index, .num = endian };

	return ioctl(net.dev.fd, VHOST_SET_VRING_ENDIAN, &state);
}

static int get_endian(unsigned int index)
{
	struct vhost_vring_state state = { .index = index };

	return ioctl(net.dev.fd, VHOST_GET_VRING_ENDIAN, &state) ? -1 :
								  (int)state.num;
}

static void rig_open(uint64_t features)
{
	unsigned int i;
	bool ok = true;

	net_open(&net, features, NUM);
	buffer = vdev_alloc(&net.dev, 4096);
	/* It is fixed while a ring runs. */
	for (i = 0; i < VDEV_QUEUES; i++)
		ok &= !vdev_set_backend(&net.dev, i, -1) &&
		      get_endian(i) == VHOST_VRING_LITTLE_ENDIAN &&
		      !set_endian(i, VHOST_VRING_BIG_ENDIAN) &&
		      get_endian(i) == VHOST_VRING_BIG_ENDIAN &&
		      !vdev_set_backend(&net.dev, i, net.tap.fd);
	tap_ok(ok, "%s: the byte order is what was set",
	       features == LEGACY ? "legacy" : "modern");
}

/* The first buffer of a ring, as a big-endian machine writes it. */
static void offer(unsigned int index, unsigned int len, unsigned int flags)
{
	struct vring_layout *at = &net.dev.queues[index].ring.at;
	struct vring_desc *desc = at->desc;
	struct vring_avail *avail = at->avail;

	desc[HEAD] = (struct vring_desc) {
		.addr = htobe64(vdev_gpa(&net.dev, buffer)),
		.len = htobe32(len),
		.flags = htobe16(flags),
	};
	avail->ring[0] = htobe16(HEAD);
	__atomic_store_n(&avail->idx, htobe16(1), __ATOMIC_SEQ_CST);
	eventfd_write(net.dev.queues[index].kick, 1);
}

/* Has it come back, with as many bytes written? */
static bool used(unsigned int index, unsigned int len)
{
	struct vdev_queue *queue = &net.dev.queues[index];
	const volatile struct vring_used *used = queue->ring.at.used;

	return vdev_wait(queue, NET_TIMEOUT_MS) && used->idx == htobe16(1) &&
	       used->ring[0].id == htobe32(HEAD) &&
	       used->ring[0].len == htobe32(len);
}

static void test_legacy(void)
{
	struct virtio_net_hdr_mrg_rxbuf *hdr;
	char frame[FRAME_LEN];

	rig_open(LEGACY);
	memset(buffer, 0, 4096);
	net_frame_fill(buffer + HEADER, FRAME_LEN, 1);
	offer(NET_TX, HEADER + FRAME_LEN, 0);
	tap_ok(net_host_receive(&net, frame, FRAME_LEN) == FRAME_LEN &&
	       net_frame_ok(frame, FRAME_LEN, 1) && used(NET_TX, 0),
	       "legacy: a packet is transmitted");

	memset(buffer, 0, 4096);
	offer(NET_RX, 2048, VRING_DESC_F_WRITE);
	net_frame_fill(frame, FRAME_LEN, 2);
	net_host_send(&net, frame, FRAME_LEN);
	hdr = (void *)buffer;
	tap_ok(used(NET_RX, HEADER + FRAME_LEN) &&
	       net_frame_ok(buffer + HEADER, FRAME_LEN, 2),
	       "legacy: a packet is received");
	tap_is(be16toh(hdr->num_buffers), 1, "legacy: in one buffer");
	net_close(&net);
}

static void test_modern(void)
{
	struct vring_buf buf = { .len = HEADER + FRAME_LEN };
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	struct vdev_queue *tx = &net.dev.queues[NET_TX];
	char frame[FRAME_LEN];

	rig_open(MODERN);
	memset(buffer, 0, 4096);
	net_frame_fill(buffer + HEADER, FRAME_LEN, 1);
	buf.addr = vdev_gpa(&net.dev, buffer);
	vring_add(&tx->ring, &chain, NULL);
	vdev_publish(tx);
	tap_ok(net_host_receive(&net, frame, FRAME_LEN) == FRAME_LEN,
	       "modern: the ring is little-endian all the same");
	net_close(&net);
}

int main(void)
{
	net_require();
	tap_plan(6);
	test_legacy();
	test_modern();
	return tap_exit();
}
