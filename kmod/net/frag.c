// SPDX-License-Identifier: GPL-2.0
/*
 * Packet buffers, cut from large pages one after another. All references a
 * page can need are taken at once: a buffer then costs no atomic operation
 * here. When a page is used up its packets are usually gone by the time the
 * next one is, too: the two take turns, and the page allocator, which may
 * have to clear what it hands out, is seldom asked.
 */
#include <linux/cache.h>
#include <linux/gfp.h>
#include <linux/minmax.h>
#include <linux/sizes.h>

#include "net/frag.h"

/* Room for a batch of small packets. */
#define KHX_NET_PAGE_ORDER	get_order(SZ_32K)
#define KHX_NET_PAGE_SIZE	(PAGE_SIZE << KHX_NET_PAGE_ORDER)

/* One reference for each buffer, and no buffer is this small; and our own. */
#define KHX_NET_PAGE_BIAS	(KHX_NET_PAGE_SIZE / SMP_CACHE_BYTES + 1)

static void khx_net_page_put(struct khx_net_page *p)
{
	if (p->page)
		__page_frag_cache_drain(p->page, p->bias);
	p->page = NULL;
	p->size = 0;
}

static bool khx_net_page_alloc(struct khx_net_page *p)
{
	gfp_t large = __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY;

	/* A large page is not worth direct reclaim. */
	p->size = KHX_NET_PAGE_SIZE;
	p->page = alloc_pages((GFP_KERNEL_ACCOUNT & ~__GFP_DIRECT_RECLAIM) |
			      large, KHX_NET_PAGE_ORDER);
	if (!p->page) {
		p->size = PAGE_SIZE;
		p->page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	}
	if (!p->page) {
		p->size = 0;
		return false;
	}
	page_ref_add(p->page, KHX_NET_PAGE_BIAS - 1);
	p->bias = KHX_NET_PAGE_BIAS;
	return true;
}

/* Use a page again if none of its packets is left. */
static bool khx_net_page_recycle(struct khx_net_page *p)
{
	if (!p->page || page_ref_count(p->page) != p->bias ||
	    page_is_pfmemalloc(p->page))
		return false;
	page_ref_add(p->page, KHX_NET_PAGE_BIAS - p->bias);
	p->bias = KHX_NET_PAGE_BIAS;
	return true;
}

/**
 * khx_net_frag_refill - go on to another page
 * @frag: allocator; what was left of its page is wasted
 *
 * Context: Process context. May sleep.
 * Return: true if there is room for any buffer of at most PAGE_SIZE.
 */
bool khx_net_frag_refill(struct khx_net_frag *frag)
{
	swap(frag->fill, frag->spare);
	frag->offset = 0;
	if (khx_net_page_recycle(&frag->fill))
		return true;
	khx_net_page_put(&frag->fill);
	return khx_net_page_alloc(&frag->fill);
}

/* Packets that are still on their way keep their page. */
void khx_net_frag_destroy(struct khx_net_frag *frag)
{
	khx_net_page_put(&frag->fill);
	khx_net_page_put(&frag->spare);
}
