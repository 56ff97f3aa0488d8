// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Requests of a disk, from ring to backend and back
 *
 * The worker fetches a batch of chains, makes a request of each (request.c),
 * pins the guest's pages (window.c) and hands the request to the backend.
 * That completes it in any context and order: khx_blk_request_done() only
 * puts it on the queue's lock-free list and, if it is the first there, queues
 * the worker. Everything else about a completion is done by the worker, who
 * may sleep and sees the owner's memory: it lets go of the pages, writes the
 * status and publishes all that is done with one signal. While the worker
 * submits, it is not queued at all but looks by itself (@polling). What is
 * complete before submitting returns, from a page cache or a fast device, it
 * has completed itself, under the mutex: that goes to a list of its own
 * (@done_here), which takes no atomics.
 *
 * Who holds what: a request in flight has a copy of its chain and pins on the
 * pages of its window, nothing else. The backend, and with it the file, stays
 * until no queue runs; the pool that requests come from stays until the queue
 * is drained. When the owner replaces the memory table, segments of requests
 * in flight are translated again before they are next used, so that the old
 * mappings may go as soon as VHOST_SET_MEM_TABLE has returned; pinned pages
 * do not care.
 *
 * Stopping a queue, in this order, under the device's mutex:
 *
 * 1. khx_virtqueue_stop() under the virtqueue's mutex: no more is fetched.
 * 2. Wait until nothing is in flight: the backend completes what it has, the
 *    worker publishes it and counts down. It needs the virtqueue's mutex for
 *    that and never the device's, so this wait ends if the storage answers.
 * 3. Take the virtqueue's mutex again, which the worker may not have let go of.
 *    Free the pool.
 *
 * The last that a completion touches are the queue and the backend, under RCU:
 * who frees them has passed a grace period before. If the worker died with its
 * process, as newer kernels have it, the backend's workqueue takes its place in
 * step 2, in the owner's mm, which the device still holds; and also if it is
 * being killed, as others can still reach memory that it cannot: data, status, ring
 * and dirty log. Requests are handed over as they are: done by the backend (@done), or
 * finished and not published (@finished), which comes before anything else that is
 * published or fetched. No workqueue of the system: the owner's memory can keep it as
 * long as he likes. It is empty before the backend goes, and so before the queue does.
 *
 * Locks: the device's mutex, the virtqueue's. A completion takes none.
 */
#include <linux/blkdev.h>
#include <linux/kthread.h>
#include <linux/lockdep.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/timekeeping.h>

#include "blk/backend.h"
#include "blk/blk.h"
#include "blk/pool.h"
#include "core/killed.h"
#include "core/memory.h"

/*
 * What one run may take before the queue goes behind the other work of its
 * worker: requests, KiB (pinning a MiB costs as much as dozens of small
 * requests), and descriptors, for drivers that cut requests into slivers.
 */
#define KHX_BLK_WEIGHT_REQUESTS	256
#define KHX_BLK_WEIGHT_KIB	SZ_8K
#define KHX_BLK_WEIGHT_DESCS	8192

/* Have somebody go on who is not killed: see reap_work. */
static void khx_blk_queue_hand_over(struct khx_blk_queue *queue)
{
	queue_work(queue->blk->backend->wq, &queue->reap_work);
}

/* So many requests are published, or never will be. */
static void khx_blk_queue_leave(struct khx_blk_queue *queue, unsigned int n)
{
	WRITE_ONCE(queue->in_flight, queue->in_flight - n);
	/* At depth 1 that is each time, and hardly ever does anybody wait. */
	if (!queue->in_flight && wq_has_sleeper(&queue->drained))
		wake_up_all(&queue->drained);
}

/*
 * Publish what is finished. If we are killed it may stay, for whoever looks after the
 * queue next, and before that it is no longer served.
 */
static void khx_blk_queue_flush(struct khx_blk_queue *queue)
{
	if (!queue->nr_finished)
		return;
	if (unlikely(khx_virtqueue_try_complete(&queue->vq, queue->finished,
						queue->nr_finished))) {
		khx_blk_queue_hand_over(queue);
		return;
	}
	khx_blk_queue_leave(queue, queue->nr_finished);
	queue->nr_finished = 0;
}

/**
 * khx_blk_queue_finish - a chain is done, its status written
 * @queue: queue
 * @chain: copied; its segments must stay until the batch is published, which
 *         is before the next fetch and before a request is taken from the pool
 *
 * Return: 0, or -EINTR when we are killed and there is no room for one more.
 */
