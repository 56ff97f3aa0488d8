// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Devices
 *
 * A device is what one open file of a device node is. It belongs to the
 * process that took it with VHOST_SET_OWNER: only that process may set it up,
 * its memory is what the rings lie in, and its cgroups pay. Everything user
 * space asks for is serialized by the device's mutex.
 *
 * Whatever ends a device, close, VHOST_RESET_OWNER or the death of the owner
 * (which closes), goes through khx_device_disown(), in this order:
 *
 * 1. detach: the type stops all virtqueues and drops their backends. From
 *    here on handle() is not called any more; what it had fetched, it has
 *    completed.
 * 2. No kick reaches a virtqueue, so that nothing new is queued.
 * 3. The workers finish what is queued, and end.
 * 4. Rings, eventfds and memory tables are forgotten.
 * 5. The owner's mm is let go.
 */
#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/fs.h>
#include <linux/lockdep.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/rcupdate.h>
#include <linux/sched/mm.h>
#include <linux/seq_file.h>

#include "core/device.h"
#include "core/device-internal.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/pool.h"
#include "core/reaper.h"

/* All virtqueues at once; under the device's mutex, so in any order. */
static void khx_device_lock_vqs(struct khx_device *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->mutex);
	for (i = 0; i < dev->nvqs; i++)
		mutex_lock_nest_lock(&dev->vqs[i]->mutex, &dev->mutex);
}

static void khx_device_unlock_vqs(struct khx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++)
		mutex_unlock(&dev->vqs[i]->mutex);
}

static bool khx_device_is_running(struct khx_device *dev)
{
	unsigned int i;

	lockdep_assert_held(&dev->mutex);
	for (i = 0; i < dev->nvqs; i++)
		if (dev->vqs[i]->backend)
			return true;
	return false;
}

/**
 * khx_device_check_owner - may the current process set the device up?
 * @dev: device
 *
 * Return: 0, or -EPERM when another process is the owner, or none.
 */
int khx_device_check_owner(struct khx_device *dev)
{
	lockdep_assert_held(&dev->mutex);
	if (!dev->mm)
		return khx_device_refuse(dev, -EPERM, "no owner");
	if (dev->mm != current->mm)
		return khx_device_refuse(dev, -EPERM, "another owner");
	return 0;
}

/**
 * khx_device_set_owner - VHOST_SET_OWNER
 * @dev: device
 *
 * Return: 0, -EBUSY when it has an owner, or an error of starting the worker.
 */
int khx_device_set_owner(struct khx_device *dev)
{
	int ret;

	lockdep_assert_held(&dev->mutex);
	if (dev->mm)
		return -EBUSY;

	dev->mm = get_task_mm(current);
	if (!dev->mm)
		return -EINVAL;
	ret = khx_pool_create(dev);
	if (ret) {
		khx_pool_destroy(dev);
		mmput(dev->mm);
		dev->mm = NULL;
		return ret;
	}
	khx_registry_set_owner(dev);
	return 0;
}

static void khx_device_reset_vqs(struct khx_device *dev)
{
	struct khx_virtqueue *vq;
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++) {
		vq = dev->vqs[i];
		mutex_lock(&vq->mutex);
		khx_virtqueue_reset(vq);
		mutex_unlock(&vq->mutex);
	}
}

static void khx_device_stop_kicks(struct khx_device *dev)
{
	struct khx_virtqueue *vq;
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++) {
		vq = dev->vqs[i];
		mutex_lock(&vq->mutex);
		WARN_ON_ONCE(vq->backend);
		khx_poll_stop(&vq->kick_poll);
		mutex_unlock(&vq->mutex);
	}
}

/**
 * khx_device_disown - back to a device just opened
 * @dev: device, owned or not
 *
 * The steps are those of the overview above.
 */
void khx_device_disown(struct khx_device *dev)
{
	lockdep_assert_held(&dev->mutex);

	/* 1. */
	dev->ops->detach(dev);
	/* 2. */
	khx_device_stop_kicks(dev);
	/* 3. */
	khx_pool_destroy(dev);
	/* 4. */
	khx_device_reset_vqs(dev);
	khx_memory_put(dev->memory);
	dev->memory = NULL;
	dev->log_base = NULL;
	if (dev->log_event)
		eventfd_ctx_put(dev->log_event);
	dev->log_event = NULL;
	dev->features = 0;
	/* 5. */
	khx_registry_clear_owner(dev);
	if (dev->mm)
		mmput(dev->mm);
	dev->mm = NULL;
}

/* Could all rings that run log to that bitmap? */
static bool khx_device_log_ok(struct khx_device *dev, void __user *log_base)
{
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++)
		if (dev->vqs[i]->backend &&
		    !khx_virtqueue_log_ok(dev->vqs[i], log_base))
			return false;
	return true;
}

