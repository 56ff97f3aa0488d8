/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_POLL_H
#define KHX_CORE_POLL_H

#include <linux/poll.h>
#include <linux/wait.h>

struct file;
struct khx_virtqueue;

/**
 * struct khx_poll - wakes a virtqueue when a file becomes ready
 * @table: how poll() of the file finds us
 * @wait: our entry in the file's wait queue
 * @wqh: that wait queue while armed, else NULL
 * @vq: the virtqueue to queue
 * @mask: which events count
 * @count: incremented at each wakeup, or NULL; guarded by the lock of @wqh
 *
 * Guarded by @vq's mutex, but for the wakeup itself.
 */
struct khx_poll {
	poll_table table;
	wait_queue_entry_t wait;
	wait_queue_head_t *wqh;
	struct khx_virtqueue *vq;
	__poll_t mask;
	u64 *count;
};

void khx_poll_init(struct khx_poll *poll, struct khx_virtqueue *vq,
		   __poll_t mask, u64 *count);
int khx_poll_start(struct khx_poll *poll, struct file *file);
void khx_poll_stop(struct khx_poll *poll);

#endif /* KHX_CORE_POLL_H */
