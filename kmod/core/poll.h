/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_POLL_H
#define KHX_CORE_POLL_H

#include <linux/poll.h>
#include <linux/wait.h>

#include <asm/barrier.h>

struct file;
struct khx_virtqueue;

/**
 * struct khx_poll - wakes a virtqueue when a file becomes ready
 * @table: how poll() of the file finds us
 * @wait: our entry in the file's wait queue
 * @wqh: that wait queue from khx_poll_start() to khx_poll_stop(), else NULL
 * @vq: the virtqueue to queue
 * @mask: which events count
 * @armed: react to them? Read by the wakeup
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
	bool armed;
	u64 *count;
};

void khx_poll_init(struct khx_poll *poll, struct khx_virtqueue *vq,
		   __poll_t mask, u64 *count);
int khx_poll_start(struct khx_poll *poll, struct file *file);
void khx_poll_stop(struct khx_poll *poll);

/*
 * A cheap stop and start for who is woken often: between the two, events go
 * unheard. After arming, look at the file once more: what came before is
 * seen there, what comes after wakes. Where it was armed all the time, all
 * that came woke.
 */
static inline void khx_poll_arm(struct khx_poll *poll)
{
	if (!poll->armed)
		smp_store_mb(poll->armed, true); /* pairs with _wake() */
}

static inline void khx_poll_disarm(struct khx_poll *poll)
{
	WRITE_ONCE(poll->armed, false);
}

#endif /* KHX_CORE_POLL_H */
