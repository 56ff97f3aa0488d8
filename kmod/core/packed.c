// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Packed virtqueues, device side
 *
 * Virtual I/O Device (VIRTIO) Version 1.2, section 2.8. One ring of
 * descriptors that driver and device overwrite in turn. Whose a descriptor is
 * say its AVAIL and USED flags together with a wrap counter that each side
 * flips when it passes the end: available when AVAIL equals the driver's
 * counter and USED does not, used when both equal the device's counter.
 *
 * A chain lies in consecutive slots and is valid once its first descriptor
 * is available; its buffer id stands in the last one. We return one used
 * descriptor a chain, written where the next one is due, and skip as many
 * slots as the chain had.
 *
 * A fetch reads the flags of the slots ahead until one is not available, then
 * after a read barrier all of these descriptors in one go. It uses only what
 * the second look returned. A batch never crosses the end of the ring; a
 * chain may, or may be longer than a batch: its remaining descriptors are
 * read one by one.
 *
 * Packed rings need VIRTIO_F_VERSION_1 and hence are little-endian.
 */
#include <linux/lockdep.h>
#include <linux/uaccess.h>
#include <uapi/linux/virtio_config.h>

#include <asm/barrier.h>

#include "core/killed.h"
#include "core/log.h"
#include "core/ring.h"

#define KHX_PACKED_AVAIL	BIT(VRING_PACKED_DESC_F_AVAIL)
#define KHX_PACKED_USED		BIT(VRING_PACKED_DESC_F_USED)
#define KHX_PACKED_WRAP		BIT(VRING_PACKED_EVENT_F_WRAP_CTR)

/*
 * The scratch holds both formats: 16 bytes each, and we name the fields of
 * the packed one.
 */
static inline struct vring_packed_desc *
khx_packed_scratch(struct khx_virtqueue *vq)
{
	BUILD_BUG_ON(sizeof(struct vring_packed_desc) !=
		     sizeof(struct vring_desc));
	return (struct vring_packed_desc *)vq->scratch->descs;
}

static bool khx_packed_num_ok(unsigned int num)
{
	return num && num <= KHX_RING_MAX;
}

static bool khx_packed_access_ok(const struct khx_virtqueue *vq)
{
	const size_t event = sizeof(struct vring_packed_desc_event);

	return access_ok(vq->desc,
			 vq->num * sizeof(struct vring_packed_desc)) &&
	       access_ok(vq->avail, event) && access_ok(vq->used, event);
}

/*
 * Slot and wrap counter to fetch at in the lower half, to complete at in the
 * upper one, as QEMU passes them. DPDK leaves the upper half 0 for a fresh
 * ring, where both counters are 1: a ring of which all slots are in flight
 * cannot be meant, since we never stop with any.
 */
static int khx_packed_set_base(struct khx_virtqueue *vq, u32 base)
{
	if (base == KHX_PACKED_WRAP)
		base |= base << 16;
	vq->next_avail = base & (KHX_PACKED_WRAP - 1);
	vq->avail_wrap = base & KHX_PACKED_WRAP;
	vq->next_used = (base >> 16) & (KHX_PACKED_WRAP - 1);
	vq->used_wrap = (base >> 16) & KHX_PACKED_WRAP;
	return 0;
}

static u32 khx_packed_get_base(const struct khx_virtqueue *vq)
{
	u32 avail = vq->next_avail, used = vq->next_used;

	if (vq->avail_wrap)
		avail |= KHX_PACKED_WRAP;
	if (vq->used_wrap)
		used |= KHX_PACKED_WRAP;
	return avail | used << 16;
}

static int khx_packed_put_event(struct khx_virtqueue *vq, u16 flags)
{
	struct vring_packed_desc_event __user *event = vq->used;
	u16 off_wrap = vq->seen;

	if (flags == VRING_PACKED_EVENT_FLAG_DESC) {
		if (vq->seen_wrap)
			off_wrap |= KHX_PACKED_WRAP;
		if (put_user(cpu_to_le16(off_wrap), &event->off_wrap))
			return -EFAULT;
		/* Where before that it counts. */
		smp_wmb();
	}
	if (put_user(cpu_to_le16(flags), &event->flags))
		return -EFAULT;
	return khx_ring_log_used(vq, 0, sizeof(*event));
}

