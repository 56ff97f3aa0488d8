/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_VIRTQUEUE_H
#define KHX_CORE_VIRTQUEUE_H

#include <linux/khx.h>
#include <linux/mutex.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/virtio_byteorder.h>
#include <uapi/linux/virtio_ring.h>

#include "core/poll.h"
#include "core/worker.h"

struct eventfd_ctx;
struct file;
struct khx_device;
struct khx_memory;
struct khx_memory_region;
struct khx_virtqueue;

/* Largest ring of the specification, for both formats. */
#define KHX_RING_MAX	32768

/*
 * Chains handled between two looks at the ring. 64 amortizes barriers and
 * event checks to noise; more would only delay the guest's completions.
 */
#define KHX_BATCH	64

/* Segments of one batch; a single chain may have UIO_MAXIOV of them. */
#define KHX_IOV_MAX	(UIO_MAXIOV + KHX_BATCH)

/* Entries of an indirect table that are read at once. */
#define KHX_TABLE_WINDOW	32

/**
 * struct khx_scratch - room for what is read of one batch
 * @descs: descriptors of either format as the driver wrote them
 * @table: window into the indirect table that is being read
 * @heads: split: heads of the chains
 * @iov: segments of all chains
 * @gpa: their guest-physical addresses
 */
struct khx_scratch {
	struct vring_desc descs[KHX_BATCH];
	struct vring_desc table[KHX_TABLE_WINDOW];
	__virtio16 heads[KHX_BATCH];
	struct iovec iov[KHX_IOV_MAX];
	u64 gpa[KHX_IOV_MAX];
};

/**
 * struct khx_chain - one buffer of the driver, fetched and not yet completed
 * @iov: @nr_out segments the device reads, then @nr_in it writes
 * @gpa: guest-physical address of each segment of @iov
 * @id: what the ring format needs to complete it (head index or buffer id)
 * @nr_slots: ring slots it occupies
 * @nr_out: device-readable segments
 * @nr_in: device-writable segments
 * @len_out: bytes of the readable segments
 * @len_in: bytes of the writable segments
 * @written: bytes the device wrote from the start of the writable segments;
 *           0 after a fetch, to be set before khx_virtqueue_complete()
 *
 * All values are checked copies: the driver can no longer change them. @iov
 * and @gpa point into the virtqueue and are valid until its next fetch; a
 * backend that completes later keeps copies and lets them point there.
 */
struct khx_chain {
	const struct iovec *iov;
	const u64 *gpa;
	u16 id;
	u16 nr_slots;
	u16 nr_out;
	u16 nr_in;
	u32 len_out;
	u32 len_in;
	u32 written;
};

/**
 * struct khx_virtqueue_stats - what a virtqueue has done since it was opened
 * @kicks: notifications of the driver
 * @signals: interrupts sent to the driver
 * @signals_suppressed: batches completed without one, as the driver wished
 * @chains: buffers completed
 * @descs: descriptors read, those of indirect tables included
 * @bytes: payload moved, counted by the backend
 * @batches: completions published
 * @errors: times the queue was stopped for a broken ring
 * @drops: packets the backend could not pass on, counted by the backend
 * @polls: times it was polled rather than waited for
 * @poll_hits: times that found something
 *
 * Written under the virtqueue's mutex (@kicks: under the lock of the kick
 * eventfd's wait queue), read without it: a reader may see them a batch apart.
 */
struct khx_virtqueue_stats {
	u64 kicks;
	u64 signals;
	u64 signals_suppressed;
	u64 chains;
	u64 descs;
	u64 bytes;
	u64 batches;
	u64 errors;
	u64 drops;
	u64 polls;
	u64 poll_hits;
};

/**
 * struct khx_virtqueue_ops - a ring format, device side
 * @name: "split" or "packed"
 * @num_ok: is this ring size allowed?
 * @addr_ok: do rings of @vq->num entries at @vq's addresses lie in user space?
 * @start: read what the format keeps in the ring's memory; 0 or -EFAULT
 * @set_base: set the indices from VHOST_SET_VRING_BASE; 0 or -EINVAL
 * @get_base: the indices, for VHOST_GET_VRING_BASE
 * @fetch: read up to @max chains into @chains. Return how many, 0 when there
 *         are none, -ENOBUFS when the segments are used up, or the negative
 *         errno of khx_virtqueue_fail() when the first one is broken;
 *         chains before a broken one are returned, the error comes with the
 *         next call. May return fewer than there are
 * @rewind: give back the last chains that @fetch returned, in total
 *          @nr_slots ring slots and @n chains
 * @complete: publish @n chains as used at once. Return 0, or an error when
 *            nothing was published
 * @log: dirty log: what the last @complete wrote, of the same chains. May be
 *       repeated
 * @need_signal: does the driver want an interrupt for what the last
 *               @complete published? Full barrier before it looks
 * @is_empty: has the driver nothing new for us? A hint without barrier
 * @enable_notify: ask to be kicked for what comes after the last @fetch, then
 *                 look again after a full barrier. Return true when there is
 *                 more than that @fetch has seen (and maybe no kick). Chains
 *                 given back by @rewind are not news: who could not use them
 *                 sleeps until there are more
 * @disable_notify: tell the driver that we look by ourselves; it was told
 *                  otherwise before
 *
 * All but @num_ok run under the virtqueue's mutex; those from @start on in
 * the owner's mm, and may sleep on a page fault.
 */
