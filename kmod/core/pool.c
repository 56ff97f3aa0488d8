// SPDX-License-Identifier: GPL-2.0
/*
 * The workers of a device, and which of them serves which virtqueue.
 *
 * Every function is called under the device's mutex, but for khx_pool_retire_work(),
 * which ends former workers in the background. A virtqueue may change its worker
 * while it runs: kicks find the new one under RCU, and work that the old one still
 * has is kept apart by the virtqueue's mutex. As a work is queued at most once and
 * each round serves whatever the ring has, nothing is lost, and nothing overtakes.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "core/crew.h"
#include "core/device.h"
#include "core/pool.h"
#include "core/reaper.h"
#include "core/trace.h"

/**
 * struct khx_pool_set - workers while they are exchanged
 * @n: how many
 * @workers: by number
 * @crew: whose they are, NULL: the device's
 * @retire: ends those that were replaced
 * @retired: completed then
 */
struct khx_pool_set {
	unsigned int n;
	struct khx_worker *workers[KHX_WORKERS_MAX];
	struct khx_crew *crew;
	struct work_struct retire;
	struct completion retired;
};

static struct khx_worker *khx_pool_worker(struct khx_device *dev,
					  struct khx_virtqueue *vq)
{
	return rcu_dereference_protected(vq->worker,
					 lockdep_is_held(&dev->mutex));
}

static bool khx_pool_is_used(struct khx_device *dev, struct khx_worker *worker)
{
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++)
		if (khx_pool_worker(dev, dev->vqs[i]) == worker)
			return true;
	return false;
}

/* Have a new worker run where the device's workers may. */
static int khx_pool_place(struct khx_device *dev, struct khx_worker *worker)
{
	return dev->cpus ? khx_worker_set_cpus(worker, dev->cpus) : 0;
}

/**
 * khx_pool_add - start one more worker
 * @dev: device with an owner, the current process
 * @id: its number
 *
 * One for each virtqueue and the first one are all that can be of use; more
 * would be threads that no limit of the owner's counts where they are kernel
 * threads.
 *
 * Return: 0, -ENOSPC when the device has that many, -EBUSY when it shares those
 * of other devices, -EINVAL when no CPU it may run on is online any more, or
 * the error of khx_worker_create().
 */