/* Slots that were fetched and not completed; above @vq->num for a bad base. */
static unsigned int khx_packed_in_flight(const struct khx_virtqueue *vq)
{
	unsigned int lap = vq->avail_wrap != vq->used_wrap ? vq->num : 0;

	return lap + vq->next_avail - vq->next_used;
}

static int khx_packed_start(struct khx_virtqueue *vq)
{
	if (vq->next_avail >= vq->num || vq->next_used >= vq->num ||
	    khx_packed_in_flight(vq) > vq->num)
		return -EINVAL;
	vq->seen = vq->next_avail;
	vq->seen_wrap = vq->avail_wrap;
	vq->notify_on = true;
	return khx_packed_put_event(vq, VRING_PACKED_EVENT_FLAG_ENABLE);
}

static __always_inline bool khx_packed_is_avail(u16 flags, bool wrap)
{
	return !!(flags & KHX_PACKED_AVAIL) == wrap &&
	       !!(flags & KHX_PACKED_USED) != wrap;
}

/*
 * Read up to @max descriptors from the next slot on, as many as are
 * available up to the end of the ring. Return how many.
 */
static int khx_packed_read(struct khx_virtqueue *vq, unsigned int max)
{
	const struct vring_packed_desc __user *ring = vq->desc;
	struct vring_packed_desc *desc = khx_packed_scratch(vq);
	bool wrap = vq->avail_wrap, chained = false;
	unsigned int i, n;
	__le16 word;
	u16 flags;

	ring += vq->next_avail;
	max = min_t(unsigned int, max, vq->num - vq->next_avail);
	if (!user_access_begin(ring, max * sizeof(*ring)))
		goto err_range;
	for (n = 0; n < max; n++) {
		unsafe_get_user(word, &ring[n].flags, err_fault);
		flags = le16_to_cpu(word);
		if (!chained && !khx_packed_is_avail(flags, wrap))
			break;
		chained = flags & VRING_DESC_F_NEXT;
		if (unlikely(chained))
			smp_rmb();	/* flags within are valid after it */
	}
	/* That they are available before what they say; pairs with driver's. */
	smp_rmb();
	for (i = 0; i < n; i++, desc++) {
		unsafe_get_user(desc->addr, &ring[i].addr, err_fault);
		unsafe_get_user(desc->len, &ring[i].len, err_fault);
		unsafe_get_user(desc->id, &ring[i].id, err_fault);
		unsafe_get_user(desc->flags, &ring[i].flags, err_fault);
	}
	user_access_end();
	return n;

err_fault:
	user_access_end();
err_range:
	return khx_virtqueue_fail(vq, -EFAULT, "ring not readable");
}

static int khx_packed_add(struct khx_virtqueue *vq, struct khx_chain *chain,
			  const struct vring_packed_desc *desc, u16 flags)
{
	return khx_chain_add(vq, chain, le64_to_cpu(desc->addr),
			     le32_to_cpu(desc->len),
			     flags & VRING_DESC_F_WRITE);
}

/* Entries follow each other here: NEXT means nothing in a packed table. */
static int khx_packed_indirect(struct khx_virtqueue *vq,
			       struct khx_chain *chain,
			       const struct vring_packed_desc *head)
{
	const struct vring_packed_desc *desc;
	struct khx_table table;
	u16 flags;
	u32 i;
	int ret;

	ret = khx_table_init(vq, &table, le64_to_cpu(head->addr),
			     le32_to_cpu(head->len));
	for (i = 0; !ret && i < table.n; i++) {
		vq->stats.descs++;
		desc = (const void *)khx_table_entry(vq, &table, i);
		if (!desc)
			return -EFAULT;
		flags = le16_to_cpu(desc->flags);
		if (flags & VRING_DESC_F_INDIRECT)
			return khx_virtqueue_fail(vq, -EINVAL,
						  "nested indirect table");
		ret = khx_packed_add(vq, chain, desc, flags);
	}
	return ret;
}

