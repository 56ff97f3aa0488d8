// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Threads that wait
 *
 * What may block for long is done by threads of the backend's own. They are
 * workers as those that serve virtqueues, and so the owner's: they sit in his
 * cgroups and are charged there for CPU time, memory and I/O. The first is
 * there from the beginning. Who is the last to become busy makes another before
 * he does: once he waits, nobody could who is the owner's. If that fails once,
 * it is not tried again. They stay until the backend goes.
 *
 * Threads are killed with their process, and what they do then may fail only
 * for that. Requests that were accepted are finished nevertheless: whoever
 * finds that the threads are dying has a workqueue do them (backend.c).
 */
#include <linux/bitops.h>
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>

#include "blk/backend.h"
#include "blk/request.h"
#include "blk/threads.h"
#include "core/killed.h"

/*
 * Those who are not idle look by themselves. Returns false when who was to be
 * woken is dead.
 */
static bool khx_blk_threads_wake(struct khx_blk_threads *threads)
{
	struct khx_blk_thread *thread;

	lockdep_assert_held(&threads->lock);
	if (!threads->idle)
		return true;
	thread = &threads->threads[__ffs(threads->idle)];
	/* A dead one stays idle, so that whoever comes next is told, too. */
	if (!khx_worker_queue(thread->worker, &thread->work))
		return false;
	threads->idle &= threads->idle - 1;
	return true;
}

static void khx_blk_thread_work(struct khx_work *work);

/* One more, by whom the owner's mm and cgroups come from. */
static int khx_blk_threads_add(struct khx_blk_threads *threads)
{
	struct khx_blk_thread *thread = &threads->threads[threads->n];

	thread->threads = threads;
	khx_work_init(&thread->work, khx_blk_thread_work);
	thread->worker = khx_worker_create(threads->n, threads->owner);
	return PTR_ERR_OR_ZERO(thread->worker);
}

static void khx_blk_threads_grow(struct khx_blk_threads *threads)
{
	int ret = khx_blk_threads_add(threads);

	rcu_read_lock();
	spin_lock_irq(&threads->lock);
	threads->growing = false;
	if (ret) {
		threads->max = threads->n;
	} else {
		threads->idle |= BIT(threads->n++);
		/* If it is dead we are dying too, and do what waits. */
		khx_blk_threads_wake(threads);
	}
	spin_unlock_irq(&threads->lock);
	rcu_read_unlock();
}

/* What to do next; NULL: it is idle now. */
static struct khx_blk_request *khx_blk_thread_next(struct khx_blk_thread *thread)
{
	struct khx_blk_threads *threads = thread->threads;
	struct khx_blk_request *req;
	bool grow;

	spin_lock_irq(&threads->lock);
	req = list_first_entry_or_null(&threads->waiting,
				       struct khx_blk_request, waiting);
	if (req)
		list_del(&req->waiting);
	else
		threads->idle |= BIT(thread - threads->threads);
	grow = req && !threads->idle && !threads->growing &&
	       threads->n < threads->max;
	if (grow)
		threads->growing = true;
	spin_unlock_irq(&threads->lock);

	if (grow)
		khx_blk_threads_grow(threads);
	return req;
}

static void khx_blk_thread_work(struct khx_work *work)
{
	struct khx_blk_thread *thread = container_of(work,
						     struct khx_blk_thread,
						     work);
	struct khx_blk_request *req;

	while ((req = khx_blk_thread_next(thread))) {
		if (khx_is_killed())
			khx_blk_backend_orphan(req);
		else
			thread->threads->work(req);
		cond_resched();
	}
}

/**
 * khx_blk_threads_queue - have a request done
 * @threads: of its backend
 * @req: request
 *
 * Context: Any.
 * Return: false when nobody will, as the owner's process is dying.
 */
bool khx_blk_threads_queue(struct khx_blk_threads *threads,
			   struct khx_blk_request *req)
{
	unsigned long flags;
	bool queued;

	/* It may be done, and the backend gone, before we are through. */
	rcu_read_lock();
	spin_lock_irqsave(&threads->lock, flags);
	list_add_tail(&req->waiting, &threads->waiting);
	queued = khx_blk_threads_wake(threads);
	if (!queued)
		list_del(&req->waiting);
	spin_unlock_irqrestore(&threads->lock, flags);
	rcu_read_unlock();
	return queued;
}

/**
 * khx_blk_threads_create - start the first one
 * @threads: to be set up
 * @work: how a request is done
 *
 * Context: Owner's task. May sleep.
 * Return: 0 or an error of khx_worker_create().
 */
int khx_blk_threads_create(struct khx_blk_threads *threads,
			   void (*work)(struct khx_blk_request *req))
{
	int ret;

	threads->work = work;
	threads->owner = current->tgid;
	spin_lock_init(&threads->lock);
	INIT_LIST_HEAD(&threads->waiting);
	threads->max = KHX_BLK_THREADS;
	ret = khx_blk_threads_add(threads);
	if (ret)
		return ret;
	threads->idle = BIT(threads->n++);
	return 0;
}

/**
 * khx_blk_threads_destroy - end them all
 * @threads: with nothing to do
 *
 * Context: Process context. May sleep.
 */
void khx_blk_threads_destroy(struct khx_blk_threads *threads)
{
	unsigned int i;

	/* See khx_blk_threads_queue(). */
	synchronize_rcu();
	for (i = 0; i < threads->n; i++)
		khx_worker_destroy(threads->threads[i].worker);
}