int khx_pool_add(struct khx_device *dev, u32 *id)
{
	const u32 last = min_t(u32, dev->nvqs, KHX_WORKERS_MAX - 1);
	struct khx_worker *worker;
	int ret;

	lockdep_assert_held(&dev->mutex);
	if (dev->crew)
		return -EBUSY;
	ret = xa_alloc(&dev->workers, id, NULL, XA_LIMIT(0, last),
		       GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret == -EBUSY ? -ENOSPC : ret;

	worker = khx_worker_create(*id, current->tgid);
	if (IS_ERR(worker)) {
		ret = PTR_ERR(worker);
		goto err_create;
	}
	ret = khx_pool_place(dev, worker);
	if (ret)
		goto err_place;
	/* The slot is reserved: this cannot fail. */
	xa_store(&dev->workers, *id, worker, GFP_KERNEL);
	return 0;

err_place:
	khx_worker_destroy(worker);
err_create:
	xa_erase(&dev->workers, *id);
	return ret;
}

/**
 * khx_pool_remove - end a worker that serves no virtqueue
 * @dev: device
 * @id: its number
 *
 * Return: 0, -ENODEV when there is none of that number, -EBUSY when it serves
 * a virtqueue, or other devices.
 */
int khx_pool_remove(struct khx_device *dev, u32 id)
{
	struct khx_worker *worker;

	lockdep_assert_held(&dev->mutex);
	worker = xa_load(&dev->workers, id);
	if (!worker)
		return -ENODEV;
	if (dev->crew)
		return khx_device_refuse(dev, -EBUSY, "shared worker");
	if (khx_pool_is_used(dev, worker))
		return khx_device_refuse(dev, -EBUSY, "worker in use");

	xa_erase(&dev->workers, id);
	/* Kicks that found it before it was replaced. */
	synchronize_rcu();
	khx_worker_destroy(worker);
	return 0;
}

/**
 * khx_pool_attach - let another worker serve a virtqueue
 * @dev: device
 * @vq: virtqueue, running or not
 * @id: number of the worker
 *
 * Return: 0, -ENODEV when there is no worker of that number, -EBUSY when they
 * are shared with other devices.
 */
int khx_pool_attach(struct khx_device *dev, struct khx_virtqueue *vq, u32 id)
{
	struct khx_worker *worker;

	lockdep_assert_held(&dev->mutex);
	if (dev->crew)
		return -EBUSY;
	worker = xa_load(&dev->workers, id);
	if (!worker)
		return -ENODEV;
	rcu_assign_pointer(vq->worker, worker);
	WRITE_ONCE(dev->mode, KHX_MODE_CUSTOM);
	return 0;
}

/* The number of the worker that serves a virtqueue. */
u32 khx_pool_attached(struct khx_device *dev, struct khx_virtqueue *vq)
{
	lockdep_assert_held(&dev->mutex);
	return khx_worker_id(khx_pool_worker(dev, vq));
}

/**
 * khx_pool_create - start the worker every device has from the beginning
 * @dev: device that just got its owner, the current process
 *
 * It serves all virtqueues until user space says otherwise.
 *
 * Return: 0 or the error of khx_pool_add().
 */
int khx_pool_create(struct khx_device *dev)
{
	unsigned int i;
	u32 id;
	int ret;

	ret = khx_pool_add(dev, &id);
	if (ret)
		return ret;
	for (i = 0; i < dev->nvqs; i++)
		rcu_assign_pointer(dev->vqs[i]->worker,
				   xa_load(&dev->workers, id));
	return 0;
}

/* What the device has, without taking it away. */
static void khx_pool_current(struct khx_device *dev, struct khx_pool_set *set)
{
	struct khx_worker *worker;
	unsigned long id;

	set->n = 0;
	set->crew = dev->crew;
	xa_for_each(&dev->workers, id, worker)
		set->workers[set->n++] = worker;
}

/* A grace period after nobody can find them any more. */
static void khx_pool_release(struct khx_pool_set *set)
{
	unsigned int i;

	for (i = 0; i < set->n; i++) {
		/* Others go on with a shared one; we only finish our works. */
		if (set->crew)
			khx_worker_flush(set->workers[i]);
		else
			khx_worker_destroy(set->workers[i]);
	}
	if (set->crew)
		khx_crew_leave(set->crew);
}

static void khx_pool_retire_work(struct work_struct *work)
{
	struct khx_pool_set *set = container_of(work, struct khx_pool_set,
						retire);

	khx_pool_release(set);
	complete_all(&set->retired);
}

/*
 * End workers that nobody can find any more, without waiting for them. They do
 * when they have done what they were told to, which is a matter of
 * microseconds, unless their owner holds them up: his memory may be backed by
 * anything.
 */
static void khx_pool_retire(struct khx_device *dev, struct khx_pool_set *set)
{
	INIT_WORK(&set->retire, khx_pool_retire_work);
	init_completion(&set->retired);
	dev->retired = set;
	khx_reaper_queue(&set->retire);
}

/* Wait until those have ended. */
static void khx_pool_reap(struct khx_device *dev)
{
	if (!dev->retired)
		return;
	/* Not begun: other owners may keep all that the reaper has busy. */
	if (cancel_work_sync(&dev->retired->retire))
		khx_pool_release(dev->retired);
	kfree(dev->retired);
	dev->retired = NULL;
}

/* The same for somebody who has better things to do: 0 when they have. */
static int khx_pool_try_reap(struct khx_device *dev, unsigned long deadline)
{
	long left;

	if (!dev->retired)
		return 0;
	left = khx_wait_until(&dev->retired->retired, deadline);
	if (left <= 0)
		return left ? -EINTR : -ETIMEDOUT;
	khx_pool_reap(dev);
	return 0;
}

static int khx_pool_spawn(struct khx_worker *from, unsigned int nworkers,
			  unsigned long deadline, struct khx_pool_set *set)
{
	struct khx_worker *worker;

	while (set->n < nworkers) {
		worker = khx_worker_spawn(from, set->n, deadline);
		if (IS_ERR(worker))
			return PTR_ERR(worker);
		set->workers[set->n++] = worker;
	}
	return 0;
}

/* The first device that shares brings the workers. */
static int khx_pool_join(struct khx_device *dev, struct khx_worker *from,
			 unsigned int nworkers, unsigned long deadline,
			 struct khx_pool_set *set)
{
	struct khx_crew *crew = khx_crew_join(dev->mm, nworkers, dev->crew);
	int ret;

	if (IS_ERR(crew))
		return PTR_ERR(crew);
	if (!crew) {
		ret = khx_pool_spawn(from, nworkers ?: 1, deadline, set);
		if (ret)
			return ret;
		crew = khx_crew_create(dev->mm, set->workers, set->n);
		if (!crew)
			return -ENOMEM;
	}
	set->crew = crew;
	set->n = crew->nworkers;
	memcpy(set->workers, crew->workers, set->n * sizeof(set->workers[0]));
	return 0;
}

/* Workers as a mode wants them, made by one that there is. */
static int khx_pool_hire(struct khx_device *dev, enum khx_mode mode,
			 unsigned int nworkers, unsigned long deadline,
			 struct khx_worker *from, struct khx_pool_set *set)
{
	switch (mode) {
	case KHX_MODE_SHARED:
		return khx_pool_join(dev, from, nworkers, deadline, set);
	case KHX_MODE_QUEUE:
		return khx_pool_spawn(from, min_t(unsigned int, dev->nvqs,
						  KHX_WORKERS_MAX),
				      deadline, set);
	default:
		return khx_pool_spawn(from, 1, deadline, set);
	}
}

/* Room for numbers below @n, so that the exchange cannot fail half-way. */
static int khx_pool_reserve(struct khx_device *dev, unsigned int n)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < n && !ret; i++)
		ret = xa_reserve(&dev->workers, i, GFP_KERNEL);
	return ret;
}

