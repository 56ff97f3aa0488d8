// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Virtqueues
 *
 * A virtqueue is set up by its owner with the vring ioctls, started with a
 * backend, and served by a worker until it is stopped. Serving means: fetch a
 * batch of chains, move their data, complete the batch. What the two ring
 * formats do differently is behind struct khx_virtqueue_ops; everything that
 * is said here holds for both.
 *
 * The driver is not trusted. Whatever it can break is noticed while a chain
 * is fetched; khx_virtqueue_fail() then marks the queue faulty, signals the
 * owner's error eventfd, and from there on kicks are ignored: a broken ring
 * costs nothing. The mark goes with the next thing the owner does about it, a
 * new memory table, new ring addresses or a restart.
 *
 * Locks: the device's mutex, then the virtqueue's. A worker takes only the
 * latter. The kick eventfd's wait queue lock is outermost in the wakeup
 * path, which takes none of them: it queues work under RCU.
 */
#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/lockdep.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/virtio_byteorder.h>
#include <uapi/linux/vhost_types.h>
#include <uapi/linux/virtio_config.h>

#include "core/device.h"
#include "core/killed.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/netlink.h"
#include "core/ring.h"
#include "core/trace.h"

/**
 * khx_virtqueue_fail - stop serving a queue that cannot be served
 * @vq: virtqueue
 * @err: negative errno
 * @check: which check failed, a string constant
 *
 * Only the first fault counts; the owner sees it once. What a task finds that is
 * being killed is none: memory may be missing for that alone, and it takes the owner
 * along. The queue stops, too, as what was taken from it may be lost.
 *
 * Context: Under the virtqueue's mutex.
 * Return: @err, or -EINTR when we are being killed.
 */
int khx_virtqueue_fail(struct khx_virtqueue *vq, int err, const char *check)
{
	lockdep_assert_held(&vq->mutex);

	if (vq->fault)
		return err;
	if (khx_is_killed()) {
		vq->fault = "owner killed";
		return -EINTR;
	}
	vq->fault = check;
	vq->stats.errors++;
	trace_khx_queue_error(vq, err, check);
	if (vq->error)
		eventfd_signal(vq->error);
	khx_netlink_vq_event(vq, KHX_CMD_QUEUE_ERROR_NTF);
	return err;
}
EXPORT_SYMBOL_GPL(khx_virtqueue_fail);

static void khx_virtqueue_set_order(struct khx_virtqueue *vq)
{
	vq->is_le = vq->legacy_le ||
		    khx_virtqueue_has_feature(vq, VIRTIO_F_VERSION_1);
}

/*
 * A format starts from its own fresh state. Who shows the virtqueue reads the
 * pointer without the mutex: it is never NULL.
 */
static void khx_virtqueue_set_ops(struct khx_virtqueue *vq,
				  const struct khx_virtqueue_ops *ops)
{
	WRITE_ONCE(vq->ops, ops);
	ops->set_base(vq, ops == &khx_packed_ops ?
		      BIT(VRING_PACKED_EVENT_F_WRAP_CTR) : 0);
}

/**
 * khx_virtqueue_set_features - what was negotiated
 * @vq: virtqueue
 * @features: checked by the device
 *
 * Context: Under the device's and the virtqueue's mutex.
 */
void khx_virtqueue_set_features(struct khx_virtqueue *vq, u64 features)
{
	const struct khx_virtqueue_ops *ops = &khx_split_ops;

	lockdep_assert_held(&vq->mutex);

	vq->features = features;
	khx_virtqueue_set_order(vq);
	if (khx_virtqueue_has_feature(vq, VIRTIO_F_RING_PACKED))
		ops = &khx_packed_ops;
	if (ops != vq->ops)
		khx_virtqueue_set_ops(vq, ops);
}

/**
 * khx_virtqueue_set_memory - use another memory table
 * @vq: virtqueue
 * @memory: table; a reference is taken
 *
 * Context: Under the device's and the virtqueue's mutex.
 */
void khx_virtqueue_set_memory(struct khx_virtqueue *vq,
			      struct khx_memory *memory)
{
	lockdep_assert_held(&vq->mutex);

