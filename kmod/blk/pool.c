// SPDX-License-Identifier: GPL-2.0
/*
 * The memory of the requests of one virtqueue, all of it set aside when the
 * virtqueue starts: serving it allocates nothing, and goes on when the host
 * has no memory left. A request that finds nothing free stays in the ring;
 * whatever is in use belongs to a request in flight and comes back with it.
 */
#include <linux/mm.h>
#include <linux/slab.h>

#include "blk/pool.h"

static int khx_blk_pool_fill_bounce(struct khx_blk_pool *pool)
{
	unsigned int i;

	for (i = 0; i < KHX_BLK_BOUNCE_PAGES; i++) {
		pool->bounce[i] = alloc_page(GFP_KERNEL_ACCOUNT);
		if (!pool->bounce[i])
			return -ENOMEM;
	}
	return 0;
}

static int khx_blk_pool_fill(struct khx_blk_pool *pool,
			     struct khx_blk_queue *queue)
{
	unsigned int i, larges = min_t(unsigned int, pool->depth,
				       KHX_BLK_LARGES);

	pool->requests = kvcalloc(pool->depth, sizeof(*pool->requests),
				  GFP_KERNEL_ACCOUNT);
	pool->larges = kvcalloc(larges, sizeof(*pool->larges),
				GFP_KERNEL_ACCOUNT);
	if (!pool->requests || !pool->larges)
		return -ENOMEM;

	for (i = 0; i < pool->depth; i++) {
		pool->requests[i].queue = queue;
		pool->requests[i].next = pool->free;
		pool->free = &pool->requests[i];
	}
	for (i = 0; i < larges; i++) {
		pool->larges[i].next = pool->free_large;
		pool->free_large = &pool->larges[i];
	}
	return khx_blk_pool_fill_bounce(pool);
}

/**
 * khx_blk_pool_create - set memory aside for a virtqueue
 * @queue: whose requests they are
 * @depth: how many
 *
 * Return: the pool, or NULL when there is no memory.
 */
struct khx_blk_pool *khx_blk_pool_create(struct khx_blk_queue *queue,
					 unsigned int depth)
{
	struct khx_blk_pool *pool;

	pool = kvzalloc(sizeof(*pool), GFP_KERNEL_ACCOUNT);
	if (!pool)
		return NULL;
	pool->depth = depth;
	if (khx_blk_pool_fill(pool, queue)) {
		khx_blk_pool_destroy(pool);
		return NULL;
	}
	return pool;
}

/* With nothing in flight; also half filled. */
void khx_blk_pool_destroy(struct khx_blk_pool *pool)
{
	unsigned int i;

	for (i = 0; i < KHX_BLK_BOUNCE_PAGES; i++)
		if (pool->bounce[i])
			__free_page(pool->bounce[i]);
	kvfree(pool->larges);
	kvfree(pool->requests);
	kvfree(pool);
}

/* A free request, with its own room for segments and pages, or NULL. */
struct khx_blk_request *khx_blk_pool_get(struct khx_blk_pool *pool)
{
	struct khx_blk_request *req = pool->free;

	if (!req)
		return NULL;
	pool->free = req->next;
	req->large = NULL;
	req->bvecs = req->inline_bvecs;
	req->max_pages = KHX_BLK_INLINE_PAGES;
	req->nr_bvecs = 0;
	req->bounced = false;
	req->bytes = 0;
	req->left = 0;
	return req;
}

/* Give a request more room. Returns false when there is none now. */
bool khx_blk_pool_get_large(struct khx_blk_pool *pool,
			    struct khx_blk_request *req)
{
	req->large = pool->free_large;
	if (!req->large)
		return false;
	pool->free_large = req->large->next;
	req->bvecs = req->large->bvecs;
	req->max_pages = KHX_BLK_WINDOW_PAGES;
	return true;
}

/* Let a request copy its data. Returns false when another one does. */
bool khx_blk_pool_get_bounce(struct khx_blk_pool *pool,
			     struct khx_blk_request *req)
{
	if (pool->bounce_user)
		return false;
	pool->bounce_user = req;
	req->bounced = true;
	return true;
}

/* The request and all it holds are free again. */
void khx_blk_pool_put(struct khx_blk_pool *pool, struct khx_blk_request *req)
{
	if (req->large) {
		req->large->next = pool->free_large;
		pool->free_large = req->large;
	}
	if (req->bounced)
		pool->bounce_user = NULL;
	req->chain.nr_out = 0;
	req->chain.nr_in = 0;
	req->next = pool->free;
	pool->free = req;
}
