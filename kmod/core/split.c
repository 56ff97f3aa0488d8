// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Split virtqueues, device side
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, section 2.7. The driver publishes
 * heads of descriptor chains in the available ring, we return them in the
 * used ring; both have free-running 16-bit indices, taken modulo the ring
 * size, a power of two.
 *
 * A fetch reads the driver's index once, then all new heads, then all first
 * descriptors, each in one block of user access. Nothing is read twice: what
 * is checked is the copy. The byte order is read before a block: the check
 * that UBSAN puts on reading a bool is a call, and none may be made inside.
 */
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/uaccess.h>
#include <uapi/linux/virtio_config.h>

#include <asm/barrier.h>

#include "core/killed.h"
#include "core/log.h"
#include "core/ring.h"

static inline size_t khx_split_avail_size(const struct khx_virtqueue *vq)
{
	/* The driver's used_event stands behind the ring. */
	return sizeof(struct vring_avail) + (vq->num + 1) * sizeof(__virtio16);
}

static inline size_t khx_split_used_size(const struct khx_virtqueue *vq)
{
	/* Our avail_event stands behind the ring. */
	return sizeof(struct vring_used) +
	       vq->num * sizeof(struct vring_used_elem) + sizeof(__virtio16);
}

static inline __virtio16 __user *
khx_split_used_event(const struct khx_virtqueue *vq)
{
	struct vring_avail __user *avail = vq->avail;

	return &avail->ring[vq->num];
}

static inline __virtio16 __user *
khx_split_avail_event(const struct khx_virtqueue *vq)
{
	struct vring_used __user *used = vq->used;

	return (__virtio16 __user *)&used->ring[vq->num];
}

static bool khx_split_num_ok(unsigned int num)
{
	return is_power_of_2(num) && num <= KHX_RING_MAX;
}

static bool khx_split_access_ok(const struct khx_virtqueue *vq)
{
	return access_ok(vq->desc, vq->num * sizeof(struct vring_desc)) &&
	       access_ok(vq->avail, khx_split_avail_size(vq)) &&
	       access_ok(vq->used, khx_split_used_size(vq));
}

static int khx_split_set_base(struct khx_virtqueue *vq, u32 base)
{
	if (base > U16_MAX)
		return -EINVAL;
	vq->next_avail = base;
	return 0;
}

static u32 khx_split_get_base(const struct khx_virtqueue *vq)
{
	return vq->next_avail;
}

static int khx_split_put_flags(struct khx_virtqueue *vq, u16 flags)
{
	struct vring_used __user *used = vq->used;

	if (put_user(cpu_to_khx16(vq, flags), &used->flags))
		return -EFAULT;
	return khx_ring_log_used(vq, offsetof(struct vring_used, flags),
				 sizeof(__virtio16));
}

/* The used index is kept by the ring alone: VHOST_SET_VRING_BASE has none. */
static int khx_split_start(struct khx_virtqueue *vq)
{
	struct vring_used __user *used = vq->used;
	__virtio16 idx;
	int ret;

	if (get_user(idx, &used->idx))
		return -EFAULT;
	ret = khx_split_put_flags(vq, 0);
	if (ret)
		return ret;
	vq->next_used = khx16_to_cpu(vq, idx);
	vq->seen = vq->next_avail;
	vq->notify_on = true;
	return 0;
}

/* Inside a block of user access. */
#define khx_split_get_desc(desc, from, err)				\
	do {								\
		unsafe_get_user((desc)->addr, &(from)->addr, err);	\
		unsafe_get_user((desc)->len, &(from)->len, err);	\
		unsafe_get_user((desc)->flags, &(from)->flags, err);	\
		unsafe_get_user((desc)->next, &(from)->next, err);	\
	} while (0)

/*
 * Read the heads of up to @max new chains and their first descriptors.
 * Return how many, or a negative errno after khx_virtqueue_fail().
 */
static int khx_split_read(struct khx_virtqueue *vq, unsigned int max)
{
	const struct vring_desc __user *table = vq->desc;
	const struct vring_avail __user *avail = vq->avail;
	struct vring_desc *desc = vq->scratch->descs;
	__virtio16 *heads = vq->scratch->heads;
	u16 mask = vq->num - 1, first = vq->next_avail, pending, head;
	const bool le = vq->is_le;
	unsigned int i, n;
	__virtio16 idx;

	if (!user_access_begin(avail, khx_split_avail_size(vq)))
		goto err_range;
	unsafe_get_user(idx, &avail->idx, err_fault);
	pending = __virtio16_to_cpu(le, idx) - first;
	n = min_t(unsigned int, pending, max);
	/* The index before the heads it covers; pairs with the driver's. */
	smp_rmb();
	for (i = 0; i < n; i++)
		unsafe_get_user(heads[i], &avail->ring[(u16)(first + i) & mask],
				err_fault);
	user_access_end();

	/* All that is in flight was a chain of this ring, hence its slots. */
	if (pending > vq->num || (u16)(first + pending - vq->next_used) > vq->num)
		return khx_virtqueue_fail(vq, -EINVAL,
					  "available index jumped");
	if (!n)
		return 0;

	if (!user_access_begin(table, vq->num * sizeof(*table)))
		goto err_range;
	for (i = 0; i < n; i++, desc++) {
		/* Judged when its turn comes: see khx_split_chain(). */
		head = __virtio16_to_cpu(le, heads[i]) & mask;
		khx_split_get_desc(desc, &table[head], err_fault);
	}
	user_access_end();
	return n;

err_fault:
	user_access_end();
err_range:
	return khx_virtqueue_fail(vq, -EFAULT, "ring not readable");
}

