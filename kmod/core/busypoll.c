// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Busy polling
 *
 * Before a worker sleeps it may look at a virtqueue for a while longer. That
 * saves a kick and a wakeup if something comes, and is wasted if not, so the
 * time adapts: it doubles with each poll that finds something, up to what the
 * owner or the administrator allows, and halves with each that does not. It
 * never falls below a sixteenth of what is allowed, or nothing would ever
 * tell that polling pays again.
 *
 * What to look at is the device type's affair, and when to stop early too:
 * as soon as anybody else wants the worker or its CPU.
 */
#include <linux/export.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/rcupdate.h>

#include "core/virtqueue.h"

#define KHX_POLL_FLOOR	16

/**
 * khx_virtqueue_poll_begin - how long to poll now
 * @vq: virtqueue
 *
 * Context: Under the virtqueue's mutex.
 * Return: microseconds; 0: not at all, and no khx_virtqueue_poll_end().
 */
u32 khx_virtqueue_poll_begin(struct khx_virtqueue *vq)
{
	u32 max = min_t(u32, READ_ONCE(vq->busyloop_us), KHX_POLL_US_MAX);

	lockdep_assert_held(&vq->mutex);
	if (!max) {
		WRITE_ONCE(vq->poll_us, 0);
		return 0;
	}
	/* The first one has all the time, and so has one after a change. */
	if (!vq->poll_us || vq->poll_us > max)
		WRITE_ONCE(vq->poll_us, max);
	vq->stats.polls++;
	return vq->poll_us;
}
EXPORT_SYMBOL_GPL(khx_virtqueue_poll_begin);

/**
 * khx_virtqueue_poll_end - learn from a poll
 * @vq: virtqueue
 * @hit: it found something
 *
 * Context: Under the virtqueue's mutex.
 */
void khx_virtqueue_poll_end(struct khx_virtqueue *vq, bool hit)
{
	u32 max = min_t(u32, READ_ONCE(vq->busyloop_us), KHX_POLL_US_MAX);

	lockdep_assert_held(&vq->mutex);
	if (hit) {
		vq->stats.poll_hits++;
		WRITE_ONCE(vq->poll_us, min(vq->poll_us * 2, max));
	} else {
		WRITE_ONCE(vq->poll_us, max(vq->poll_us / 2,
					    DIV_ROUND_UP(max, KHX_POLL_FLOOR)));
	}
}
EXPORT_SYMBOL_GPL(khx_virtqueue_poll_end);

/**
 * khx_virtqueue_must_yield - does anybody else want its worker?
 * @vq: virtqueue
 *
 * Context: Any.
 * Return: true when polling for @vq holds up another work.
 */
bool khx_virtqueue_must_yield(struct khx_virtqueue *vq)
{
	struct khx_worker *worker;
	bool ret;

	rcu_read_lock();
	worker = rcu_dereference(vq->worker);
	ret = !worker || khx_worker_has_work(worker);
	rcu_read_unlock();
	return ret;
}
EXPORT_SYMBOL_GPL(khx_virtqueue_must_yield);