/*
 * The @i-th descriptor from the next slot on: one of the @n that were read
 * with the batch, or else copied into @room.
 */
static const struct vring_packed_desc *
khx_packed_desc(struct khx_virtqueue *vq, unsigned int i, unsigned int n,
		struct vring_packed_desc *room)
{
	const struct vring_packed_desc __user *ring = vq->desc;
	unsigned int slot;

	if (likely(i < n))
		return &khx_packed_scratch(vq)[i];

	slot = vq->next_avail + i;
	if (slot >= vq->num)
		slot -= vq->num;
	if (copy_from_user(room, &ring[slot], sizeof(*room))) {
		khx_virtqueue_fail(vq, -EFAULT, "ring not readable");
		return NULL;
	}
	return room;
}

/*
 * The chain that starts @i slots from the next one; @n slots were read. It may
 * have @max slots: one that goes on through those in flight would never end.
 */
static int khx_packed_chain(struct khx_virtqueue *vq, struct khx_chain *chain,
			    unsigned int i, unsigned int n, unsigned int max)
{
	const struct vring_packed_desc *desc;
	struct vring_packed_desc room;
	unsigned int slots = 0;
	u16 flags;
	int ret;

	khx_chain_init(vq, chain);
	do {
		if (unlikely(slots == max))
			return khx_virtqueue_fail(vq, -EINVAL,
						  "chain longer than ring");
		desc = khx_packed_desc(vq, i + slots++, n, &room);
		if (!desc)
			return -EFAULT;
		vq->stats.descs++;
		flags = le16_to_cpu(desc->flags);
		if (!(flags & VRING_DESC_F_INDIRECT))
			ret = khx_packed_add(vq, chain, desc, flags);
		else if (flags & VRING_DESC_F_NEXT)
			ret = khx_virtqueue_fail(vq, -EINVAL,
						 "indirect table with a next");
		else
			ret = khx_packed_indirect(vq, chain, desc);
		if (ret)
			return ret;
	} while (unlikely(flags & VRING_DESC_F_NEXT));

	chain->id = le16_to_cpu(desc->id);
	chain->nr_slots = slots;
	return 0;
}

static void khx_packed_advance(const struct khx_virtqueue *vq, u16 *slot,
			       bool *wrap, unsigned int n)
{
	unsigned int next = *slot + n;

	if (next >= vq->num) {
		next -= vq->num;
		*wrap = !*wrap;
	}
	*slot = next;
}

static int khx_packed_fetch(struct khx_virtqueue *vq, struct khx_chain *chains,
			    unsigned int max)
{
	unsigned int i, slots = 0, room = vq->num - khx_packed_in_flight(vq);
	u64 descs_end = vq->stats.descs + KHX_FETCH_DESCS;
	int n, ret = 0;

	n = khx_packed_read(vq, min(max, room));
	if (n <= 0)
		return n;

	for (i = 0; slots < n && vq->stats.descs < descs_end; i++) {
		ret = khx_packed_chain(vq, &chains[i], slots, n, room - slots);
		if (unlikely(ret)) {
			khx_chain_undo(vq, &chains[i]);
			break;
		}
		slots += chains[i].nr_slots;
	}
	khx_packed_advance(vq, &vq->next_avail, &vq->avail_wrap, slots);
	vq->seen = vq->next_avail;
	vq->seen_wrap = vq->avail_wrap;
	return i ?: ret;
}

static void khx_packed_rewind(struct khx_virtqueue *vq, unsigned int n,
			      unsigned int nr_slots)
{
	unsigned int slot = vq->next_avail;

	if (slot < nr_slots) {
		slot += vq->num;
		vq->avail_wrap = !vq->avail_wrap;
	}
	vq->next_avail = slot - nr_slots;
}