	khx_memory_put(vq->memory);
	vq->memory = khx_memory_get(memory);
	vq->region = NULL;
	vq->fault = NULL;
}

/* Could the used area be logged? The event area of packed rings is smaller. */
static bool khx_virtqueue_log_used_ok(const struct khx_virtqueue *vq,
				      void __user *log_base)
{
	u64 len = sizeof(struct vring_used) + sizeof(__virtio16) +
		  (u64)vq->num * sizeof(struct vring_used_elem);

	return !vq->log_used ||
	       (log_base && vq->log_used_gpa + len > vq->log_used_gpa &&
		khx_log_access_ok(log_base, vq->log_used_gpa + len - 1));
}

/**
 * khx_virtqueue_log_ok - can this queue log to that bitmap?
 * @vq: virtqueue, its features, memory and addresses set
 * @log_base: bitmap or NULL
 *
 * Context: Under the device's and the virtqueue's mutex.
 */
bool khx_virtqueue_log_ok(struct khx_virtqueue *vq, void __user *log_base)
{
	if (!khx_virtqueue_has_feature(vq, VHOST_F_LOG_ALL) && !vq->log_used)
		return true;
	return log_base &&
	       khx_log_access_ok(log_base, khx_memory_end(vq->memory)) &&
	       khx_virtqueue_log_used_ok(vq, log_base);
}

/**
 * khx_virtqueue_start - begin to serve a virtqueue
 * @vq: virtqueue, not running
 * @backend: what the device's handle() will serve it with; not NULL
 *
 * The queue is served once at once: the driver may have been faster.
 *
 * Context: Owner's task, under the device's and the virtqueue's mutex.
 * Return: 0; -EFAULT when the ring is not set up or not accessible, -EINVAL
 * when its size or base does not fit its format.
 */
int khx_virtqueue_start(struct khx_virtqueue *vq, void *backend)
{
	int ret;

	lockdep_assert_held(&vq->mutex);

	if (!vq->num)
		return khx_device_refuse(vq->dev, -EFAULT, "no ring size");
	if (!vq->ops->num_ok(vq->num))
		return khx_device_refuse(vq->dev, -EINVAL,
					 "ring size not of this format");
	if (!vq->ops->addr_ok(vq))
		return khx_device_refuse(vq->dev, -EFAULT,
					 "ring not in user space");
	if (!khx_virtqueue_log_ok(vq, vq->log_base))
		return khx_device_refuse(vq->dev, -EFAULT,
					 "no log for ring or memory");

	ret = vq->ops->start(vq);
	if (ret)
		return khx_device_refuse(vq->dev, ret, ret == -EINVAL ?
					 "base not in the ring" :
					 "ring not accessible");

	vq->signalled = vq->next_used;
	vq->signal_always = true;
	vq->fault = NULL;
	vq->backend = backend;
	khx_virtqueue_queue(vq);
	khx_netlink_vq_event(vq, KHX_CMD_QUEUE_START_NTF);
	return 0;
}
EXPORT_SYMBOL_GPL(khx_virtqueue_start);

/**
 * khx_virtqueue_stop - stop to serve a virtqueue
 * @vq: virtqueue, running or not
 *
 * Nothing is in flight afterwards if the backend completes what it fetched
 * before it lets go of the mutex; others wait for their own requests first.
 *
 * Context: Under the virtqueue's mutex.
 * Return: the backend it had, or NULL.
 */
void *khx_virtqueue_stop(struct khx_virtqueue *vq)
{
	void *backend = vq->backend;

	lockdep_assert_held(&vq->mutex);
	vq->backend = NULL;
	if (backend)
		khx_netlink_vq_event(vq, KHX_CMD_QUEUE_STOP_NTF);
	return backend;
}
EXPORT_SYMBOL_GPL(khx_virtqueue_stop);

/**
 * khx_virtqueue_queue_work - have a virtqueue's worker do something
 * @vq: virtqueue
 * @work: what; must take the virtqueue's mutex itself
 *
 * For backends that complete requests later: unlike handle(), @work is also
 * done when the virtqueue was stopped or is faulty.
 *
 * Context: Any, also with interrupts off.
 * Return: false when there is no worker, or it died with its process.
 */
