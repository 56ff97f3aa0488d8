// SPDX-License-Identifier: GPL-2.0
/* The driver's side of a virtqueue; see vring.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "vring.h"

/* Names of the specification for what uapi only gives as bit numbers. */
#define PACKED_F_AVAIL	(1 << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_F_USED	(1 << VRING_PACKED_DESC_F_USED)
#define PACKED_WRAP	(1 << VRING_PACKED_EVENT_F_WRAP_CTR)

/* The device writes these while we read, and the other way round. */
#define load16(p)	__atomic_load_n(p, __ATOMIC_RELAXED)
#define store16(p, v)	__atomic_store_n(p, v, __ATOMIC_RELAXED)

static void barrier_read(void)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
}

static void barrier_write(void)
{
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static void barrier_full(void)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Did the index pass @event on its way from @old to @new? */
static bool event_passed(uint16_t event, uint16_t new, uint16_t old)
{
	return (uint16_t)(new - event - 1) < (uint16_t)(new - old);
}

/* Split ring: layout in memory. */

static struct vring_desc *split_desc(const struct vring_driver *ring)
{
	return ring->at.desc;
}

static struct vring_avail *split_avail(const struct vring_driver *ring)
{
	return ring->at.avail;
}

static struct vring_used *split_used(const struct vring_driver *ring)
{
	return ring->at.used;
}

static uint16_t *split_used_event(const struct vring_driver *ring)
{
	return &split_avail(ring)->ring[ring->at.num];
}

static uint16_t *split_avail_event(const struct vring_driver *ring)
{
	return (uint16_t *)&split_used(ring)->ring[ring->at.num];
}

/* Packed ring: layout in memory. */

static struct vring_packed_desc *packed_desc(const struct vring_driver *ring)
{
	return ring->at.desc;
}

static struct vring_packed_desc_event *
packed_driver_event(const struct vring_driver *ring)
{
	return ring->at.avail;
}

static struct vring_packed_desc_event *
packed_device_event(const struct vring_driver *ring)
{
	return ring->at.used;
}

size_t vring_desc_bytes(bool packed, unsigned int num)
{
	return num * (packed ? sizeof(struct vring_packed_desc) :
			       sizeof(struct vring_desc));
}

size_t vring_avail_bytes(bool packed, unsigned int num)
{
	if (packed)
		return sizeof(struct vring_packed_desc_event);
	return sizeof(struct vring_avail) + (num + 1) * sizeof(uint16_t);
}

size_t vring_used_bytes(bool packed, unsigned int num)
{
	if (packed)
		return sizeof(struct vring_packed_desc_event);
	return sizeof(struct vring_used) +
	       num * sizeof(struct vring_used_elem) + sizeof(uint16_t);
}

static void set_base(struct vring_driver *ring, uint32_t base)
{
	if (ring->at.packed) {
		ring->next_avail = base & 0x7fff;
		ring->avail_wrap = base >> 15 & 1;
		ring->last_used = base >> 16 & 0x7fff;
		ring->used_wrap = base >> 31 & 1;
		return;
	}
	ring->next_avail = base;
	ring->last_used = base;
	split_avail(ring)->idx = base;
	split_used(ring)->idx = base;
	*split_used_event(ring) = base;
}

/*
 * A packed ring entered in its middle: slots behind the index were used in
 * this lap, those ahead in the lap before.
 */
static void packed_mark_used(struct vring_driver *ring)
{
	unsigned int i;

	for (i = 0; i < ring->at.num; i++) {
		bool wrap = ring->used_wrap ^ (i >= ring->last_used);

		packed_desc(ring)[i].flags =
			wrap ? PACKED_F_AVAIL | PACKED_F_USED : 0;
	}
}

/**
 * vring_open - start a ring in memory that the device does not look at yet
 * @ring: to set up
 * @layout: where it lives
 *
 * Return: 0 or -ENOMEM.
 */
int vring_open(struct vring_driver *ring, const struct vring_layout *layout)
{
	unsigned int i, num = layout->num;

	memset(ring, 0, sizeof(*ring));
	ring->at = *layout;
	ring->states = calloc(num, sizeof(*ring->states));
	if (!ring->states)
		return -ENOMEM;

	for (i = 0; i < num; i++)
		ring->states[i].next = i + 1;
	ring->nr_free = num;

	memset(layout->desc, 0, vring_desc_bytes(layout->packed, num));
	memset(layout->avail, 0, vring_avail_bytes(layout->packed, num));
	memset(layout->used, 0, vring_used_bytes(layout->packed, num));
	set_base(ring, layout->base);
	if (layout->packed)
		packed_mark_used(ring);
	return 0;
}

void vring_close(struct vring_driver *ring)
{
	free(ring->states);
	ring->states = NULL;
}

/* What a device that restarts now must be given; nothing may be in flight. */
uint32_t vring_base(const struct vring_driver *ring)
{
	if (!ring->at.packed)
		return ring->last_used;
	return ring->next_avail | ring->avail_wrap << 15 |
	       (uint32_t)ring->last_used << 16 |
	       (uint32_t)ring->used_wrap << 31;
}

unsigned int vring_slots_needed(const struct vring_chain *chain)
{
	if (chain->table)
		return chain->nr_direct + 1;
	return chain->nr_out + chain->nr_in;
}

/* Segment @i of a chain, without links. */
static struct vring_desc chain_desc(const struct vring_chain *chain,
				    unsigned int i)
{
	return (struct vring_desc){
		.addr = chain->bufs[i].addr,
		.len = chain->bufs[i].len,
		.flags = i < chain->nr_out ? 0 : VRING_DESC_F_WRITE,
	};
}

/* Segments from @first on go to the indirect table; returns its bytes. */
static uint32_t table_fill(const struct vring_driver *ring,
			   const struct vring_chain *chain, unsigned int first)
{
	unsigned int i, n = chain->nr_out + chain->nr_in - first;
	const uint16_t *order = chain->order;

	for (i = 0; i < n; i++) {
		struct vring_desc desc = chain_desc(chain, first + i);
		struct vring_packed_desc packed = {
			.addr = desc.addr,
			.len = desc.len,
			.flags = desc.flags,
		};

		if (ring->at.packed) {
			((struct vring_packed_desc *)chain->table)[i] = packed;
			continue;
		}
		if (i + 1 < n) {
			desc.flags |= VRING_DESC_F_NEXT;
			desc.next = order ? order[i + 1] : i + 1;
		}
		((struct vring_desc *)chain->table)[order ? order[i] : i] = desc;
	}
	return n * sizeof(struct vring_desc);
}

/* What stands in ring slot @i of the chain's @n, without links. */
static struct vring_desc slot_desc(const struct vring_driver *ring,
				   const struct vring_chain *chain,
				   unsigned int i, unsigned int n)
{
	if (!chain->table || i + 1 < n)
		return chain_desc(chain, i);

	return (struct vring_desc){
		.addr = chain->table_addr,
		.len = table_fill(ring, chain, chain->nr_direct),
		.flags = VRING_DESC_F_INDIRECT,
	};
}

static void split_add(struct vring_driver *ring,
		      const struct vring_chain *chain, unsigned int n)
{
	uint16_t head = ring->free_head, slot = head;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct vring_desc desc = slot_desc(ring, chain, i, n);

		if (i + 1 < n) {
			desc.flags |= VRING_DESC_F_NEXT;
			desc.next = ring->states[slot].next;
		}
		split_desc(ring)[slot] = desc;
		ring->free_head = ring->states[slot].next;
		slot = ring->free_head;
	}
	split_avail(ring)->ring[ring->next_avail % ring->at.num] = head;
	ring->next_avail++;
	ring->nr_added++;
}