/**
 * khx_device_set_features - VHOST_SET_FEATURES
 * @dev: device
 * @features: what the driver acknowledged
 *
 * While a ring runs only VHOST_F_LOG_ALL may change, as migration needs it.
 *
 * Return: 0, or
 * * -EOPNOTSUPP - a feature that was not offered
 * * -EINVAL     - a packed ring without VIRTIO_F_VERSION_1
 * * -EBUSY      - a ring runs
 * * -EFAULT     - logging, and the log cannot cover the guest's memory
 */
int khx_device_set_features(struct khx_device *dev, u64 features)
{
	u64 changed = features ^ dev->features;
	unsigned int i;

	lockdep_assert_held(&dev->mutex);
	if (features & ~dev->ops->features)
		return -EOPNOTSUPP;
	if (features & BIT_ULL(VIRTIO_F_RING_PACKED) &&
	    !(features & BIT_ULL(VIRTIO_F_VERSION_1)))
		return -EINVAL;
	if (khx_device_is_running(dev)) {
		if (changed & ~BIT_ULL(VHOST_F_LOG_ALL))
			return -EBUSY;
		if (features & BIT_ULL(VHOST_F_LOG_ALL) &&
		    (!dev->log_base ||
		     !khx_log_access_ok(dev->log_base,
					khx_memory_end(dev->memory))))
			return khx_device_refuse(dev, -EFAULT,
						 "no log for all memory");
	}

	khx_device_lock_vqs(dev);
	dev->features = features;
	for (i = 0; i < dev->nvqs; i++)
		khx_virtqueue_set_features(dev->vqs[i], features);
	if (dev->ops->set_features)
		dev->ops->set_features(dev, features);
	khx_device_unlock_vqs(dev);
	return 0;
}

/* Have all rings looked at, after something that may have cured a fault. */
static void khx_device_queue(struct khx_device *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++)
		khx_virtqueue_queue(dev->vqs[i]);
}

/**
 * khx_device_set_memory - VHOST_SET_MEM_TABLE
 * @dev: device, rings may run
 * @table: user space's
 *
 * Return: 0, -EFAULT when a ring logs and the log cannot cover the memory, or
 * the error of khx_memory_create(). The old table stays on errors.
 */
int khx_device_set_memory(struct khx_device *dev,
			  const struct vhost_memory __user *table)
{
	struct khx_memory *memory;
	unsigned int i;

	lockdep_assert_held(&dev->mutex);
	memory = khx_memory_create(table, &dev->refusal);
	if (IS_ERR(memory))
		return PTR_ERR(memory);

	if (khx_device_is_running(dev) &&
	    dev->features & BIT_ULL(VHOST_F_LOG_ALL) &&
	    !khx_log_access_ok(dev->log_base, khx_memory_end(memory))) {
		khx_memory_put(memory);
		return khx_device_refuse(dev, -EFAULT, "no log for all memory");
	}

	khx_device_lock_vqs(dev);
	for (i = 0; i < dev->nvqs; i++)
		khx_virtqueue_set_memory(dev->vqs[i], memory);
	khx_device_unlock_vqs(dev);

	khx_memory_put(dev->memory);
	dev->memory = memory;
	khx_device_queue(dev);
	return 0;
}

/**
 * khx_device_set_log_base - VHOST_SET_LOG_BASE
 * @dev: device, rings may run
 * @base: user address of the bitmap, any alignment
 *
 * Return: 0, or -EFAULT when a running ring could not log there.
 */
int khx_device_set_log_base(struct khx_device *dev, u64 base)
{
	void __user *log_base = (void __user *)(unsigned long)base;
	unsigned int i;

	lockdep_assert_held(&dev->mutex);
	if (base != (unsigned long)base || !khx_device_log_ok(dev, log_base))
		return khx_device_refuse(dev, -EFAULT,
					 "log not for all that runs");

	khx_device_lock_vqs(dev);
	dev->log_base = log_base;
	for (i = 0; i < dev->nvqs; i++)
		dev->vqs[i]->log_base = log_base;
	khx_device_unlock_vqs(dev);
	return 0;
}

/**
 * khx_device_set_log_event - VHOST_SET_LOG_FD
 * @dev: device
 * @event: eventfd to signal when something was logged, or NULL; its reference
 *         passes to the device
 */
void khx_device_set_log_event(struct khx_device *dev,
			      struct eventfd_ctx *event)
{
	unsigned int i;

	khx_device_lock_vqs(dev);
	swap(event, dev->log_event);
	for (i = 0; i < dev->nvqs; i++)
		dev->vqs[i]->log_event = dev->log_event;
	khx_device_unlock_vqs(dev);
	if (event)
		eventfd_ctx_put(event);
}