bool khx_virtqueue_queue_work(struct khx_virtqueue *vq, struct khx_work *work)
{
	struct khx_worker *worker;
	bool queued = false;

	rcu_read_lock();
	worker = rcu_dereference(vq->worker);
	if (likely(worker))
		queued = khx_worker_queue(worker, work);
	rcu_read_unlock();
	return queued;
}
EXPORT_SYMBOL_GPL(khx_virtqueue_queue_work);

/**
 * khx_virtqueue_queue - have a virtqueue served by its worker
 * @vq: virtqueue
 *
 * Context: Any, also with interrupts off.
 */
void khx_virtqueue_queue(struct khx_virtqueue *vq)
{
	khx_virtqueue_queue_work(vq, &vq->work);
}
EXPORT_SYMBOL_GPL(khx_virtqueue_queue);

/*
 * Is there a process that pays for what is served? Pages that come into being in
 * an mm are charged to the process that it belongs to, and to nobody when the last
 * one has ended or called execve(): that lets whoever else has the memory and
 * the device out of their memory.max. Worker threads of that process are gone
 * with it; this is for others.
 */
static bool khx_virtqueue_has_owner(const struct khx_virtqueue *vq)
{
#ifdef CONFIG_MEMCG
	return rcu_access_pointer(vq->dev->mm->owner);
#else
	return true;
#endif
}

static void khx_virtqueue_work(struct khx_work *work)
{
	struct khx_virtqueue *vq = container_of(work, struct khx_virtqueue,
						work);

	mutex_lock(&vq->mutex);
	if (likely(khx_virtqueue_is_running(vq) && khx_virtqueue_has_owner(vq)))
		vq->dev->ops->handle(vq);
	mutex_unlock(&vq->mutex);
}

/**
 * khx_virtqueue_fetch - take new chains from the driver
 * @vq: virtqueue, running
 * @chains: where to describe them
 * @max: how many at most; up to KHX_BATCH are useful
 *
 * Ends the life of what the last fetch returned.
 *
 * Context: Under the virtqueue's mutex, in the owner's mm. May sleep on a
 * page fault.
 * Return: how many, 0 when there are none, -EINTR when we are being killed, another
 * negative errno when the ring is broken: nothing will come until the owner has done
 * something about it.
 */
int khx_virtqueue_fetch(struct khx_virtqueue *vq, struct khx_chain *chains,
			unsigned int max)
{
	vq->nr_iov = 0;
	return khx_virtqueue_fetch_more(vq, chains, max);
}
EXPORT_SYMBOL_GPL(khx_virtqueue_fetch);

/**
 * khx_virtqueue_fetch_more - take more chains, keeping those of the last fetch
 * @vq: virtqueue, running
 * @chains: where to describe them
 * @max: how many at most; up to KHX_BATCH are useful
 *
 * The segments of these chains follow those of the last fetch in memory. A
 * fetch may return fewer chains than there are; that there are no more, only
 * a return value of 0 says.
 *
 * Context: As khx_virtqueue_fetch().
 * Return: As khx_virtqueue_fetch(), or -ENOBUFS when there is no room for the
 * segments of one more chain.
 */
int khx_virtqueue_fetch_more(struct khx_virtqueue *vq,
			     struct khx_chain *chains, unsigned int max)
{
	lockdep_assert_held(&vq->mutex);

	if (unlikely(vq->fault))
		return -EIO;
	return vq->ops->fetch(vq, chains, min_t(unsigned int, max, KHX_BATCH));
}
EXPORT_SYMBOL_GPL(khx_virtqueue_fetch_more);

/**
 * khx_virtqueue_rewind - give chains back, as if never fetched
 * @vq: virtqueue
 * @chains: the last @n chains fetched, none of them completed
 * @n: how many
 *
 * Context: Under the virtqueue's mutex.
 */
void khx_virtqueue_rewind(struct khx_virtqueue *vq,
			  const struct khx_chain *chains, unsigned int n)
{
	unsigned int i, nr_slots = 0;

	lockdep_assert_held(&vq->mutex);
	for (i = 0; i < n; i++)
		nr_slots += chains[i].nr_slots;
	vq->ops->rewind(vq, n, nr_slots);
}
EXPORT_SYMBOL_GPL(khx_virtqueue_rewind);

