/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of /dev/khx-net share: a device on a tap, and packets. */
#ifndef KHX_SELFTESTS_NETLIB_H
#define KHX_SELFTESTS_NETLIB_H

#include <linux/vhost_types.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "tap.h"
#include "tapdev.h"
#include "vdev.h"

#define NET_DEVICE	"/dev/khx-net"
#define NET_RX		0
#define NET_TX		1

#define NET_FRAME_MAX	(64 << 10)
#define NET_TIMEOUT_MS	60000

/**
 * struct net - a device with both queues open on a tap
 * @dev: device
 * @tap: interface
 * @hdr_len: virtio-net header before each packet in the rings
 */
struct net {
	struct vdev dev;
	struct tapdev tap;
	unsigned int hdr_len;
};

/* Skips the test where our device or tap devices are missing. Comes first. */
void net_require(void);

/* Ends the test when it fails: there is nothing to test then. */
void net_open(struct net *net, uint64_t features, unsigned int num);
/* On a "macvtap" or "ipvtap"; false: this kernel has none. */
bool net_open_on(struct net *net, const char *type, uint64_t features,
		 unsigned int num);
void net_close(struct net *net);

/* A frame of @len bytes that only @seed can have made. */
void net_frame_fill(void *frame, unsigned int len, unsigned int seed);
bool net_frame_ok(const void *frame, unsigned int len, unsigned int seed);

/* The next frame of ours that the host receives: its length or -1. */
int net_host_receive(struct net *net, void *frame, unsigned int size);
bool net_host_send(struct net *net, const void *frame, unsigned int len);

/* CPU time of the device's worker in ns, to see that it sleeps; or -1. */
long long net_worker_ns(struct net *net);
/* A worker with nothing to do takes no CPU time to speak of. */
bool net_worker_sleeps(struct net *net);
/* Waits until it has done all that it was woken for before. */
bool net_worker_idle(struct net *net);

#endif /* KHX_SELFTESTS_NETLIB_H */