/*
 * The first slot added since the last publish stays invalid until then: the
 * device stops in front of it whatever follows.
 */
static void packed_slot_write(struct vring_driver *ring,
			      struct vring_packed_desc desc)
{
	struct vring_packed_desc *slot = &packed_desc(ring)[ring->next_avail];

	desc.flags |= ring->avail_wrap ? PACKED_F_AVAIL : PACKED_F_USED;
	if (!ring->nr_added++) {
		ring->held_slot = ring->next_avail;
		ring->held_flags = desc.flags;
		desc.flags = slot->flags;
	}
	*slot = desc;
	if (++ring->next_avail == ring->at.num) {
		ring->next_avail = 0;
		ring->avail_wrap = !ring->avail_wrap;
	}
}

static void packed_add(struct vring_driver *ring,
		       const struct vring_chain *chain, unsigned int n)
{
	uint16_t id = ring->free_head;
	unsigned int i;

	ring->free_head = ring->states[id].next;
	for (i = 0; i < n; i++) {
		struct vring_desc desc = slot_desc(ring, chain, i, n);

		packed_slot_write(ring, (struct vring_packed_desc){
			.addr = desc.addr,
			.len = desc.len,
			.flags = desc.flags |
				 (i + 1 < n ? VRING_DESC_F_NEXT : 0),
			/* The device shall take the last one's only. */
			.id = i + 1 < n ? (uint16_t)~id : id,
		});
	}
}

