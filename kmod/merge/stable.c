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
 * contents collide. They are in a list, the first of which is in the table; it is
 * looked through this far, so that contents chosen to collide cannot hold the lock.
 */
#define KHX_MERGE_STABLE_ALIKE_MAX	16

static struct khx_merge_stable *
khx_merge_stable_first(struct khx_merge_domain *domain, u64 key)
{
	lockdep_assert_held(&domain->lock);

	return rhashtable_lookup_fast(&domain->stables, &key,
				      khx_merge_stable_params);
}

struct khx_merge_stable *khx_merge_stable_find(struct khx_merge_domain *domain,
					       u64 key, unsigned int max_sharers)
{
	struct khx_merge_stable *first, *stable, *found = NULL;
	int left = KHX_MERGE_STABLE_ALIKE_MAX;

	spin_lock(&domain->lock);
	first = khx_merge_stable_first(domain, key);
	for (stable = first; stable && left--;
	     stable = list_next_entry(stable, alike)) {
		if (atomic_read(&stable->sharers) < max_sharers &&
		    !folio_test_hwpoison(stable->folio)) {
			/* The lock is held: what is listed has a sharer. */
			khx_merge_stable_get(stable);
			found = stable;
			break;
		}
		if (list_is_last(&stable->alike, &first->alike))
			break;
	}
	spin_unlock(&domain->lock);
	return found;
}

bool khx_merge_stable_exists(struct khx_merge_domain *domain, u64 key)
{
	bool exists;

	spin_lock(&domain->lock);
	exists = khx_merge_stable_first(domain, key);
	spin_unlock(&domain->lock);
	return exists;
}

/* The newest comes second, as it has room. */
static int khx_merge_stable_list(struct khx_merge_stable *stable)
{
	struct khx_merge_domain *domain = stable->domain;
	struct khx_merge_stable *first;
	int ret = 0;

	INIT_LIST_HEAD(&stable->alike);
	spin_lock(&domain->lock);
	first = khx_merge_stable_first(domain, stable->key);
	if (first)
		list_add(&stable->alike, &first->alike);
	else
		ret = rhashtable_insert_fast(&domain->stables, &stable->node,
					     khx_merge_stable_params);
	spin_unlock(&domain->lock);
	return ret;
}

/* However many there are with its key, this takes the same time. */
static void khx_merge_stable_unlist(struct khx_merge_stable *stable)
{
	struct khx_merge_domain *domain = stable->domain;
	struct khx_merge_stable *next = list_next_entry(stable, alike);

	lockdep_assert_held(&domain->lock);

	if (next == stable)
		rhashtable_remove_fast(&domain->stables, &stable->node,
				       khx_merge_stable_params);
	else if (khx_merge_stable_first(domain, stable->key) == stable)
		rhashtable_replace_fast(&domain->stables, &stable->node,
					&next->node, khx_merge_stable_params);
	list_del(&stable->alike);
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
	if (khx_merge_stable_list(stable))
		goto err_folio;
	khx_merge_payer_move(stable->folio, from);
	khx_merge_stats_add(&domain->stats, KHX_MERGE_STAT_SHARED, 1);
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
		khx_merge_stable_unlist(stable);
		spin_unlock(&domain->lock);
		khx_merge_stats_add(&domain->stats, KHX_MERGE_STAT_SHARED, -1);
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