/* @lap is what both flags are in this lap of the device. */
static __always_inline u16 khx_packed_used_flags(u16 lap, u32 written)
{
	return written ? lap | VRING_DESC_F_WRITE : lap;
}

/* Dirty log: the descriptors from @slot on that a completion has written. */
static int khx_packed_log_from(struct khx_virtqueue *vq, unsigned int slot,
			       const struct khx_chain *chains, unsigned int n)
{
	struct vring_packed_desc __user *ring = vq->desc;
	unsigned int i;
	int ret = 0;

	if (likely(!vq->log_used))
		return 0;
	for (i = 0; i < n && !ret; i++) {
		ret = khx_log_write_hva(vq->log_base, vq->memory, &ring[slot],
					sizeof(*ring));
		slot += chains[i].nr_slots;
		if (slot >= vq->num)
			slot -= vq->num;
	}
	return ret;
}

static int khx_packed_log(struct khx_virtqueue *vq,
			  const struct khx_chain *chains, unsigned int n)
{
	return khx_packed_log_from(vq, vq->signalled, chains, n);
}

/*
 * A completion that failed has left @n chains, but for the first, marked as
 * used. A later one of fewer chains must not publish them along with its own.
 */
static void khx_packed_take_back(struct khx_virtqueue *vq,
				 const struct khx_chain *chains, unsigned int n)
{
	struct vring_packed_desc __user *ring = vq->desc;
	unsigned int i, slot = vq->next_used;
	bool wrap = vq->used_wrap;
	u16 flags;

	for (i = 0; i < n; i++) {
		flags = wrap ? KHX_PACKED_AVAIL : KHX_PACKED_USED;
		/* Memory that is gone publishes nothing, either. */
		if (i)
			put_user(cpu_to_le16(flags), &ring[slot].flags);
		slot += chains[i].nr_slots;
		if (slot >= vq->num) {
			slot -= vq->num;
			wrap = !wrap;
		}
	}
}

/*
 * The driver stops at the first descriptor that is not used yet: the flags of
 * the first one go last, and publish the whole batch.
 */
static int khx_packed_complete(struct khx_virtqueue *vq,
			       const struct khx_chain *chains, unsigned int n)
{
	const u16 both = KHX_PACKED_AVAIL | KHX_PACKED_USED;
	struct vring_packed_desc __user *ring = vq->desc;
	u16 slot = vq->next_used, num = vq->num;
	u16 lap = vq->used_wrap ? both : 0, first = lap;
	unsigned int i;
	u16 flags;

	if (!user_access_begin(ring, num * sizeof(*ring)))
		return -EFAULT;
	for (i = 0; i < n; i++) {
		unsafe_put_user(cpu_to_le16(chains[i].id), &ring[slot].id,
				err_fault);
		unsafe_put_user(cpu_to_le32(chains[i].written),
				&ring[slot].len, err_fault);
		if (i) {
			flags = khx_packed_used_flags(lap, chains[i].written);
			unsafe_put_user(cpu_to_le16(flags), &ring[slot].flags,
					err_fault);
		}
		slot += chains[i].nr_slots;
		if (slot >= num) {
			slot -= num;
			lap ^= both;
		}
	}
	/* All others before the first one's flags. */
	smp_wmb();
	flags = khx_packed_used_flags(first, chains[0].written);
	unsafe_put_user(cpu_to_le16(flags), &ring[vq->next_used].flags,
			err_fault);
	user_access_end();

	vq->signalled = vq->next_used;
	vq->next_used = slot;
	vq->used_wrap = lap;
	return 0;

err_fault:
	user_access_end();
	khx_packed_take_back(vq, chains, i);
	/* A migration may have copied the marks: log them once more. */
	khx_packed_log_from(vq, vq->next_used, chains, min(i + 1, n));
	return khx_killed_or_fault();
}