/**
 * vring_add - prepare a buffer; the device sees it after vring_publish()
 * @ring: ring
 * @chain: the buffer, at least one segment
 * @cookie: comes back from vring_get()
 *
 * Return: 0, -EINVAL for an empty chain, -ENOSPC.
 */
int vring_add(struct vring_driver *ring, const struct vring_chain *chain,
	      void *cookie)
{
	unsigned int n = vring_slots_needed(chain);
	struct vring_state *state = &ring->states[ring->free_head];

	if (!n)
		return -EINVAL;
	if (n > ring->nr_free)
		return -ENOSPC;

	if (ring->at.packed)
		packed_add(ring, chain, n);
	else
		split_add(ring, chain, n);
	state->cookie = cookie;
	state->nr_slots = n;
	ring->nr_free -= n;
	return 0;
}

/* Let the device see what was added. */
void vring_publish(struct vring_driver *ring)
{
	if (!ring->nr_added)
		return;

	barrier_write();
	if (ring->at.packed)
		store16(&packed_desc(ring)[ring->held_slot].flags,
			ring->held_flags);
	else
		store16(&split_avail(ring)->idx, ring->next_avail);
	ring->nr_unkicked += ring->nr_added;
	ring->nr_added = 0;
}

static bool split_kick_needed(const struct vring_driver *ring, uint16_t n)
{
	uint16_t new = ring->next_avail;

	if (!ring->at.event_idx)
		return !(load16(&split_used(ring)->flags) &
			 VRING_USED_F_NO_NOTIFY);
	return event_passed(load16(split_avail_event(ring)), new, new - n);
}

static bool packed_kick_needed(const struct vring_driver *ring, uint16_t n)
{
	uint16_t flags = load16(&packed_device_event(ring)->flags);
	uint16_t new = ring->next_avail, event;

	if (flags != VRING_PACKED_EVENT_FLAG_DESC)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;

	barrier_read();
	event = load16(&packed_device_event(ring)->off_wrap);
	if (!!(event & PACKED_WRAP) != ring->avail_wrap)
		event = (event & ~PACKED_WRAP) - ring->at.num;
	else
		event &= ~PACKED_WRAP;
	return event_passed(event, new, new - n);
}

/**
 * vring_kick_needed - must the device be notified of what was published?
 * @ring: ring, with nothing added but not published
 *
 * Has a full barrier. To be called after each publish or batch of them: it
 * answers for all that was published since the last call.
 */
bool vring_kick_needed(struct vring_driver *ring)
{
	uint16_t n = ring->nr_unkicked;

	if (!n)
		return false;

	barrier_full();
	ring->nr_unkicked = 0;
	if (ring->at.packed)
		return packed_kick_needed(ring, n);
	return split_kick_needed(ring, n);
}