int khx_blk_queue_finish(struct khx_blk_queue *queue,
			 const struct khx_chain *chain)
{
	lockdep_assert_held(&queue->vq.mutex);
	if (unlikely(queue->nr_finished == KHX_BATCH)) {
		khx_blk_queue_flush(queue);
		if (queue->nr_finished)
			return -EINTR;
	}
	queue->finished[queue->nr_finished++] = *chain;
	return 0;
}

/**
 * khx_blk_queue_retire - a request is done with, whatever became of its chain
 * @queue: queue
 * @req: request
 */
void khx_blk_queue_retire(struct khx_blk_queue *queue,
			  struct khx_blk_request *req)
{
	lockdep_assert_held(&queue->vq.mutex);
	queue->bytes_in_flight -= req->bytes;
	khx_blk_pool_put(queue->pool, req);
}

/**
 * khx_blk_queue_lose - and there is nothing to publish of it
 * @queue: queue
 * @req: request
 */
void khx_blk_queue_lose(struct khx_blk_queue *queue,
			struct khx_blk_request *req)
{
	khx_blk_queue_retire(queue, req);
	khx_blk_queue_leave(queue, 1);
}

/*
 * The user address of a guest-physical range. What the guest no longer has
 * gets one that no access succeeds at, wherever it begins in the segment:
 * segments are shorter than 4 GiB, and there is no user memory behind
 * TASK_SIZE_MAX. NULL would not do: with an offset, it is the owner's memory.
 */
static void __user *khx_blk_queue_translate(struct khx_blk_queue *queue,
					    u64 gpa, size_t len)
{
	const struct khx_memory_region *region;

	region = khx_memory_find(queue->memory, gpa);
	if (!region || !khx_memory_region_holds(region, gpa, len))
		return (void __user *)TASK_SIZE_MAX;
	return khx_memory_region_hva(region, gpa);
}

static void khx_blk_queue_translate_request(struct khx_blk_queue *queue,
					    struct khx_blk_request *req)
{
	struct iovec *iov = req->large ? req->large->iov : req->inline_iov;
	unsigned int i;

	for (i = 0; i < req->chain.nr_out + req->chain.nr_in; i++)
		iov[i].iov_base = khx_blk_queue_translate(queue,
							  req->chain.gpa[i],
							  iov[i].iov_len);
}

/* Before any segment of a request in flight is used: see the overview. */
static void khx_blk_queue_sync_memory(struct khx_blk_queue *queue)
{
	unsigned int i;

	if (likely(queue->memory == queue->vq.memory))
		return;
	khx_memory_put(queue->memory);
	queue->memory = khx_memory_get(queue->vq.memory);
	for (i = 0; i < queue->pool->depth; i++)
		khx_blk_queue_translate_request(queue,
						&queue->pool->requests[i]);
}

/**
 * khx_blk_queue_redo - have somebody go on with a request who is not killed
 * @queue: queue
 * @req: in flight, and not with the backend
 */
void khx_blk_queue_redo(struct khx_blk_queue *queue,
			struct khx_blk_request *req)
{
	lockdep_assert_held(&queue->vq.mutex);
	llist_add(&req->done, &queue->done);
	khx_blk_queue_hand_over(queue);
}

/* Is there anything to go on with? */
static bool khx_blk_queue_has_done(const struct khx_blk_queue *queue)
{
	return !llist_empty(&queue->done_here) || !llist_empty(&queue->done) ||
	       queue->nr_finished;
}

/* Go on with a list of requests, the last one first in it. */
static void khx_blk_queue_step(struct llist_node *list)
{
	struct khx_blk_request *req, *next;

	if (list && list->next)
		list = llist_reverse_order(list);
	llist_for_each_entry_safe(req, next, list, done)
		khx_blk_request_step(req);
}

/* Go on with all that the backend has completed, and others have left to us. */
static void khx_blk_queue_reap(struct khx_blk_queue *queue)
{
	struct llist_node *here, *list = NULL;

	lockdep_assert_held(&queue->vq.mutex);
	if (!khx_blk_queue_has_done(queue))
		return;
	if (unlikely(khx_hands_over())) {
		khx_blk_queue_hand_over(queue);
		return;
	}
	if (unlikely(queue->nr_finished)) {
		khx_blk_queue_flush(queue);
		if (queue->nr_finished)
			return;
	}

	khx_blk_queue_sync_memory(queue);
	queue->now_ns = ktime_get_ns();
	here = __llist_del_all(&queue->done_here);
	if (!llist_empty(&queue->done))
		list = llist_del_all(&queue->done);
	khx_blk_queue_step(here);
	khx_blk_queue_step(list);
	khx_blk_queue_flush(queue);

	if (unlikely(queue->blocked)) {
		queue->blocked = false;
		khx_virtqueue_queue(&queue->vq);
	}
}

