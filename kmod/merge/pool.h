/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_POOL_H
#define KHX_MERGE_POOL_H

#include <linux/types.h>

struct folio;

/* Scanner: a frame of @node for a merged copy, charged to nobody, or NULL. */
struct folio *khx_merge_pool_take(int node);
/*
 * Scanner: keeps @folio, which is charged to nobody, has left its place, and has the
 * caller's reference; if it can, with another one.
 */
void khx_merge_pool_give(struct folio *folio);

/* Scanner, no page locked: it will sleep for a while, so it keeps only a few frames. */
void khx_merge_pool_rest(void);

/* Anyone: what lies there for copies to come. */
size_t khx_merge_pool_bytes(void);

int khx_merge_pool_init(void);
void khx_merge_pool_exit(void);

#endif /* KHX_MERGE_POOL_H */