/* Has the driver published nothing at @slot? */
static bool khx_packed_ends_at(struct khx_virtqueue *vq, u16 slot, bool wrap)
{
	const struct vring_packed_desc __user *ring = vq->desc;
	__le16 flags;

	/* What cannot be read is for a fetch to complain about. */
	if (get_user(flags, &ring[slot].flags))
		return false;
	return !khx_packed_is_avail(le16_to_cpu(flags), wrap);
}

static bool khx_packed_is_empty(struct khx_virtqueue *vq)
{
	return khx_packed_ends_at(vq, vq->next_avail, vq->avail_wrap);
}

/* Is the driver's event among the slots that the last completion passed? */
static bool khx_packed_passed(const struct khx_virtqueue *vq, u16 off_wrap)
{
	bool wrap = off_wrap & KHX_PACKED_WRAP;
	u16 event = off_wrap & (KHX_PACKED_WRAP - 1);
	u16 new = vq->next_used, old = vq->signalled;

	/* Count in one lap: what is of the lap before lies below 0. */
	if (old >= new)
		old -= vq->num;
	if (wrap != vq->used_wrap)
		event -= vq->num;
	return vring_need_event(event, new, old);
}

static bool khx_packed_need_signal(struct khx_virtqueue *vq)
{
	const struct vring_packed_desc_event __user *event = vq->avail;
	__le16 flags, off_wrap;

	/* Used descriptors before the driver's wish; pairs with driver's. */
	smp_mb();

	if (get_user(flags, &event->flags))
		return true;
	switch (le16_to_cpu(flags)) {
	case VRING_PACKED_EVENT_FLAG_DISABLE:
		return false;
	case VRING_PACKED_EVENT_FLAG_DESC:
		break;
	default:
		return true;
	}
	if (!khx_virtqueue_has_feature(vq, VIRTIO_RING_F_EVENT_IDX) ||
	    unlikely(vq->signal_always))
		return true;

	/* The flag before the place; pairs with the driver's. */
	smp_rmb();
	if (get_user(off_wrap, &event->off_wrap))
		return true;
	return khx_packed_passed(vq, le16_to_cpu(off_wrap));
}

static void khx_packed_set_event(struct khx_virtqueue *vq, u16 flags)
{
	int ret = khx_packed_put_event(vq, flags);

	if (ret)
		khx_virtqueue_fail(vq, ret, "event area not writable");
}

static bool khx_packed_enable_notify(struct khx_virtqueue *vq)
{
	/* The event must follow the fetches even if it is on already. */
	if (khx_virtqueue_has_feature(vq, VIRTIO_RING_F_EVENT_IDX))
		khx_packed_set_event(vq, VRING_PACKED_EVENT_FLAG_DESC);
	else if (!vq->notify_on)
		khx_packed_set_event(vq, VRING_PACKED_EVENT_FLAG_ENABLE);
	vq->notify_on = true;

	/*
	 * Our wish before the driver's flags: either we see its new chains,
	 * or it sees that we want a kick.
	 */
	smp_mb();
	return !vq->fault &&
	       !khx_packed_ends_at(vq, vq->seen, vq->seen_wrap);
}

static void khx_packed_disable_notify(struct khx_virtqueue *vq)
{
	khx_packed_set_event(vq, VRING_PACKED_EVENT_FLAG_DISABLE);
}

const struct khx_virtqueue_ops khx_packed_ops = {
	.name		= "packed",
	.num_ok		= khx_packed_num_ok,
	.addr_ok	= khx_packed_access_ok,
	.set_base	= khx_packed_set_base,
	.get_base	= khx_packed_get_base,
	.start		= khx_packed_start,
	.fetch		= khx_packed_fetch,
	.rewind		= khx_packed_rewind,
	.complete	= khx_packed_complete,
	.log		= khx_packed_log,
	.need_signal	= khx_packed_need_signal,
	.is_empty	= khx_packed_is_empty,
	.enable_notify	= khx_packed_enable_notify,
	.disable_notify	= khx_packed_disable_notify,
};
