// SPDX-License-Identifier: GPL-2.0
/* Merged copies: one frame, many sharers, in their domain's table by hash. */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "alloc.h"
#include "domain.h"
#include "pool.h"
#include "stable.h"

static struct kmem_cache *khx_merge_stable_cache;

/* Keys are hashes already: nothing is won by hashing them again. */
static u32 khx_merge_stable_hash(const void *key, u32 len, u32 seed)
{
	return lower_32_bits(*(const u64 *)key) ^ seed;
}

const struct rhashtable_params khx_merge_stable_params = {
	.head_offset	= offsetof(struct khx_merge_stable, node),
	.key_offset	= offsetof(struct khx_merge_stable, key),
	.key_len	= sizeof(u64),
	.hashfn		= khx_merge_stable_hash,
	.automatic_shrinking = true,
};

/*
 * Copies with one key are several when the first ones are full, or when
 * contents collide. Both make a chain; it is looked through this far, so that
 * contents chosen to collide cannot hold the lock.
 */
#define KHX_MERGE_STABLE_CHAIN_MAX	16

struct khx_merge_stable *khx_merge_stable_find(struct khx_merge_domain *domain,
					       u64 key, unsigned int max_sharers)
{
	struct khx_merge_stable *stable, *found = NULL;
	struct rhlist_head *list, *pos;
	int left = KHX_MERGE_STABLE_CHAIN_MAX;

	spin_lock(&domain->lock);
	rcu_read_lock();
	list = rhltable_lookup(&domain->stables, &key, khx_merge_stable_params);
	rhl_for_each_entry_rcu(stable, pos, list, node) {
		if (!left--)
			break;
		if (atomic_read(&stable->sharers) >= max_sharers ||
		    folio_test_hwpoison(stable->folio))
			continue;
		/* The lock is held: a copy in the table has a sharer. */
		khx_merge_stable_get(stable);
		found = stable;
		break;
	}
	rcu_read_unlock();
	spin_unlock(&domain->lock);
	return found;
}

bool khx_merge_stable_exists(struct khx_merge_domain *domain, u64 key)
{
	bool exists;

	spin_lock(&domain->lock);
	rcu_read_lock();
	exists = rhltable_lookup(&domain->stables, &key,
				 khx_merge_stable_params);
	rcu_read_unlock();
	spin_unlock(&domain->lock);
	return exists;
}

static struct folio *khx_merge_stable_copy(struct folio *from)
{
	struct folio *folio = khx_merge_pool_take(folio_nid(from));

	if (folio) {
		folio->index = 0;
		copy_highpage(folio_page(folio, 0), folio_page(from, 0));
	}
	return folio;
}

struct khx_merge_stable *khx_merge_stable_create(struct khx_merge_domain *domain,
						 u64 key, struct folio *from)
{
	struct khx_merge_stable *stable;
	int ret;

	stable = kmem_cache_alloc(khx_merge_stable_cache,
				  GFP_ATOMIC | __GFP_NOWARN);
	if (!stable)
		return NULL;
	stable->folio = khx_merge_stable_copy(from);
	if (!stable->folio)
		goto err_free;

	stable->key = key;
	stable->domain = domain;
	atomic_set(&stable->sharers, 1);
	stable->folio->private = stable;

	spin_lock(&domain->lock);
	ret = rhltable_insert(&domain->stables, &stable->node,
			      khx_merge_stable_params);
	spin_unlock(&domain->lock);
	if (ret)
		goto err_folio;
	khx_merge_payer_move(stable->folio, from);
	khx_merge_stats_add(&domain->stats, KHX_MERGE_SHARED, 1);
	return stable;

err_folio:
	folio_put(stable->folio);
err_free:
	kmem_cache_free(khx_merge_stable_cache, stable);
	return NULL;
}

void khx_merge_stable_get(struct khx_merge_stable *stable)
{
	atomic_inc(&stable->sharers);
	folio_get(stable->folio);
}

/*
 * The table's own readers are the finds above, under the same lock: what has
 * left the table can be freed at once.
 */
void khx_merge_stable_put(struct khx_merge_stable *stable)
{
	struct khx_merge_domain *domain = stable->domain;
	struct folio *folio = stable->folio;

	if (atomic_dec_and_lock(&stable->sharers, &domain->lock)) {
		rhltable_remove(&domain->stables, &stable->node,
				khx_merge_stable_params);
		spin_unlock(&domain->lock);
		khx_merge_stats_add(&domain->stats, KHX_MERGE_SHARED, -1);
		kmem_cache_free(khx_merge_stable_cache, stable);
	}
	folio_put(folio);
}

int khx_merge_stable_init(void)
{
	khx_merge_stable_cache = KMEM_CACHE(khx_merge_stable, 0);
	return khx_merge_stable_cache ? 0 : -ENOMEM;
}

void khx_merge_stable_exit(void)
{
	kmem_cache_destroy(khx_merge_stable_cache);
}