/*
 * Dirty log: the bytes that the device wrote into one chain. The log is as large as
 * the memory table asks for that the owner has set. A chain may be from before that:
 * what the guest no longer has is not in the log either.
 */
static int khx_virtqueue_log_chain(struct khx_virtqueue *vq,
				   const struct khx_chain *chain)
{
	unsigned int i = chain->nr_out, end = i + chain->nr_in;
	u64 gpa, last = khx_memory_end(vq->memory);
	size_t len = chain->written, size;
	int ret = 0;

	for (; i < end && len && !ret; i++, len -= size) {
		size = min(len, chain->iov[i].iov_len);
		gpa = chain->gpa[i];
		if (gpa <= last)
			ret = khx_log_write(vq->log_base, gpa,
					    min_t(u64, size - 1, last - gpa) + 1);
	}
	return ret;
}

static int khx_virtqueue_log(struct khx_virtqueue *vq,
			     const struct khx_chain *chains, unsigned int n)
{
	unsigned int i;
	int ret = 0;

	if (likely(!khx_virtqueue_has_feature(vq, VHOST_F_LOG_ALL)))
		return 0;
	for (i = 0; i < n && !ret; i++)
		ret = khx_virtqueue_log_chain(vq, &chains[i]);
	return ret;
}

/**
 * khx_ring_log_used - dirty log: a write to the area at @vq->used
 * @vq: virtqueue
 * @offset: from the start of the area
 * @len: bytes, may be 0
 *
 * Return: 0 or an error of khx_log_write().
 */
int khx_ring_log_used(struct khx_virtqueue *vq, u64 offset, u64 len)
{
	int ret;

	if (likely(!vq->log_used) || !len)
		return 0;
	ret = khx_log_write(vq->log_base, vq->log_used_gpa + offset, len);
	/* Also where no completion follows that would. */
	if (!ret && vq->log_event)
		eventfd_signal(vq->log_event);
	return ret;
}

/* Tell the driver of the last completion, unless it wants no interrupt. */
static void khx_virtqueue_signal(struct khx_virtqueue *vq)
{
	bool wanted = vq->ops->need_signal(vq);

	trace_khx_signal(vq, wanted);
	if (!wanted) {
		vq->stats.signals_suppressed++;
		return;
	}
	vq->signal_always = false;
	vq->stats.signals++;
	if (vq->call)
		eventfd_signal(vq->call);
}

/* Publish a completion, unless it is, and log what that wrote. */
static int khx_virtqueue_publish(struct khx_virtqueue *vq,
				 const struct khx_chain *chains, unsigned int n)
{
	int ret = 0;

	if (unlikely(vq->unlogged))
		vq->unlogged = false;
	else
		ret = vq->ops->complete(vq, chains, n);
	if (likely(!vq->log_used) || ret)
		return ret;
	ret = vq->ops->log(vq, chains, n);
	vq->unlogged = ret == -EINTR;
	return ret;
}

/* It failed, and no later batch would tell the driver of this one. */
static void khx_virtqueue_fail_complete(struct khx_virtqueue *vq, int err)
{
	vq->unlogged = false;
	khx_virtqueue_fail(vq, err, "used ring or log not writable");
	if (vq->call)
		eventfd_signal(vq->call);
}

/**
 * khx_virtqueue_try_complete - return chains to the driver, unless killed
 * @vq: virtqueue
 * @chains: any fetched and not yet completed, in any order, @written set
 * @n: how many, at most KHX_BATCH; 0 does nothing
 *
 * Logs what was written, publishes all with one barrier, and interrupts the
 * driver if it wants that for one of them. When ring or log cannot be written, the
 * virtqueue fails.
 *
 * Context: Under the virtqueue's mutex, in the owner's mm. May sleep on a
 * page fault.
 * Return: 0; or -EINTR when we are being killed and could not. Nothing is lost if this
 * is called again for the same chains, by others (see khx_hands_over()), and before
 * any other chain is completed.
 */
