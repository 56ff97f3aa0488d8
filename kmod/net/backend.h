/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where packets go to and come from. A backend serves one virtqueue, that is
 * one direction, from khx_virtqueue_start() to khx_virtqueue_stop().
 */
#ifndef KHX_NET_BACKEND_H
#define KHX_NET_BACKEND_H

#include <linux/types.h>

#include "core/virtqueue.h"

struct file;
struct iov_iter;
struct khx_net_backend;
struct khx_net_queue;
struct seq_file;

/**
 * struct khx_net_backend_ops - a kind of backend
 * @send: transmit, in order. Takes chains with a frame behind the header;
 *        returns how many are done with, sent or dropped. When these are not
 *        all, the queue has been stopped by khx_virtqueue_fail(), or will be
 *        queued when there is room for the next one
 * @fill: have packets ready from @head to @tail of the backend, and return
 *        how many. With @wait the queue may be queued when there are more than
 *        these, no packet being missed in between: @listening says whether it
 *        will. Without it is left alone
 * @ignore: leave the queue alone until the next @fill
 * @receive: write the packet at @head, which is gone then in any case, with
 *        a header unless the queue makes its own. @len bytes are wanted;
 *        returns how many there were, or a negative errno
 * @drop: lose the packet at @head
 * @destroy: give back what is ready, let go of the file, free the backend.
 *        Nothing is queued by it any more. May sleep
 *
 * All but @destroy are called by the worker under the virtqueue's mutex.
 */
struct khx_net_backend_ops {
	unsigned int (*send)(struct khx_net_backend *backend,
			     const struct khx_chain *chains, unsigned int n);
	unsigned int (*fill)(struct khx_net_backend *backend, bool wait);
	void (*ignore)(struct khx_net_backend *backend);
	int (*receive)(struct khx_net_backend *backend, struct iov_iter *to,
		       size_t len);
	void (*drop)(struct khx_net_backend *backend);
	void (*destroy)(struct khx_net_backend *backend);
};

/**
 * struct khx_net_backend - what all backends have
 * @ops: their kind
 * @queue: the queue they serve
 * @file: the file they were made from; they hold a reference
 * @head: receive: oldest packet that is ready
 * @tail: receive: end of the ready packets
 * @listening: receive: when there are more, the queue will be queued. Always
 *             so when a @fill that was to wait has found none
 * @len: receive: lengths of the ready packets, without header, never 0
 *
 * Guarded by the virtqueue's mutex.
 */
struct khx_net_backend {
	const struct khx_net_backend_ops *ops;
	struct khx_net_queue *queue;
	struct file *file;
	unsigned int head;
	unsigned int tail;
	bool listening;
	u32 len[KHX_BATCH];
};

struct khx_net_backend *khx_net_tap_create(struct khx_net_queue *queue,
					   struct file *file);

#endif /* KHX_NET_BACKEND_H */