static int khx_split_add(struct khx_virtqueue *vq, struct khx_chain *chain,
			 const struct vring_desc *desc, u16 flags)
{
	return khx_chain_add(vq, chain, khx64_to_cpu(vq, desc->addr),
			     khx32_to_cpu(vq, desc->len),
			     flags & VRING_DESC_F_WRITE);
}

static int khx_split_indirect(struct khx_virtqueue *vq,
			      struct khx_chain *chain,
			      const struct vring_desc *head)
{
	const struct vring_desc *desc;
	struct khx_table table;
	u32 i = 0, seen = 0;
	u16 flags;
	int ret;

	ret = khx_table_init(vq, &table, khx64_to_cpu(vq, head->addr),
			     khx32_to_cpu(vq, head->len));
	while (!ret) {
		vq->stats.descs++;
		desc = khx_table_entry(vq, &table, i);
		if (!desc)
			return -EFAULT;
		flags = khx16_to_cpu(vq, desc->flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return khx_virtqueue_fail(vq, -EINVAL,
						  "nested indirect table");
		ret = khx_split_add(vq, chain, desc, flags);
		if (ret || !(flags & VRING_DESC_F_NEXT))
			break;
		i = khx16_to_cpu(vq, desc->next);
		if (i >= table.n || ++seen == table.n)
			return khx_virtqueue_fail(vq, -EINVAL,
						  "loop in indirect table");
	}
	return ret;
}

static int khx_split_next(struct khx_virtqueue *vq, struct vring_desc *desc)
{
	const struct vring_desc __user *table = vq->desc, *from;
	u16 next = khx16_to_cpu(vq, desc->next);

	if (next >= vq->num)
		return khx_virtqueue_fail(vq, -EINVAL,
					  "next descriptor outside ring");
	from = &table[next];
	if (!user_access_begin(from, sizeof(*from)))
		goto err_range;
	khx_split_get_desc(desc, from, err_fault);
	user_access_end();
	return 0;

err_fault:
	user_access_end();
err_range:
	return khx_virtqueue_fail(vq, -EFAULT, "ring not readable");
}

/* @desc is the descriptor at @head, and scratch. */
static int khx_split_chain(struct khx_virtqueue *vq, struct khx_chain *chain,
			   u16 head, struct vring_desc *desc)
{
	unsigned int seen = 0;
	u16 flags;
	int ret;

	khx_chain_init(vq, chain);
	if (unlikely(head >= vq->num))
		return khx_virtqueue_fail(vq, -EINVAL,
					  "available head outside ring");
	chain->id = head;

	for (;;) {
		vq->stats.descs++;
		flags = khx16_to_cpu(vq, desc->flags);
		if (flags & VRING_DESC_F_INDIRECT)
			break;
		ret = khx_split_add(vq, chain, desc, flags);
		if (ret || likely(!(flags & VRING_DESC_F_NEXT)))
			return ret;
		if (++seen == vq->num)
			return khx_virtqueue_fail(vq, -EINVAL,
						  "loop in descriptor chain");
		ret = khx_split_next(vq, desc);
		if (ret)
			return ret;
	}

	if (flags & VRING_DESC_F_NEXT)
		return khx_virtqueue_fail(vq, -EINVAL,
					  "indirect table with a next");
	return khx_split_indirect(vq, chain, desc);
}

static int khx_split_fetch(struct khx_virtqueue *vq, struct khx_chain *chains,
			   unsigned int max)
{
	u64 descs_end = vq->stats.descs + KHX_FETCH_DESCS;
	struct khx_scratch *scratch = vq->scratch;
	int i, n, ret = 0;

	n = khx_split_read(vq, max);
	if (n <= 0)
		return n;

	for (i = 0; i < n && vq->stats.descs < descs_end; i++) {
		ret = khx_split_chain(vq, &chains[i],
				      khx16_to_cpu(vq, scratch->heads[i]),
				      &scratch->descs[i]);
		if (unlikely(ret)) {
			khx_chain_undo(vq, &chains[i]);
			break;
		}
	}
	vq->next_avail += i;
	vq->seen = vq->next_avail;
	return i ?: ret;
}

static void khx_split_rewind(struct khx_virtqueue *vq, unsigned int n,
			     unsigned int nr_slots)
{
	vq->next_avail -= n;
}

static int khx_split_log(struct khx_virtqueue *vq,
			 const struct khx_chain *chains, unsigned int n)
{
	unsigned int first = vq->signalled & (vq->num - 1);
	unsigned int head = min(n, vq->num - first);
	const size_t elem = sizeof(struct vring_used_elem);
	const size_t ring = offsetof(struct vring_used, ring);
	int ret;

	ret = khx_ring_log_used(vq, ring + first * elem, head * elem);
	if (!ret)
		ret = khx_ring_log_used(vq, ring, (n - head) * elem);
	if (!ret)
		ret = khx_ring_log_used(vq, offsetof(struct vring_used, idx),
					sizeof(__virtio16));
	return ret;
}

static int khx_split_complete(struct khx_virtqueue *vq,
			      const struct khx_chain *chains, unsigned int n)
{
	struct vring_used __user *used = vq->used;
	struct vring_used_elem __user *elem;
	u16 mask = vq->num - 1, first = vq->next_used;
	const bool le = vq->is_le;
	unsigned int i;

	if (!user_access_begin(used, khx_split_used_size(vq)))
		return -EFAULT;
	for (i = 0; i < n; i++) {
		elem = &used->ring[(u16)(first + i) & mask];
		unsafe_put_user(__cpu_to_virtio32(le, chains[i].id),
				&elem->id, err_fault);
		unsafe_put_user(__cpu_to_virtio32(le, chains[i].written),
				&elem->len, err_fault);
	}
	/* The entries before the index that makes them valid. */
	smp_wmb();
	unsafe_put_user(__cpu_to_virtio16(le, first + n), &used->idx,
			err_fault);
	user_access_end();

	vq->signalled = first;
	vq->next_used = first + n;
	return 0;

err_fault:
	user_access_end();
	return khx_killed_or_fault();
}

/* Is @idx all that the driver has published? */
static bool khx_split_ends_at(struct khx_virtqueue *vq, u16 idx)
{
	const struct vring_avail __user *avail = vq->avail;
	__virtio16 value;

	/* What cannot be read is for a fetch to complain about. */
	if (get_user(value, &avail->idx))
		return false;
	return khx16_to_cpu(vq, value) == idx;
}

static bool khx_split_is_empty(struct khx_virtqueue *vq)
{
	return khx_split_ends_at(vq, vq->next_avail);
}

static bool khx_split_need_signal(struct khx_virtqueue *vq)
{
	const struct vring_avail __user *avail = vq->avail;
	__virtio16 value;

	/* The used index before the driver's wish; pairs with the driver's. */
	smp_mb();

	if (khx_virtqueue_has_feature(vq, VIRTIO_F_NOTIFY_ON_EMPTY) &&
	    khx_split_is_empty(vq))
		return true;

	if (!khx_virtqueue_has_feature(vq, VIRTIO_RING_F_EVENT_IDX)) {
		if (get_user(value, &avail->flags))
			return true;
		return !(khx16_to_cpu(vq, value) & VRING_AVAIL_F_NO_INTERRUPT);
	}

	if (unlikely(vq->signal_always) ||
	    get_user(value, khx_split_used_event(vq)))
		return true;
	return vring_need_event(khx16_to_cpu(vq, value), vq->next_used,
				vq->signalled);
}

static int khx_split_put_avail_event(struct khx_virtqueue *vq)
{
	__virtio16 __user *event = khx_split_avail_event(vq);

	if (put_user(cpu_to_khx16(vq, vq->seen), event))
		return -EFAULT;
	return khx_ring_log_used(vq, (void __user *)event - vq->used,
				 sizeof(*event));
}

static bool khx_split_enable_notify(struct khx_virtqueue *vq)
{
	int ret = 0;

	/* The event must follow the fetches even if it is on already. */
	if (khx_virtqueue_has_feature(vq, VIRTIO_RING_F_EVENT_IDX))
		ret = khx_split_put_avail_event(vq);
	else if (!vq->notify_on)
		ret = khx_split_put_flags(vq, 0);
	if (ret) {
		khx_virtqueue_fail(vq, ret, "used ring not writable");
		return false;
	}
	vq->notify_on = true;

	/*
	 * Our wish before the driver's index: either we see its new chains,
	 * or it sees that we want a kick.
	 */
	smp_mb();
	return !khx_split_ends_at(vq, vq->seen);
}

static void khx_split_disable_notify(struct khx_virtqueue *vq)
{
	int ret;

	/* An event in the past does the same, and costs no write. */
	if (khx_virtqueue_has_feature(vq, VIRTIO_RING_F_EVENT_IDX))
		return;
	ret = khx_split_put_flags(vq, VRING_USED_F_NO_NOTIFY);
	if (ret)
		khx_virtqueue_fail(vq, ret, "used ring not writable");
}

const struct khx_virtqueue_ops khx_split_ops = {
	.name		= "split",
	.num_ok		= khx_split_num_ok,
	.addr_ok	= khx_split_access_ok,
	.set_base	= khx_split_set_base,
	.get_base	= khx_split_get_base,
	.start		= khx_split_start,
	.fetch		= khx_split_fetch,
	.rewind		= khx_split_rewind,
	.complete	= khx_split_complete,
	.log		= khx_split_log,
	.need_signal	= khx_split_need_signal,
	.is_empty	= khx_split_is_empty,
	.enable_notify	= khx_split_enable_notify,
	.disable_notify	= khx_split_disable_notify,
};