int khx_virtqueue_try_complete(struct khx_virtqueue *vq,
			       const struct khx_chain *chains, unsigned int n)
{
	int ret, err;

	lockdep_assert_held(&vq->mutex);
	if (!n)
		return 0;

	ret = khx_virtqueue_log(vq, chains, n);
	if (unlikely(ret == -EINTR))
		return ret;
	/* What cannot be logged is the driver's nevertheless. */
	err = khx_virtqueue_publish(vq, chains, n);
	if (unlikely(err == -EINTR))
		return err;
	if (unlikely(ret || err)) {
		khx_virtqueue_fail_complete(vq, ret ?: err);
		return 0;
	}
	if (unlikely(vq->log_event) &&
	    (vq->log_used || khx_virtqueue_has_feature(vq, VHOST_F_LOG_ALL)))
		eventfd_signal(vq->log_event);

	vq->stats.batches++;
	vq->stats.chains += n;
	trace_khx_batch(vq, n);
	khx_virtqueue_signal(vq);
	return 0;
}
EXPORT_SYMBOL_GPL(khx_virtqueue_try_complete);

/**
 * khx_virtqueue_complete - return chains to the driver
 * @vq: virtqueue
 * @chains: as khx_virtqueue_try_complete()
 * @n: as there
 *
 * For who cannot keep chains: the virtqueue stops if we are being killed.
 *
 * Context: As khx_virtqueue_try_complete().
 */
void khx_virtqueue_complete(struct khx_virtqueue *vq,
			    const struct khx_chain *chains, unsigned int n)
{
	int ret = khx_virtqueue_try_complete(vq, chains, n);

	if (unlikely(ret))
		khx_virtqueue_fail_complete(vq, ret);
}
EXPORT_SYMBOL_GPL(khx_virtqueue_complete);

/**
 * khx_virtqueue_reset - back to what it was before it had an owner
 * @vq: virtqueue, not running, its kick poll stopped and its worker idle
 *
 * Context: Under the device's and the virtqueue's mutex.
 */
void khx_virtqueue_reset(struct khx_virtqueue *vq)
{
	lockdep_assert_held(&vq->mutex);

	if (vq->call)
		eventfd_ctx_put(vq->call);
	if (vq->error)
		eventfd_ctx_put(vq->error);
	if (vq->kick)
		fput(vq->kick);
	vq->call = NULL;
	vq->error = NULL;
	vq->kick = NULL;
	vq->log_event = NULL;

	vq->num = 0;
	vq->desc = NULL;
	vq->avail = NULL;
	vq->used = NULL;
	vq->log_base = NULL;
	vq->log_used_gpa = 0;
	vq->log_used = false;
	WRITE_ONCE(vq->busyloop_us, 0);
	WRITE_ONCE(vq->poll_us, 0);
	WRITE_ONCE(vq->weight, KHX_WEIGHT_DEFAULT);
	vq->legacy_le = virtio_legacy_is_little_endian();
	khx_virtqueue_set_memory(vq, NULL);
	khx_virtqueue_set_features(vq, 0);
	khx_virtqueue_set_ops(vq, &khx_split_ops);
}

/**
 * khx_virtqueue_init - set up a virtqueue of a new device
 * @vq: zeroed virtqueue
 * @dev: its device
 * @index: its number there
 *
 * Context: Process context. May sleep.
 * Return: 0 or -ENOMEM.
 */
int khx_virtqueue_init(struct khx_virtqueue *vq, struct khx_device *dev,
		       unsigned int index)
{
	vq->scratch = kvmalloc(sizeof(*vq->scratch), GFP_KERNEL_ACCOUNT);
	if (!vq->scratch)
		return -ENOMEM;

	mutex_init(&vq->mutex);
	vq->dev = dev;
	vq->index = index;
	khx_work_init(&vq->work, khx_virtqueue_work);
	khx_poll_init(&vq->kick_poll, vq, EPOLLIN, &vq->stats.kicks);

	mutex_lock(&vq->mutex);
	khx_virtqueue_reset(vq);
	mutex_unlock(&vq->mutex);
	return 0;
}

/* The mirror of khx_virtqueue_init(), after khx_virtqueue_reset(). */
void khx_virtqueue_destroy(struct khx_virtqueue *vq)
{
	mutex_destroy(&vq->mutex);
	kvfree(vq->scratch);
}
