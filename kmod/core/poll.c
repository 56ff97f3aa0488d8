// SPDX-License-Identifier: GPL-2.0
/*
 * Wakes a virtqueue's worker straight from the wait queue of a file: the kick
 * eventfd, or a backend that has something for us or room again.
 */
#include <linux/export.h>
#include <linux/lockdep.h>

#include "core/poll.h"
#include "core/virtqueue.h"

/* Runs under the lock of the wait queue, maybe with interrupts off. */
static int khx_poll_wake(wait_queue_entry_t *wait, unsigned int mode,
			 int sync, void *key)
{
	struct khx_poll *poll = container_of(wait, struct khx_poll, wait);

	if (!(key_to_poll(key) & poll->mask))
		return 0;
	/* What we are woken for before the flag; see khx_poll_arm(). */
	smp_mb();
	if (!READ_ONCE(poll->armed))
		return 0;
	if (poll->count)
		(*poll->count)++;
	khx_virtqueue_queue(poll->vq);
	return 0;
}

static void khx_poll_attach(struct file *file, wait_queue_head_t *wqh,
			    poll_table *table)
{
	struct khx_poll *poll = container_of(table, struct khx_poll, table);

	/* We have one entry: a second queue of the same file goes unheard. */
	if (poll->wqh)
		return;
	poll->wqh = wqh;
	add_wait_queue(wqh, &poll->wait);
}

/**
 * khx_poll_init - prepare to watch a file
 * @poll: to be set up
 * @vq: virtqueue to queue on an event
 * @mask: EPOLLIN or EPOLLOUT
 * @count: counter of wakeups, or NULL
 */
void khx_poll_init(struct khx_poll *poll, struct khx_virtqueue *vq,
		   __poll_t mask, u64 *count)
{
	init_poll_funcptr(&poll->table, khx_poll_attach);
	init_waitqueue_func_entry(&poll->wait, khx_poll_wake);
	poll->table._key = mask;
	poll->wqh = NULL;
	poll->vq = vq;
	poll->mask = mask;
	poll->count = count;
}
EXPORT_SYMBOL_GPL(khx_poll_init);

/**
 * khx_poll_start - watch a file
 * @poll: stopped or started
 * @file: the file; the caller holds a reference until khx_poll_stop()
 *
 * An event that is pending already queues the virtqueue at once.
 *
 * Context: Under the virtqueue's mutex.
 * Return: 0, or -EINVAL when the file is in an error state.
 */
int khx_poll_start(struct khx_poll *poll, struct file *file)
{
	__poll_t mask;

	lockdep_assert_held(&poll->vq->mutex);
	if (poll->wqh)
		return 0;

	khx_poll_arm(poll);
	mask = vfs_poll(file, &poll->table);
	if (mask & EPOLLERR) {
		khx_poll_stop(poll);
		return -EINVAL;
	}
	if (mask & poll->mask)
		khx_virtqueue_queue(poll->vq);
	return 0;
}
EXPORT_SYMBOL_GPL(khx_poll_start);

/**
 * khx_poll_stop - watch no longer
 * @poll: stopped or started
 *
 * No wakeup runs once this returns; work it has queued may.
 *
 * Context: Under the virtqueue's mutex.
 */
void khx_poll_stop(struct khx_poll *poll)
{
	lockdep_assert_held(&poll->vq->mutex);
	if (!poll->wqh)
		return;
	remove_wait_queue(poll->wqh, &poll->wait);
	poll->wqh = NULL;
}
EXPORT_SYMBOL_GPL(khx_poll_stop);