/* Has the device completed something that vring_get() would return? */
bool vring_has_used(const struct vring_driver *ring)
{
	uint16_t flags;

	if (!ring->at.packed)
		return load16(&split_used(ring)->idx) != ring->last_used;

	flags = load16(&packed_desc(ring)[ring->last_used].flags);
	return !!(flags & PACKED_F_AVAIL) == ring->used_wrap &&
	       !!(flags & PACKED_F_USED) == ring->used_wrap;
}

/* Take back the slots of a head or id. */
static void state_free(struct vring_driver *ring, uint16_t id)
{
	struct vring_state *state = &ring->states[id];
	unsigned int n = state->nr_slots;
	uint16_t last = id;

	ring->nr_free += n;
	state->nr_slots = 0;
	while (!ring->at.packed && --n)
		last = ring->states[last].next;
	ring->states[last].next = ring->free_head;
	ring->free_head = id;
}

static void last_used_advance(struct vring_driver *ring, unsigned int n)
{
	ring->last_used += n;
	if (ring->at.packed && ring->last_used >= ring->at.num) {
		ring->last_used -= ring->at.num;
		ring->used_wrap = !ring->used_wrap;
	}
}

/**
 * vring_get - take a buffer that the device has completed
 * @ring: ring
 * @cookie: what vring_add() was given
 * @len: bytes the device says it wrote
 *
 * Return: 1 with a buffer, 0 with none, -EPROTO when the device completed
 * what it does not have.
 */
int vring_get(struct vring_driver *ring, void **cookie, uint32_t *len)
{
	const struct vring_used_elem *elem;
	uint32_t id;

	if (!vring_has_used(ring))
		return 0;

	barrier_read();
	if (ring->at.packed) {
		id = packed_desc(ring)[ring->last_used].id;
		*len = packed_desc(ring)[ring->last_used].len;
	} else {
		elem = &split_used(ring)->ring[ring->last_used % ring->at.num];
		id = elem->id;
		*len = elem->len;
	}
	if (id >= ring->at.num || !ring->states[id].nr_slots)
		return -EPROTO;

	*cookie = ring->states[id].cookie;
	last_used_advance(ring, ring->at.packed ? ring->states[id].nr_slots : 1);
	state_free(ring, id);
	return 1;
}

/* Ask the device not to interrupt. It may still do so. */
void vring_calls_off(struct vring_driver *ring)
{
	if (ring->at.packed)
		store16(&packed_driver_event(ring)->flags,
			VRING_PACKED_EVENT_FLAG_DISABLE);
	else if (!ring->at.event_idx)
		store16(&split_avail(ring)->flags,
			VRING_AVAIL_F_NO_INTERRUPT);
}

static void packed_calls_after(struct vring_driver *ring, unsigned int slots)
{
	unsigned int event = ring->last_used + slots;
	bool wrap = ring->used_wrap;

	if (event >= ring->at.num) {
		event -= ring->at.num;
		wrap = !wrap;
	}
	store16(&packed_driver_event(ring)->off_wrap, event | wrap << 15);
	barrier_write();
	store16(&packed_driver_event(ring)->flags,
		VRING_PACKED_EVENT_FLAG_DESC);
}

/**
 * vring_calls_after - ask for an interrupt once more is completed
 * @ring: ring
 * @slots: split: after so many more than the next one; packed: when the
 *         completion passes so many slots from the next one. Below the
 *         ring's size; counts as 0 without EVENT_IDX
 *
 * Has a full barrier. The caller must then look at vring_has_used(), as the
 * device may not interrupt for what it completed before.
 */
void vring_calls_after(struct vring_driver *ring, unsigned int slots)
{
	if (!ring->at.event_idx && ring->at.packed)
		store16(&packed_driver_event(ring)->flags,
			VRING_PACKED_EVENT_FLAG_ENABLE);
	else if (!ring->at.event_idx)
		store16(&split_avail(ring)->flags, 0);
	else if (ring->at.packed)
		packed_calls_after(ring, slots);
	else
		store16(split_used_event(ring), ring->last_used + slots);
	barrier_full();
}

/* Ask for an interrupt with the next completion; see vring_calls_after(). */
void vring_calls_on(struct vring_driver *ring)
{
	vring_calls_after(ring, 0);
}
