/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_NET_H
#define KHX_NET_H

#include <linux/container_of.h>
#include <uapi/linux/virtio_net.h>

#include "core/device.h"
#include "core/virtqueue.h"

struct khx_net_backend;
struct seq_file;

/* The pair of virtqueues of one device, as VHOST_NET_SET_BACKEND counts. */
enum khx_net_queue_index {
	KHX_NET_RX = 0,
	KHX_NET_TX = 1,
	KHX_NET_QUEUES
};

/**
 * struct khx_net_queue - one direction of a device
 * @vq: its virtqueue; @vq.backend is a struct khx_net_backend
 * @hdr_len: bytes of virtio-net header before each packet in the ring
 * @own_hdr: we make that header; otherwise the backend carries it
 * @buf_len: size of the driver's last buffer, to guess how many are needed
 * @chains: the batch in work
 *
 * Guarded by the virtqueue's mutex.
 */
struct khx_net_queue {
	struct khx_virtqueue vq;
	u32 hdr_len;
	bool own_hdr;
	u32 buf_len;
	struct khx_chain chains[KHX_BATCH];
};

/**
 * struct khx_net - what one open file of /dev/khx-net is
 * @dev: the core's part
 * @queues: one a direction
 * @vqs: their virtqueues, as the core wants them
 */
struct khx_net {
	struct khx_device dev;
	struct khx_net_queue queues[KHX_NET_QUEUES];
	struct khx_virtqueue *vqs[KHX_NET_QUEUES];
};

static inline struct khx_net *khx_net_of(struct khx_device *dev)
{
	return container_of(dev, struct khx_net, dev);
}

static inline struct khx_net_queue *khx_net_queue_of(struct khx_virtqueue *vq)
{
	return container_of(vq, struct khx_net_queue, vq);
}

/*
 * What one run of a queue may take before it goes behind the other work of
 * its worker. 256 packets or half a MiB keep a run below a millisecond on any
 * host while its fixed costs vanish; the descriptors bound a driver that cuts
 * its packets into slivers: they cost time and no bytes.
 */
#define KHX_NET_WEIGHT_PACKETS	256
#define KHX_NET_WEIGHT_BYTES	SZ_512K
#define KHX_NET_WEIGHT_DESCS	8192

/*
 * The longest frame a driver may have us transmit. GSO frames end at 64 KiB,
 * with room for any headers. What a ring can describe, up to 4 GiB, is more
 * than a tap counts bytes for.
 */
#define KHX_NET_FRAME_MAX	(SZ_64K + SZ_4K)

/**
 * struct khx_net_budget - what is left of one run
 * @packets: packets, or attempts at one
 * @bytes: bytes; may go below 0 by one packet
 * @descs_end: value of the virtqueue's count of descriptors to stop at
 */
struct khx_net_budget {
	int packets;
	s64 bytes;
	u64 descs_end;
};

static inline void khx_net_budget_init(struct khx_net_budget *budget,
				       const struct khx_virtqueue *vq)
{
	budget->packets = khx_virtqueue_share(vq, KHX_NET_WEIGHT_PACKETS);
	budget->bytes = khx_virtqueue_share(vq, KHX_NET_WEIGHT_BYTES);
	budget->descs_end = vq->stats.descs +
			    khx_virtqueue_share(vq, KHX_NET_WEIGHT_DESCS);
}

static inline bool khx_net_budget_left(const struct khx_net_budget *budget,
				       const struct khx_virtqueue *vq)
{
	return budget->packets > 0 && budget->bytes > 0 &&
	       vq->stats.descs < budget->descs_end;
}

/* device.c */
extern const struct file_operations khx_net_fops;

/* rx.c, tx.c; worker, under the virtqueue's mutex: */
void khx_net_rx_handle(struct khx_virtqueue *vq);
void khx_net_tx_handle(struct khx_virtqueue *vq);

/* busypoll.c; worker, under the virtqueue's mutex: */
bool khx_net_busypoll_rx(struct khx_net_queue *rx);
bool khx_net_busypoll_tx(struct khx_net_queue *tx);

#endif /* KHX_NET_H */