static void khx_blk_queue_done_work(struct khx_work *work)
{
	struct khx_blk_queue *queue = container_of(work, struct khx_blk_queue,
						   done_work);

	mutex_lock(&queue->vq.mutex);
	khx_blk_queue_reap(queue);
	mutex_unlock(&queue->vq.mutex);
}

/*
 * The same without a worker. Whoever queued us may be so late that all is done;
 * but what is left stays in flight as long as we have the mutex, and
 * the device does not let go of its mm before nothing is.
 */
static void khx_blk_queue_reap_work(struct work_struct *work)
{
	struct khx_blk_queue *queue = container_of(work, struct khx_blk_queue,
						   reap_work);
	struct mem_cgroup *old;
	struct mm_struct *mm;

	mutex_lock(&queue->vq.mutex);
	if (khx_blk_queue_has_done(queue)) {
		mm = queue->vq.dev->mm;
		kthread_use_mm(mm);
		old = khx_blk_backend_charge(queue->blk->backend);
		khx_blk_queue_reap(queue);
		khx_blk_backend_uncharge(old);
		kthread_unuse_mm(mm);
	}
	mutex_unlock(&queue->vq.mutex);
}

/**
 * khx_blk_request_done - a backend is done with a request
 * @req: request, not to be touched any more
 * @error: 0 or a negative errno
 *
 * Context: Any.
 */
void khx_blk_request_done(struct khx_blk_request *req, int error)
{
	struct khx_blk_queue *queue = req->queue;

	req->error = error;
	/* The worker, from within submitting. */
	if (READ_ONCE(queue->polling) == current && in_task()) {
		lockdep_assert_held(&queue->vq.mutex);
		__llist_add(&req->done, &queue->done_here);
		return;
	}
	/* From here on others may finish it, and wait only for this section. */
	rcu_read_lock();
	/* A full barrier: see the end of khx_blk_queue_handle(). */
	if (llist_add(&req->done, &queue->done) &&
	    !READ_ONCE(queue->polling) &&
	    !khx_virtqueue_queue_work(&queue->vq, &queue->done_work))
		khx_blk_queue_hand_over(queue);
	rcu_read_unlock();
}

/* Make requests of a batch. Returns false when the queue cannot go on now. */
static bool khx_blk_queue_start_batch(struct khx_blk_queue *queue,
				      unsigned int n)
{
	struct blk_plug plug;
	unsigned int i;
	int ret = 0;

	khx_blk_queue_sync_memory(queue);
	queue->now_ns = ktime_get_ns();
	queue->sectors = khx_blk_config_sectors(queue->blk);

	/* What comes alone has nothing to wait for. */
	if (n > 1)
		blk_start_plug(&plug);
	for (i = 0; i < n && !ret; i++)
		ret = khx_blk_request_start(queue, &queue->fetched[i]);
	if (n > 1)
		blk_finish_plug(&plug);

	khx_blk_queue_flush(queue);
	if (!ret)
		return true;

	/* Not this one either. */
	khx_virtqueue_rewind(&queue->vq, &queue->fetched[i - 1], n - i + 1);
	if (ret == -EAGAIN) {
		queue->blocked = true;
		queue->stats.waited++;
	}
	return false;
}

static void khx_blk_queue_poll(struct khx_blk_queue *queue)
{
	struct khx_virtqueue *vq = &queue->vq;
	u64 descs_end = vq->stats.descs +
			khx_virtqueue_share(vq, KHX_BLK_WEIGHT_DESCS);
	u64 bytes_end = vq->stats.bytes +
			khx_virtqueue_share(vq, KHX_BLK_WEIGHT_KIB) * 1024ull;
	int weight = khx_virtqueue_share(vq, KHX_BLK_WEIGHT_REQUESTS), n, i;

	khx_virtqueue_disable_notify(vq);
	for (;;) {
		khx_blk_queue_reap(queue);
		/* We are killed, and others have that to do first. */
		if (unlikely(queue->nr_finished))
			return;
		/*
		 * Whoever waited for that on this CPU may have more for us by
		 * now, and it takes no kick.
		 */
		cond_resched();
		if (weight <= 0 || vq->stats.descs >= descs_end ||
		    vq->stats.bytes >= bytes_end) {
			khx_virtqueue_queue(vq);
			return;
		}
		n = khx_virtqueue_fetch(vq, queue->fetched, KHX_BATCH);
		/* An empty look costs too: the driver may play with us. */
		weight -= max(n, 1);
		/* And the log of what no data comes to, as of bad requests. */
		for (i = 0; i < n; i++)
			weight -= queue->fetched[i].len_in / KHX_BLK_SIZE_MAX;
		if (n > 0) {
			if (!khx_blk_queue_start_batch(queue, n))
				return;
			continue;
		}
		if (n < 0 || !khx_virtqueue_enable_notify(vq))
			return;
		khx_virtqueue_disable_notify(vq);
	}
}

