// SPDX-License-Identifier: GPL-2.0
/*
 * The frames of merged copies. The allocator hands out the frame first that it got
 * last, one that merging has just freed: a guest that merges a page with one of its
 * own would choose where the next copy lies, be it of another guest's page, and in a
 * frame whose neighbours it knows to disturb. So a copy gets a frame by chance, out
 * of a pool, and the pool gets the frame of one of the pages that the copy replaces.
 *
 * It is filled when a copy is made, which is seldom where memory is at rest, and most
 * of it goes back when the scanner sleeps for a while. Some frames stay, for when no
 * memory is to be had.
 *
 * It is khx_merged's own: no lock.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/random.h>
#include <linux/slab.h>

#include "pool.h"

/* Of a node: 2 MiB while copies are made, 256 KiB else. */
#define KHX_MERGE_POOL_FRAMES	512
#define KHX_MERGE_POOL_KEPT	64

static struct khx_merge_pool {
	unsigned int nr;
	struct folio *frames[KHX_MERGE_POOL_FRAMES];
} *khx_merge_pools;

static struct folio *khx_merge_pool_alloc(int node, gfp_t gfp)
{
	struct folio *folio;

	folio = __folio_alloc_node(gfp | __GFP_HIGHMEM | __GFP_NOWARN, 0, node);
	if (folio) {
		__folio_set_swapbacked(folio);
		__folio_mark_uptodate(folio);
	}
	return folio;
}

static void khx_merge_pool_fill(int node, unsigned int nr, gfp_t gfp)
{
	struct khx_merge_pool *pool = &khx_merge_pools[node];
	struct folio *folio;

	while (pool->nr < nr) {
		folio = khx_merge_pool_alloc(node, gfp | __GFP_THISNODE);
		if (!folio)
			return;
		pool->frames[pool->nr++] = folio;
	}
}

static struct folio *khx_merge_pool_pick(struct khx_merge_pool *pool)
{
	unsigned int i = get_random_u32() % pool->nr;
	struct folio *folio = pool->frames[i];

	pool->frames[i] = pool->frames[--pool->nr];
	return folio;
}

/* Page locks are held: nobody waits for reclaim here. */
struct folio *khx_merge_pool_take(int node)
{
	struct khx_merge_pool *pool = &khx_merge_pools[node];
	struct folio *folio;

	/* As each copy leaves a frame here, this is not more than once in a while. */
	if (pool->nr <= KHX_MERGE_POOL_KEPT)
		khx_merge_pool_fill(node, KHX_MERGE_POOL_FRAMES, GFP_NOWAIT);
	while (pool->nr) {
		folio = khx_merge_pool_pick(pool);
		if (!folio_test_hwpoison(folio))
			return folio;
		/* It went bad in here. The allocator gives it to nobody else. */
		folio_put(folio);
	}
	return khx_merge_pool_alloc(node, GFP_ATOMIC);
}

/*
 * read(2) may have found the page before it left its place, and be copying it still:
 * then there are more references than the caller's. Atomic, and a full barrier, so
 * that whoever comes later finds that it has left.
 */
void khx_merge_pool_give(struct folio *folio)
{
	struct khx_merge_pool *pool = &khx_merge_pools[folio_nid(folio)];

	if (pool->nr == KHX_MERGE_POOL_FRAMES || folio_test_hwpoison(folio) ||
	    !folio_ref_freeze(folio, 1))
		return;
	folio_ref_unfreeze(folio, 2);
	pool->frames[pool->nr++] = folio;
}

/* Leaves @nr frames, or less, to @node. */
static void khx_merge_pool_shrink(int node, unsigned int nr)
{
	struct khx_merge_pool *pool = &khx_merge_pools[node];

	while (pool->nr > nr)
		folio_put(pool->frames[--pool->nr]);
}

void khx_merge_pool_rest(void)
{
	int node;

	for_each_node_state(node, N_MEMORY) {
		khx_merge_pool_shrink(node, KHX_MERGE_POOL_KEPT);
		khx_merge_pool_fill(node, KHX_MERGE_POOL_KEPT,
				    GFP_KERNEL | __GFP_NORETRY);
	}
}

int khx_merge_pool_init(void)
{
	khx_merge_pools = kvcalloc(nr_node_ids, sizeof(*khx_merge_pools),
				   GFP_KERNEL);
	if (!khx_merge_pools)
		return -ENOMEM;
	khx_merge_pool_rest();
	return 0;
}

size_t khx_merge_pool_bytes(void)
{
	size_t bytes = nr_node_ids * sizeof(*khx_merge_pools);
	int node;

	for (node = 0; node < nr_node_ids; node++)
		bytes += READ_ONCE(khx_merge_pools[node].nr) * PAGE_SIZE;
	return bytes;
}

void khx_merge_pool_exit(void)
{
	int node;

	for (node = 0; node < nr_node_ids; node++)
		khx_merge_pool_shrink(node, 0);
	kvfree(khx_merge_pools);
}