struct khx_virtqueue_ops {
	const char *name;
	bool (*num_ok)(unsigned int num);
	bool (*addr_ok)(const struct khx_virtqueue *vq);
	int (*set_base)(struct khx_virtqueue *vq, u32 base);
	u32 (*get_base)(const struct khx_virtqueue *vq);
	int (*start)(struct khx_virtqueue *vq);
	int (*fetch)(struct khx_virtqueue *vq, struct khx_chain *chains,
		     unsigned int max);
	void (*rewind)(struct khx_virtqueue *vq, unsigned int n,
		       unsigned int nr_slots);
	int (*complete)(struct khx_virtqueue *vq,
			const struct khx_chain *chains, unsigned int n);
	int (*log)(struct khx_virtqueue *vq, const struct khx_chain *chains,
		   unsigned int n);
	bool (*need_signal)(struct khx_virtqueue *vq);
	bool (*is_empty)(struct khx_virtqueue *vq);
	bool (*enable_notify)(struct khx_virtqueue *vq);
	void (*disable_notify)(struct khx_virtqueue *vq);
};

extern const struct khx_virtqueue_ops khx_split_ops;
extern const struct khx_virtqueue_ops khx_packed_ops;

/**
 * struct khx_virtqueue - a virtqueue, seen from the device
 * @mutex: lock of the data path: whoever serves the ring, or changes what
 *         serving depends on, holds it. It nests inside the device's mutex,
 *         and under it several virtqueues may be locked at once
 * @dev: its device
 * @index: its number there
 * @ops: format of the ring
 * @features: negotiated
 * @num: ring size, 0: not set
 * @desc: split: descriptor table; packed: ring
 * @avail: split: available ring; packed: driver event suppression
 * @used: split: used ring; packed: device event suppression
 * @memory: the guest's, with a reference, NULL: not set
 * @log_base: dirty log, NULL: none
 * @log_used_gpa: address of @used for the guest
 * @log_used: writes to @used are logged (VHOST_VRING_F_LOG)
 * @is_le: byte order of ring and headers
 * @legacy_le: the same before VIRTIO_F_VERSION_1 (VHOST_SET_VRING_ENDIAN)
 * @busyloop_us: poll at most so long
 * @poll_us: and at the moment so long
 * @weight: size of its turns, in percent
 * @call: interrupts the driver, or NULL
 * @error: tells the owner of a fault, or NULL
 * @log_event: the device's, without a reference, or NULL
 * @kick: file by which the driver notifies us, or NULL
 * @kick_poll: watches it
 * @backend: what serves the ring, NULL: it is stopped
 * @fault: the check that failed, NULL: none
 * @next_avail: next slot or index to fetch
 * @seen: where the last fetch ended
 * @next_used: next slot or index to complete at
 * @signalled: @next_used before the last completion
 * @avail_wrap: packed: wrap counter of @next_avail
 * @seen_wrap: packed: that of @seen
 * @used_wrap: packed: that of @next_used
 * @notify_on: the driver was last told to kick us
 * @signal_always: nothing was completed since the start
 * @unlogged: the last completion is published, and not all in the dirty log
 * @region: last hit in @memory, or NULL
 * @scratch: room for one batch
 * @nr_iov: segments used up in @scratch
 * @stats: counters
 * @work: serves the ring when it was kicked
 * @worker: who does @work. Changes under the device's mutex, also while it
 *          serves; everybody else reads it under RCU
 */
struct khx_virtqueue {
	/* Lock of the data path. */
	struct mutex mutex;

	/* Fixed from khx_virtqueue_init() on. */
	struct khx_device *dev;
	unsigned int index;

	/*
	 * Set-up, guarded by @mutex and the device's mutex (either to read,
	 * both to write).
	 */
	const struct khx_virtqueue_ops *ops;
	u64 features;
	unsigned int num;
	void __user *desc;
	void __user *avail;
	void __user *used;
	struct khx_memory *memory;
	void __user *log_base;
	u64 log_used_gpa;
	bool log_used;
	bool is_le;
	bool legacy_le;
	struct eventfd_ctx *call;
	struct eventfd_ctx *error;
	struct eventfd_ctx *log_event;
	struct file *kick;
	struct khx_poll kick_poll;

	/* Wishes, written under the device's mutex, and read at any time. */
	u32 busyloop_us;
	u32 weight;

