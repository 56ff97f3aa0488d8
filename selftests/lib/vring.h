/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's side of a virtqueue, split or packed.
 *
 * Written from the virtio 1.x specification and sharing no code with the
 * kernel, so that it can judge the device. It works on memory the caller
 * supplies and never allocates guest memory, waits or notifies by itself:
 *
 *	vring_add(&ring, &chain, cookie);	any number of times
 *	vring_publish(&ring);			now the device may look
 *	if (vring_kick_needed(&ring))
 *		write(kick, ...);
 *	...
 *	while (vring_get(&ring, &cookie, &len) > 0)
 *		...
 *
 * Each step of the notification protocol is a function of its own, so that a
 * test can let the device run between any two. One thread drives one ring.
 * Little-endian hosts.
 */
#ifndef KHX_SELFTESTS_VRING_H
#define KHX_SELFTESTS_VRING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct vring_buf - one segment of a chain
 * @addr: guest-physical address
 * @len: bytes
 */
struct vring_buf {
	uint64_t addr;
	uint32_t len;
};

/**
 * struct vring_chain - a buffer to offer
 * @bufs: @nr_out segments the device reads, then @nr_in it writes
 * @nr_out: device-readable segments
 * @nr_in: device-writable segments
 * @table: where to build an indirect table, or NULL for none
 * @table_addr: guest-physical address of @table
 * @nr_direct: segments that stay in the ring in front of the table; only for
 *             split rings, 0 otherwise
 * @order: split: where in @table to place its segments, a permutation that
 *         starts with 0; NULL for one after the other
 */
struct vring_chain {
	const struct vring_buf *bufs;
	uint16_t nr_out;
	uint16_t nr_in;
	void *table;
	uint64_t table_addr;
	uint16_t nr_direct;
	const uint16_t *order;
};

/**
 * struct vring_layout - where a ring lives and how it works
 * @packed: packed or split format
 * @event_idx: VIRTIO_F_EVENT_IDX was negotiated
 * @num: entries; a power of two for split rings
 * @base: first index, as VHOST_SET_VRING_BASE takes it: 0 for a fresh split
 *        ring, VRING_PACKED_BASE for a fresh packed one
 * @desc: descriptor table or packed ring
 * @avail: available ring or driver event suppression area
 * @used: used ring or device event suppression area
 */
struct vring_layout {
	bool packed;
	bool event_idx;
	unsigned int num;
	uint32_t base;
	void *desc;
	void *avail;
	void *used;
};

/* Both wrap counters 1, both indices 0. */
#define VRING_PACKED_BASE	0x80008000u

/* What the driver remembers of a head (split) or buffer id (packed). */
struct vring_state {
	void *cookie;
	uint16_t nr_slots;	/* 0: not with the device */
	uint16_t next;		/* split: of the chain; both: of the free list */
};

struct vring_driver {
	struct vring_layout at;
	struct vring_state *states;	/* @at.num of them */
	uint16_t free_head;
	uint16_t nr_free;		/* slots */
	uint16_t next_avail;		/* split: free-running; packed: slot */
	uint16_t last_used;
	bool avail_wrap;
	bool used_wrap;
	uint16_t held_slot;		/* packed: first unpublished slot */
	uint16_t held_flags;		/* packed: what publishes it */
	/* Split: chains; packed: slots. */
	uint16_t nr_added;		/* since the last publish */
	uint16_t nr_unkicked;		/* since the last vring_kick_needed() */
};

size_t vring_desc_bytes(bool packed, unsigned int num);
size_t vring_avail_bytes(bool packed, unsigned int num);
size_t vring_used_bytes(bool packed, unsigned int num);

int vring_open(struct vring_driver *ring, const struct vring_layout *layout);
void vring_close(struct vring_driver *ring);
uint32_t vring_base(const struct vring_driver *ring);

unsigned int vring_slots_needed(const struct vring_chain *chain);
int vring_add(struct vring_driver *ring, const struct vring_chain *chain,
	      void *cookie);
void vring_publish(struct vring_driver *ring);
bool vring_kick_needed(struct vring_driver *ring);

bool vring_has_used(const struct vring_driver *ring);
int vring_get(struct vring_driver *ring, void **cookie, uint32_t *len);

void vring_calls_off(struct vring_driver *ring);
void vring_calls_on(struct vring_driver *ring);
void vring_calls_after(struct vring_driver *ring, unsigned int slots);

static inline unsigned int vring_in_flight(const struct vring_driver *ring)
{
	return ring->at.num - ring->nr_free;
}

#endif /* KHX_SELFTESTS_VRING_H */
