/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_NET_FRAG_H
#define KHX_NET_FRAG_H

#include <linux/mm.h>

/**
 * struct khx_net_page - pages that packets are cut from
 * @page: head page, or NULL
 * @size: bytes of it
 * @bias: references that we still hold; packets hold the rest
 */
struct khx_net_page {
	struct page *page;
	u32 size;
	u32 bias;
};

/**
 * struct khx_net_frag - allocator of packet buffers
 * @fill: what buffers are cut from now
 * @spare: what they were cut from before, perhaps with its packets gone
 * @offset: end of the last buffer in @fill
 *
 * Buffers are freed one by one by whoever is given them, with put_page().
 */
struct khx_net_frag {
	struct khx_net_page fill;
	struct khx_net_page spare;
	u32 offset;
};

bool khx_net_frag_refill(struct khx_net_frag *frag);
void khx_net_frag_destroy(struct khx_net_frag *frag);

/* Is there room for a buffer, or must khx_net_frag_refill() come first? */
static inline bool khx_net_frag_has_room(const struct khx_net_frag *frag,
					 u32 size)
{
	return frag->offset + size <= frag->fill.size;
}

/* Where the next buffer will be; there must be room for it. */
static inline void *khx_net_frag_next(const struct khx_net_frag *frag)
{
	return page_address(frag->fill.page) + frag->offset;
}

/* Take the next buffer, with a reference for whoever gets it. */
static inline void khx_net_frag_take(struct khx_net_frag *frag, u32 size)
{
	frag->offset += size;
	frag->fill.bias--;
}

/* Take back the last @n buffers, all of them since a refill at most. */
static inline void khx_net_frag_give_back(struct khx_net_frag *frag, u32 n)
{
	frag->fill.bias += n;
}

#endif /* KHX_NET_FRAG_H */