static void khx_pool_unreserve(struct khx_device *dev)
{
	unsigned int i;

	for (i = 0; i < KHX_WORKERS_MAX; i++)
		xa_release(&dev->workers, i);
}

/*
 * The exchange itself. Devices that share workers begin with different ones,
 * so that the first queues of all do not end up with the first worker.
 */
static void khx_pool_publish(struct khx_device *dev, enum khx_mode mode,
			     const struct khx_pool_set *set)
{
	unsigned int i, shift = set->crew ? dev->reg.id * dev->nvqs : 0;

	for (i = 0; i < set->n; i++)
		xa_store(&dev->workers, i, set->workers[i], GFP_KERNEL);
	for (; i < KHX_WORKERS_MAX; i++)
		xa_erase(&dev->workers, i);
	for (i = 0; i < dev->nvqs; i++)
		rcu_assign_pointer(dev->vqs[i]->worker,
				   set->workers[(shift + i) % set->n]);
	dev->crew = set->crew;
	WRITE_ONCE(dev->mode, mode);
	trace_khx_worker_switch(dev, set->n);
}

static int khx_pool_place_set(struct khx_device *dev,
			      const struct khx_pool_set *set)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < set->n && !ret; i++)
		ret = khx_pool_place(dev, set->workers[i]);
	return ret;
}

/* All that can fail; what is in @set then has to go again. */
static int khx_pool_prepare(struct khx_device *dev, enum khx_mode mode,
			    unsigned int nworkers, unsigned long deadline,
			    struct khx_worker *from, struct khx_pool_set *set)
{
	int ret;

	ret = khx_pool_hire(dev, mode, nworkers, deadline, from, set);
	if (!ret)
		ret = khx_pool_place_set(dev, set);
	if (!ret)
		ret = khx_pool_reserve(dev, set->n);
	/* Last, as others can join it from here on. */
	if (!ret && set->crew)
		ret = khx_crew_publish(set->crew, dev->crew);
	if (ret)
		khx_pool_unreserve(dev);
	return ret;
}

