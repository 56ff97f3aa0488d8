/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_BLK_POOL_H
#define KHX_BLK_POOL_H

#include "blk/request.h"

/*
 * Requests of one queue that may be larger than KHX_BLK_INLINE_PAGES at a
 * time. Enough to keep any device busy with megabytes.
 */
#define KHX_BLK_LARGES	32

/**
 * struct khx_blk_pool - all memory that the requests of a running queue need
 * @depth: how many there are
 * @requests: all of them
 * @free: those not in flight
 * @larges: all of them
 * @free_large: those not in use
 * @bounce: pages to copy data through that the backend cannot take
 * @bounce_user: who uses them, or NULL
 * @pages: scratch of whoever pins
 *
 * Guarded by the virtqueue's mutex.
 */
struct khx_blk_pool {
	unsigned int depth;
	struct khx_blk_request *requests;
	struct khx_blk_request *free;
	struct khx_blk_large *larges;
	struct khx_blk_large *free_large;
	struct page *bounce[KHX_BLK_BOUNCE_PAGES];
	struct khx_blk_request *bounce_user;
	struct page *pages[KHX_BLK_WINDOW_PAGES];
};

struct khx_blk_pool *khx_blk_pool_create(struct khx_blk_queue *queue,
					 unsigned int depth);
void khx_blk_pool_destroy(struct khx_blk_pool *pool);
struct khx_blk_request *khx_blk_pool_get(struct khx_blk_pool *pool);
bool khx_blk_pool_get_large(struct khx_blk_pool *pool,
			    struct khx_blk_request *req);
bool khx_blk_pool_get_bounce(struct khx_blk_pool *pool,
			     struct khx_blk_request *req);
void khx_blk_pool_put(struct khx_blk_pool *pool, struct khx_blk_request *req);

#endif /* KHX_BLK_POOL_H */