static void khx_device_show_vq(struct khx_virtqueue *vq, struct seq_file *m)
{
	const struct khx_virtqueue_stats *stats = &vq->stats;
	const char *fault = READ_ONCE(vq->fault);

	seq_printf(m, "queue-%u:\t%s num %u avail %u used %u %s\n", vq->index,
		   READ_ONCE(vq->ops)->name, READ_ONCE(vq->num),
		   READ_ONCE(vq->next_avail), READ_ONCE(vq->next_used),
		   READ_ONCE(vq->backend) ? fault ?: "running" : "stopped");
	seq_printf(m, "queue-%u-stats:\tkicks %llu signals %llu signals_suppressed %llu chains %llu descs %llu bytes %llu batches %llu errors %llu\n",
		   vq->index, stats->kicks, stats->signals,
		   stats->signals_suppressed, stats->chains, stats->descs,
		   stats->bytes, stats->batches, stats->errors);
}

/**
 * khx_device_show - what /proc/PID/fdinfo/FD tells of a device
 * @dev: device
 * @m: where to write
 *
 * An owner can hold every mutex of his device for as long as he likes, by the
 * memory he gives to it. Whoever looks is not to wait for that: values are
 * read once, as they are, as for netlink.
 *
 * Context: Process context.
 */
void khx_device_show(struct khx_device *dev, struct seq_file *m)
{
	struct pid_namespace *ns = proc_pid_ns(file_inode(m->file)->i_sb);
	struct khx_worker *worker;
	unsigned long id;
	unsigned int i;

	seq_printf(m, "khx-type:\t%s\n", dev->ops->name);
	seq_printf(m, "khx-features:\t%#llx\n", READ_ONCE(dev->features));
	rcu_read_lock();
	xa_for_each(&dev->workers, id, worker)
		seq_printf(m, "khx-worker:\t%lu pid %d\n", id,
			   khx_worker_tid(worker, ns));
	rcu_read_unlock();
	for (i = 0; i < dev->nvqs; i++)
		khx_device_show_vq(dev->vqs[i], m);
}
EXPORT_SYMBOL_GPL(khx_device_show);

/**
 * khx_device_init - set up a device that was just opened
 * @dev: zeroed device
 * @ops: its type
 * @vqs: its virtqueues, zeroed; the array stays with the caller
 * @nvqs: how many
 *
 * Context: Process context. May sleep.
 * Return: 0 or a negative errno.
 */
int khx_device_init(struct khx_device *dev, const struct khx_device_ops *ops,
		    struct khx_virtqueue **vqs, unsigned int nvqs)
{
	unsigned int i;
	int ret;

	mutex_init(&dev->mutex);
	xa_init_flags(&dev->workers, XA_FLAGS_ALLOC);
	dev->ops = ops;
	dev->vqs = vqs;
	dev->nvqs = nvqs;

	for (i = 0; i < nvqs; i++) {
		ret = khx_virtqueue_init(vqs[i], dev, i);
		if (ret)
			goto err_vq;
	}
	ret = khx_registry_add(dev);
	if (ret)
		goto err_vq;
	return 0;

err_vq:
	while (i--)
		khx_virtqueue_destroy(vqs[i]);
	mutex_destroy(&dev->mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(khx_device_init);

static void khx_device_end(struct khx_device *dev)
{
	unsigned int i;

	khx_registry_remove(dev);
	mutex_lock(&dev->mutex);
	khx_device_disown(dev);
	mutex_unlock(&dev->mutex);
	khx_registry_end(dev);

	for (i = 0; i < dev->nvqs; i++)
		khx_virtqueue_destroy(dev->vqs[i]);
	xa_destroy(&dev->workers);
	mutex_destroy(&dev->mutex);
	dev->ops->free(dev);
}

static void khx_device_end_work(struct work_struct *work)
{
	struct khx_device *dev = container_of(work, struct khx_device, end);
	struct module *owner = dev->ops->owner;

	khx_device_end(dev);
	module_put(owner);
}

/**
 * khx_device_release - the last file of a device was closed
 * @dev: device; it is gone, at once or soon
 *
 * The owner's close waits until all has ended. If it is somebody else's it ends
 * in the background: the owner can keep it from ending as long as he likes, and
 * he chooses who closes. When that is a kernel thread (of a socket's garbage
 * collection, say), all delayed closes of the host would wait behind it.
 *
 * Context: Process context. May sleep.
 */
void khx_device_release(struct khx_device *dev)
{
	if (!khx_registry_is_others(dev)) {
		khx_device_end(dev);
		return;
	}
	__module_get(dev->ops->owner);
	INIT_WORK(&dev->end, khx_device_end_work);
	khx_reaper_queue(&dev->end);
}
EXPORT_SYMBOL_GPL(khx_device_release);