static int khx_pool_exchange(struct khx_device *dev, enum khx_mode mode,
			     unsigned int nworkers, unsigned long deadline)
{
	struct khx_pool_set *old, *set;
	int ret = -ENOMEM;

	old = kzalloc(sizeof(*old), GFP_KERNEL);
	set = kzalloc(sizeof(*set), GFP_KERNEL);
	if (old && set)
		ret = khx_pool_try_reap(dev, deadline);
	if (ret) {
		kfree(set);
		kfree(old);
		return ret;
	}

	khx_pool_current(dev, old);
	ret = khx_pool_prepare(dev, mode, nworkers, deadline, old->workers[0],
			       set);
	if (!ret) {
		/* 1. Nobody finds an old worker any more. */
		khx_pool_publish(dev, mode, set);
		/* 2. Who found one has queued his work. */
		synchronize_rcu();
		swap(old, set);
	}
	/* 3. That work is done, and then the threads are gone. */
	khx_pool_retire(dev, set);
	kfree(old);
	return ret;
}

/**
 * khx_pool_set_mode - have a device served in another way
 * @dev: device with an owner; its virtqueues may run
 * @mode: not KHX_MODE_CUSTOM
 * @nworkers: for KHX_MODE_SHARED, 0: whatever there is
 * @deadline: in jiffies, for all that the owner could hold up
 *
 * Return: 0; or, with nothing changed, -ETIMEDOUT when workers do not come or,
 * replaced before, do not end, -EINTR when the current process is killed, -EBUSY
 * when other devices share another number of workers, or the errors of
 * khx_worker_spawn().
 */
int khx_pool_set_mode(struct khx_device *dev, enum khx_mode mode,
		      unsigned int nworkers, unsigned long deadline)
{
	int ret;

	lockdep_assert_held(&dev->mutex);
	if (mode == dev->mode && (mode != KHX_MODE_SHARED || !nworkers ||
				  nworkers == dev->crew->nworkers))
		return 0;
	/* Another device was faster: its crew is there next time. */
	do {
		ret = khx_pool_exchange(dev, mode, nworkers, deadline);
	} while (ret == -EEXIST);
	return ret;
}

/**
 * khx_pool_set_cpus - where the workers of a device may run, also later ones
 * @dev: device
 * @cpus: some of them online a moment ago; kept by the device, which frees it
 *
 * If they have just gone, the workers stay where they are: the kernel would
 * have to let them run elsewhere, too, had they gone a moment later.
 */
void khx_pool_set_cpus(struct khx_device *dev, const struct cpumask *cpus)
{
	struct khx_worker *worker;
	unsigned long id;

	lockdep_assert_held(&dev->mutex);
	kfree(dev->cpus);
	dev->cpus = cpus;
	xa_for_each(&dev->workers, id, worker)
		khx_worker_set_cpus(worker, cpus);
}

/**
 * khx_pool_destroy - end all workers
 * @dev: device whose virtqueues are stopped and no longer polled
 */
void khx_pool_destroy(struct khx_device *dev)
{
	struct khx_pool_set set;
	unsigned int i;

	lockdep_assert_held(&dev->mutex);
	khx_pool_current(dev, &set);
	/* 1. Nobody finds a worker any more, to queue a work or to show it. */
	for (i = 0; i < dev->nvqs; i++)
		RCU_INIT_POINTER(dev->vqs[i]->worker, NULL);
	for (i = 0; i < KHX_WORKERS_MAX; i++)
		xa_erase(&dev->workers, i);
	/* 2. Who found one has queued his work. */
	synchronize_rcu();
	/* 3. That work is done, and the threads gone, also the former ones. */
	khx_pool_release(&set);
	khx_pool_reap(dev);

	dev->crew = NULL;
	kfree(dev->cpus);
	dev->cpus = NULL;
	WRITE_ONCE(dev->mode, KHX_MODE_DEVICE);
}