	/* Guarded by @mutex, and shown to whoever asks without it. */
	void *backend;
	const char *fault;
	u32 poll_us;

	/* The ring format's own state, guarded by @mutex. */
	u16 next_avail;
	u16 seen;
	u16 next_used;
	u16 signalled;
	bool avail_wrap;
	bool seen_wrap;
	bool used_wrap;
	bool notify_on;
	bool signal_always;
	bool unlogged;

	/* Of one batch, guarded by @mutex. */
	const struct khx_memory_region *region;
	struct khx_scratch *scratch;
	unsigned int nr_iov;

	struct khx_virtqueue_stats stats;

	struct khx_work work;
	struct khx_worker __rcu *worker;
};

int khx_virtqueue_init(struct khx_virtqueue *vq, struct khx_device *dev,
		       unsigned int index);
void khx_virtqueue_destroy(struct khx_virtqueue *vq);
void khx_virtqueue_reset(struct khx_virtqueue *vq);
void khx_virtqueue_set_features(struct khx_virtqueue *vq, u64 features);
void khx_virtqueue_set_memory(struct khx_virtqueue *vq,
			      struct khx_memory *memory);
bool khx_virtqueue_log_ok(struct khx_virtqueue *vq, void __user *log_base);
int khx_virtqueue_fail(struct khx_virtqueue *vq, int err, const char *check);

/* For backends; all but khx_virtqueue_queue*() under the mutex. */
int khx_virtqueue_start(struct khx_virtqueue *vq, void *backend);
void *khx_virtqueue_stop(struct khx_virtqueue *vq);
void khx_virtqueue_queue(struct khx_virtqueue *vq);
bool khx_virtqueue_queue_work(struct khx_virtqueue *vq, struct khx_work *work);
bool khx_virtqueue_must_yield(struct khx_virtqueue *vq);
u32 khx_virtqueue_poll_begin(struct khx_virtqueue *vq);
void khx_virtqueue_poll_end(struct khx_virtqueue *vq, bool hit);
int khx_virtqueue_fetch(struct khx_virtqueue *vq, struct khx_chain *chains,
			unsigned int max);
int khx_virtqueue_fetch_more(struct khx_virtqueue *vq,
			     struct khx_chain *chains, unsigned int max);
void khx_virtqueue_rewind(struct khx_virtqueue *vq,
			  const struct khx_chain *chains, unsigned int n);
int khx_virtqueue_try_complete(struct khx_virtqueue *vq,
			       const struct khx_chain *chains, unsigned int n);
void khx_virtqueue_complete(struct khx_virtqueue *vq,
			    const struct khx_chain *chains, unsigned int n);

static inline bool khx_virtqueue_has_feature(const struct khx_virtqueue *vq,
					     unsigned int bit)
{
	return vq->features & BIT_ULL(bit);
}

static inline bool khx_virtqueue_is_running(const struct khx_virtqueue *vq)
{
	return vq->backend && !vq->fault;
}

/*
 * How much of @weight the queue may do in its turn, as the administrator wants
 * it: queues of one worker take turns, and the size of these is their share.
 */
static inline unsigned int khx_virtqueue_share(const struct khx_virtqueue *vq,
					       unsigned int weight)
{
	u32 percent = READ_ONCE(vq->weight);

	if (likely(percent == KHX_WEIGHT_DEFAULT))
		return weight;
	return weight * percent / KHX_WEIGHT_DEFAULT ?: 1;
}

/* May be wrong either way by the time it returns; see @is_empty. */
static inline bool khx_virtqueue_is_empty(struct khx_virtqueue *vq)
{
	return vq->ops->is_empty(vq);
}

/* Returns true when the caller must go on: chains arrived meanwhile. */
static inline bool khx_virtqueue_enable_notify(struct khx_virtqueue *vq)
{
	return vq->ops->enable_notify(vq);
}

static inline void khx_virtqueue_disable_notify(struct khx_virtqueue *vq)
{
	if (likely(!vq->notify_on))
		return;
	vq->notify_on = false;
	vq->ops->disable_notify(vq);
}

static inline u16 khx16_to_cpu(const struct khx_virtqueue *vq, __virtio16 v)
{
	return __virtio16_to_cpu(vq->is_le, v);
}

static inline __virtio16 cpu_to_khx16(const struct khx_virtqueue *vq, u16 v)
{
	return __cpu_to_virtio16(vq->is_le, v);
}

static inline u32 khx32_to_cpu(const struct khx_virtqueue *vq, __virtio32 v)
{
	return __virtio32_to_cpu(vq->is_le, v);
}

static inline u64 khx64_to_cpu(const struct khx_virtqueue *vq, __virtio64 v)
{
	return __virtio64_to_cpu(vq->is_le, v);
}

#endif /* KHX_CORE_VIRTQUEUE_H */
