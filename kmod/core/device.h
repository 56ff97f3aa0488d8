/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_DEVICE_H
#define KHX_CORE_DEVICE_H

#include <linux/khx.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <uapi/linux/vhost.h>
#include <uapi/linux/virtio_config.h>

#include "core/registry.h"
#include "core/virtqueue.h"

struct cpumask;
struct khx_crew;
struct khx_pool_set;
struct module;
struct seq_file;

/*
 * What every device type offers because the core does it. VIRTIO_F_ANY_LAYOUT
 * is not among them: vhost gives its bit another meaning for net.
 */
#define KHX_DEVICE_FEATURES					\
	(BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) |			\
	 BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |			\
	 BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |			\
	 BIT_ULL(VIRTIO_F_VERSION_1) |				\
	 BIT_ULL(VIRTIO_F_RING_PACKED) |			\
	 BIT_ULL(VHOST_F_LOG_ALL))

/**
 * struct khx_op_stats - what a virtqueue did about one kind of request
 * @requests: completed, well or not
 * @bytes: read or written
 * @errors: requests that failed
 * @latency: requests by log2 of the nanoseconds they took, the last bucket
 *           also those that took longer
 *
 * As struct khx_virtqueue_stats, written under the virtqueue's mutex.
 */
struct khx_op_stats {
	u64 requests;
	u64 bytes;
	u64 errors;
	u64 latency[KHX_LATENCY_BUCKETS];
};

/**
 * struct khx_device_ops - a type of device
 * @owner: the type's module
 * @name: as users know it, "net" or "blk"
 * @features: all that may be negotiated, KHX_DEVICE_FEATURES included
 * @handle: serve a virtqueue that was kicked or whose backend is ready. Runs
 *          on the virtqueue's worker, under its mutex, only while it runs.
 *          Must bound its work by a weight and khx_virtqueue_queue() itself
 * @set_features: features were changed; called with the device's and all
 *                virtqueues' mutexes, or NULL. Cannot fail
 * @detach: stop all virtqueues and let go of their backends. Called with the
 *          device's mutex; may sleep
 * @free: what is left is memory; the last call
 * @ioctl: commands of this type, under the device's mutex and with the owner
 *         checked; -ENOIOCTLCMD for what it does not know
 * @op_names: kinds of requests it counts, ends with NULL; or NULL for none
 * @op_stats: the counters of a virtqueue, in that order. Called at any time
 *            and without any lock
 */
struct khx_device_ops {
	struct module *owner;
	const char *name;
	u64 features;
	void (*handle)(struct khx_virtqueue *vq);
	void (*set_features)(struct khx_device *dev, u64 features);
	void (*detach)(struct khx_device *dev);
	void (*free)(struct khx_device *dev);
	long (*ioctl)(struct khx_device *dev, unsigned int cmd,
		      void __user *argp);
	const char *const *op_names;
	const struct khx_op_stats *(*op_stats)(const struct khx_virtqueue *vq);
};

/**
 * struct khx_device - what one open file of a device node is
 * @mutex: serializes everything user space asks for. It is taken before the
 *         mutex of any virtqueue and never by a worker
 * @ops: its type
 * @vqs: its virtqueues
 * @nvqs: how many
 * @reg: makes it known to netlink
 * @end: ends it, when somebody else than the owner closed the last file
 * @mm: the owner's, NULL: it has none
 * @features: negotiated; netlink reads them without @mutex
 * @memory: the guest's, NULL: not set
 * @log_base: dirty log, NULL: none
 * @log_event: signalled when something was logged, or NULL
 * @mode: how @workers share the virtqueues
 * @crew: where they are from in KHX_MODE_SHARED, else NULL
 * @cpus: where they may run, NULL: anywhere
 * @workers: by id; to be read under RCU, too
 * @retired: workers on their way out, or NULL
 * @asked_queue: the virtqueue that the ioctl in work is about, -1: none
 * @refusal: what that ioctl is refused for, NULL: nothing, or errno says it
 */
struct khx_device {
	/* Outermost lock of the device. */
	struct mutex mutex;

	/* Fixed from khx_device_init() on. */
	const struct khx_device_ops *ops;
	struct khx_virtqueue **vqs;
	unsigned int nvqs;
	struct khx_registration reg;

	/* Ends it in the background. */
	struct work_struct end;

	/* Guarded by @mutex. */
	struct mm_struct *mm;
	u64 features;
	struct khx_memory *memory;
	void __user *log_base;
	struct eventfd_ctx *log_event;
	enum khx_mode mode;
	struct khx_crew *crew;
	const struct cpumask *cpus;
	struct xarray workers;
	struct khx_pool_set *retired;
	int asked_queue;
	const char *refusal;
};

/**
 * khx_device_refuse - refuse an ioctl where its errno has several causes
 * @dev: device
 * @err: negative errno
 * @check: which check failed, a string constant, for the trace event
 *
 * Context: Under the device's mutex.
 * Return: @err
 */
static inline int khx_device_refuse(struct khx_device *dev, int err,
				    const char *check)
{
	lockdep_assert_held(&dev->mutex);
	dev->refusal = check;
	return err;
}

int khx_device_init(struct khx_device *dev, const struct khx_device_ops *ops,
		    struct khx_virtqueue **vqs, unsigned int nvqs);
void khx_device_release(struct khx_device *dev);
long khx_device_ioctl(struct khx_device *dev, unsigned int cmd,
		      unsigned long arg);
void khx_device_show(struct khx_device *dev, struct seq_file *m);

#endif /* KHX_CORE_DEVICE_H */
