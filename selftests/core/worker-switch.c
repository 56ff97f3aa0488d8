// SPDX-License-Identifier: GPL-2.0
/*
 * Packets go on in order and without loss, both ways, while their device's
 * workers are exchanged again and again.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "netlib.h"

#define NUM		64
#define SWITCHES	100
#define LEN		100
#define FEATURES	(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_EVENT_IDX))

struct switcher {
	uint32_t dev;
	unsigned int done;
	atomic_bool ended;
};

static int set_mode(struct ctl *ctl, uint32_t dev, unsigned int i)
{
	static const uint32_t modes[] = {
		KHX_MODE_QUEUE, KHX_MODE_SHARED, KHX_MODE_DEVICE,
	};
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_CMD_WORKER_SET, 0);
	uint32_t mode = modes[i % 3];

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	mnl_attr_put_u32(nlh, KHX_A_MODE, mode);
	if (mode == KHX_MODE_SHARED)
		mnl_attr_put_u32(nlh, KHX_A_WORKERS, 1 + i % 2);
	return ctl_run(ctl, nlh, NULL, NULL);
}

static void *switcher_thread(void *arg)
{
	struct switcher *switcher = arg;
	struct ctl ctl;

	ctl_open(&ctl);
	for (; switcher->done < SWITCHES; switcher->done++)
		if (set_mode(&ctl, switcher->dev, switcher->done))
			break;
	ctl_close(&ctl);
	atomic_store(&switcher->ended, true);
	return NULL;
}

static bool offer(struct net *net, unsigned int queue, char *buffer)
{
	struct vring_buf buf = {
		.addr = vdev_gpa(&net->dev, buffer),
		.len = net->hdr_len + LEN,
	};
	struct vring_chain chain = { .bufs = &buf };

	if (queue == NET_RX)
		chain.nr_in = 1;
	else
		chain.nr_out = 1;
	return !vring_add(&net->dev.queues[queue].ring, &chain, buffer);
}

/* Several at once, so that the worker has a batch in its hands. */
static bool transmit(struct net *net, char *buffers, unsigned int seq,
		     unsigned int n)
{
	struct vdev_queue *queue = &net->dev.queues[NET_TX];
	char frame[2 * LEN], *buffer;
	unsigned int i;
	uint32_t len;
	void *cookie;

	for (i = 0; i < n; i++) {
		buffer = buffers + i * 256;
		memset(buffer, 0, net->hdr_len);
		net_frame_fill(buffer + net->hdr_len, LEN, seq + i);
		if (!offer(net, NET_TX, buffer))
			return false;
	}
	vdev_publish(queue);
	for (i = 0; i < n; i++)
		if (net_host_receive(net, frame, sizeof(frame)) != LEN ||
		    !net_frame_ok(frame, LEN, seq + i))
			return false;
	for (i = 0; i < n; i++)
		if (!vdev_get(queue, &cookie, &len, NET_TIMEOUT_MS))
			return false;
	return true;
}

static bool receive(struct net *net, unsigned int seq, unsigned int n)
{
	struct vdev_queue *queue = &net->dev.queues[NET_RX];
	char frame[LEN], *buffer;
	unsigned int i;
	uint32_t len;

	for (i = 0; i < n; i++) {
		net_frame_fill(frame, LEN, seq + i);
		if (!net_host_send(net, frame, LEN))
			return false;
	}
	for (i = 0; i < n; i++) {
		if (!vdev_get(queue, (void **)&buffer, &len, NET_TIMEOUT_MS) ||
		    len != net->hdr_len + LEN ||
		    !net_frame_ok(buffer + net->hdr_len, LEN, seq + i) ||
		    !offer(net, NET_RX, buffer))
			return false;
	}
	vdev_publish(queue);
	return true;
}

int main(void)
{
	struct switcher switcher = { };
	unsigned int i, seq = 0, n;
	bool sent = true, received = true;
	char *tx_buffers, *rx_buffers;
	pthread_t thread;
	struct ctl ctl;
	struct net net;

	if (access(NET_DEVICE, R_OK | W_OK))
		tap_skip_all("%s: %s", NET_DEVICE, strerror(errno));
	tap_plan(4);
	net_open(&net, FEATURES, NUM);
	ctl_open(&ctl);
	switcher.dev = ctl_last_device(&ctl);
	tx_buffers = vdev_alloc(&net.dev, NUM * 256);
	rx_buffers = vdev_alloc(&net.dev, NUM * 256);
	for (i = 0; i < NUM / 2; i++)
		offer(&net, NET_RX, rx_buffers + i * 256);
	vdev_publish(&net.dev.queues[NET_RX]);

	pthread_create(&thread, NULL, switcher_thread, &switcher);
	while (!atomic_load(&switcher.ended) && sent && received) {
		n = 1 + seq % 16;
		sent = transmit(&net, tx_buffers, seq, n);
		received = receive(&net, seq, n);
		seq += n;
	}
	pthread_join(thread, NULL);

	tap_is(switcher.done, SWITCHES, "workers are exchanged under load");
	tap_ok(sent, "no transmitted packet is lost or overtaken");
	tap_ok(received, "no received packet is lost or overtaken");
	tap_ok(seq > 2 * SWITCHES, "there was load");
	tap_diag("%u packets each way", seq);
	ctl_close(&ctl);
	net_close(&net);
	return tap_exit();
}
