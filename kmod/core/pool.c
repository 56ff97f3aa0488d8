// SPDX-License-Identifier: GPL-2.0
/*
 * The workers of a device, and which of them serves which virtqueue.
 *
 * Every function is called by the owner under the device's mutex. A virtqueue
 * may change its worker while it runs: kicks find the new one under RCU, and
 * work that the old one still has is kept apart by the virtqueue's mutex.
 */
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/rcupdate.h>

#include "core/device.h"
#include "core/pool.h"

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

/**
 * khx_pool_add - start one more worker
 * @dev: device with an owner, the current process
 * @id: its number
 *
 * Return: 0, -ENOSPC when the device has KHX_DEVICE_WORKERS_MAX, or the error
 * of khx_worker_create().
 */
int khx_pool_add(struct khx_device *dev, u32 *id)
{
	struct khx_worker *worker;
	int ret;

	lockdep_assert_held(&dev->mutex);
	ret = xa_alloc(&dev->workers, id, NULL,
		       XA_LIMIT(0, KHX_DEVICE_WORKERS_MAX - 1),
		       GFP_KERNEL_ACCOUNT);
	if (ret)
		return ret == -EBUSY ? -ENOSPC : ret;

	worker = khx_worker_create(*id);
	if (IS_ERR(worker)) {
		xa_erase(&dev->workers, *id);
		return PTR_ERR(worker);
	}
	/* The slot is reserved: this cannot fail. */
	xa_store(&dev->workers, *id, worker, GFP_KERNEL);
	return 0;
}

/**
 * khx_pool_remove - end a worker that serves no virtqueue
 * @dev: device
 * @id: its number
 *
 * Return: 0, -ENODEV when there is none of that number, -EBUSY when it serves
 * a virtqueue.
 */
int khx_pool_remove(struct khx_device *dev, u32 id)
{
	struct khx_worker *worker;

	lockdep_assert_held(&dev->mutex);
	worker = xa_load(&dev->workers, id);
	if (!worker)
		return -ENODEV;
	if (khx_pool_is_used(dev, worker))
		return -EBUSY;

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
 * Return: 0, or -ENODEV when there is no worker of that number.
 */
int khx_pool_attach(struct khx_device *dev, struct khx_virtqueue *vq, u32 id)
{
	struct khx_worker *worker;

	lockdep_assert_held(&dev->mutex);
	worker = xa_load(&dev->workers, id);
	if (!worker)
		return -ENODEV;

	mutex_lock(&vq->mutex);
	rcu_assign_pointer(vq->worker, worker);
	mutex_unlock(&vq->mutex);
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
		khx_pool_attach(dev, dev->vqs[i], id);
	return 0;
}

/**
 * khx_pool_destroy - end all workers
 * @dev: device whose virtqueues are stopped and no longer polled
 */
void khx_pool_destroy(struct khx_device *dev)
{
	struct khx_worker *worker;
	unsigned long id;
	unsigned int i;

	lockdep_assert_held(&dev->mutex);
	/* 1. Nobody finds a worker any more. */
	for (i = 0; i < dev->nvqs; i++) {
		mutex_lock(&dev->vqs[i]->mutex);
		RCU_INIT_POINTER(dev->vqs[i]->worker, NULL);
		mutex_unlock(&dev->vqs[i]->mutex);
	}
	/* 2. Who found one has queued his work. */
	synchronize_rcu();
	/* 3. That work is done, and the thread gone. */
	xa_for_each(&dev->workers, id, worker) {
		xa_erase(&dev->workers, id);
		khx_worker_destroy(worker);
	}
}