/**
 * khx_blk_queue_handle - serve a virtqueue
 * @vq: virtqueue, running
 *
 * Context: Its worker, under its mutex.
 */
void khx_blk_queue_handle(struct khx_virtqueue *vq)
{
	struct khx_blk_queue *queue = khx_blk_queue_of(vq);

	if (unlikely(queue->blocked))
		return;
	/* Pinning would fail, which is not for the driver to know. */
	if (khx_is_killed())
		return;
	WRITE_ONCE(queue->polling, current);
	khx_blk_queue_poll(queue);
	WRITE_ONCE(queue->polling, NULL);
	/* Who still saw us polling has added before: see the list after it. */
	smp_mb();
	khx_blk_queue_reap(queue);
}

/**
 * khx_blk_queue_set_cache - the cache mode may have changed
 * @queue: queue
 *
 * Context: Under the device's and the virtqueue's mutex.
 */
void khx_blk_queue_set_cache(struct khx_blk_queue *queue)
{
	lockdep_assert_held(&queue->vq.mutex);
	/* Who cannot ask for a flush has to do without a cache. */
	queue->writeback = queue->blk->wce &&
			   queue->vq.features & BIT_ULL(VIRTIO_BLK_F_FLUSH);
}

static int khx_blk_queue_start_locked(struct khx_blk_queue *queue)
{
	struct khx_virtqueue *vq = &queue->vq;
	struct khx_blk_pool *pool;
	int ret;

	lockdep_assert_held(&vq->mutex);
	if (!vq->num)
		return khx_device_refuse(vq->dev, -EFAULT, "no ring size");
	pool = khx_blk_pool_create(queue, min_t(unsigned int, vq->num,
						KHX_BLK_DEPTH));
	if (!pool)
		return -ENOMEM;

	ret = khx_virtqueue_start(vq, queue->blk->backend);
	if (ret) {
		khx_blk_pool_destroy(pool);
		return ret;
	}
	queue->pool = pool;
	queue->memory = khx_memory_get(vq->memory);
	queue->blocked = false;
	khx_blk_queue_set_cache(queue);
	return 0;
}

/**
 * khx_blk_queue_start - begin to serve a virtqueue
 * @queue: queue; nothing happens if it runs
 *
 * Context: Owner's task, under the device's mutex.
 * Return: 0, -ENOMEM, or the error of khx_virtqueue_start().
 */
int khx_blk_queue_start(struct khx_blk_queue *queue)
{
	struct khx_virtqueue *vq = &queue->vq;
	int ret = 0;

	lockdep_assert_held(&vq->dev->mutex);
	mutex_lock(&vq->mutex);
	if (khx_virtqueue_is_running(vq))
		goto out;
	if (queue->pool) {
		/* It broke: a fresh start. */
		mutex_unlock(&vq->mutex);
		khx_blk_queue_stop(queue);
		mutex_lock(&vq->mutex);
	}
	ret = khx_blk_queue_start_locked(queue);
out:
	mutex_unlock(&vq->mutex);
	return ret;
}

/**
 * khx_blk_queue_stop - stop to serve a virtqueue, and drain it
 * @queue: queue, running or not
 *
 * The steps are those of the overview above.
 *
 * Context: Under the device's mutex. Sleeps until the storage has answered.
 */
void khx_blk_queue_stop(struct khx_blk_queue *queue)
{
	struct khx_virtqueue *vq = &queue->vq;

	lockdep_assert_held(&vq->dev->mutex);
	/* 1. */
	mutex_lock(&vq->mutex);
	khx_virtqueue_stop(vq);
	mutex_unlock(&vq->mutex);
	/* 2. */
	wait_event_idle(queue->drained, !READ_ONCE(queue->in_flight));
	/* 3. */
	mutex_lock(&vq->mutex);
	if (queue->pool) {
		khx_blk_pool_destroy(queue->pool);
		khx_blk_bases_save(queue);
	}
	queue->pool = NULL;
	khx_memory_put(queue->memory);
	queue->memory = NULL;
	mutex_unlock(&vq->mutex);
}

/* A queue of a device that was just opened. */
void khx_blk_queue_init(struct khx_blk_queue *queue, struct khx_blk *blk)
{
	queue->blk = blk;
	init_llist_head(&queue->done_here);
	init_llist_head(&queue->done);
	khx_work_init(&queue->done_work, khx_blk_queue_done_work);
	INIT_WORK(&queue->reap_work, khx_blk_queue_reap_work);
	init_waitqueue_head(&queue->drained);
}
