/* SPDX-License-Identifier: GPL-2.0 */
/* The guest's memory of a request; the worker, under the virtqueue's mutex. */
#ifndef KHX_BLK_WINDOW_H
#define KHX_BLK_WINDOW_H

#include <linux/types.h>

struct khx_blk_request;
struct khx_chain;

bool khx_blk_window_is_aligned(const struct khx_blk_request *req, u32 mask,
			       u32 block);
u32 khx_blk_window_pages(const struct khx_blk_request *req);
int khx_blk_window_fill(struct khx_blk_request *req);
int khx_blk_window_release(struct khx_blk_request *req);
int khx_blk_chain_read(const struct khx_chain *chain, u32 offset, void *to,
		       u32 len);
int khx_blk_chain_write(const struct khx_chain *chain, u32 offset,
			const void *from, u32 len);

#endif /* KHX_BLK_WINDOW_H */
