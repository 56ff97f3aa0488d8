// SPDX-License-Identifier: GPL-2.0
/* Have a transmit queue stopped for a broken ring, for who watches. */
#include <poll.h>

#include "netlib.h"

int main(void)
{
	struct vring_buf buf = { .addr = 0, .len = 100 };
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	struct vdev_queue *queue;
	struct pollfd pollfd;
	struct net net;

	net_open(&net, VDEV_F(VIRTIO_F_VERSION_1), 16);
	queue = &net.dev.queues[NET_TX];
	pollfd = (struct pollfd) { .fd = queue->err, .events = POLLIN };
	/* Not in the memory of the device. */
	vring_add(&queue->ring, &chain, NULL);
	vdev_publish(queue);
	if (poll(&pollfd, 1, NET_TIMEOUT_MS) != 1)
		return 1;
	net_close(&net);
	return 0;
}
