// SPDX-License-Identifier: GPL-2.0
/*
 * Candidates: private pages that did not change between two looks and wait for
 * an equal. The table says where such a page is, never which frame it is: the
 * finder locks the page of that file and index and looks again.
 *
 * A page knows that it is a candidate (KHX_MERGE_FOLIO_CANDIDATE) and is taken
 * out of the table, under its lock, before its frame goes. A file's candidates
 * are therefore gone when its pages are, before the file itself.
 */
#include <linux/slab.h>

#include "candidate.h"
#include "domain.h"
#include "file.h"

struct khx_merge_candidate {
	struct rhash_head node;
	u64 key;
	struct khx_merge_file *file;
	pgoff_t index;
};

static struct kmem_cache *khx_merge_candidate_cache;

static u32 khx_merge_candidate_hash(const void *key, u32 len, u32 seed)
{
	return lower_32_bits(*(const u64 *)key) ^ seed;
}

const struct rhashtable_params khx_merge_candidate_params = {
	.head_offset	= offsetof(struct khx_merge_candidate, node),
	.key_offset	= offsetof(struct khx_merge_candidate, key),
	.key_len	= sizeof(u64),
	.hashfn		= khx_merge_candidate_hash,
	.automatic_shrinking = true,
};

/* False without memory, or when another page offers itself with this key. */
bool khx_merge_candidate_add(struct khx_merge_file *file, pgoff_t index, u64 key)
{
	struct khx_merge_domain *domain = file->domain;
	struct khx_merge_candidate *candidate;
	int ret;

	candidate = kmem_cache_alloc(khx_merge_candidate_cache,
				     GFP_NOWAIT | __GFP_NOWARN);
	if (!candidate)
		return false;
	candidate->key = key;
	candidate->file = file;
	candidate->index = index;

	spin_lock(&domain->lock);
	ret = rhashtable_lookup_insert_fast(&domain->candidates,
					    &candidate->node,
					    khx_merge_candidate_params);
	spin_unlock(&domain->lock);
	if (ret) {
		kmem_cache_free(khx_merge_candidate_cache, candidate);
		return false;
	}
	khx_merge_file_count(file, KHX_MERGE_STAT_UNSHARED, 1);
	return true;
}

void khx_merge_candidate_remove(struct khx_merge_file *file, pgoff_t index,
				u64 key)
{
	struct khx_merge_domain *domain = file->domain;
	struct khx_merge_candidate *candidate;

	spin_lock(&domain->lock);
	candidate = rhashtable_lookup_fast(&domain->candidates, &key,
					   khx_merge_candidate_params);
	if (candidate && candidate->file == file && candidate->index == index)
		rhashtable_remove_fast(&domain->candidates, &candidate->node,
				       khx_merge_candidate_params);
	else
		candidate = NULL;
	spin_unlock(&domain->lock);

	if (WARN_ON_ONCE(!candidate))
		return;
	kmem_cache_free(khx_merge_candidate_cache, candidate);
	khx_merge_file_count(file, KHX_MERGE_STAT_UNSHARED, -1);
}

struct khx_merge_file *khx_merge_candidate_find(struct khx_merge_domain *domain,
						u64 key, pgoff_t *index)
{
	struct khx_merge_candidate *candidate;
	struct khx_merge_file *file = NULL;

	spin_lock(&domain->lock);
	candidate = rhashtable_lookup_fast(&domain->candidates, &key,
					   khx_merge_candidate_params);
	if (candidate) {
		file = candidate->file;
		*index = candidate->index;
	}
	spin_unlock(&domain->lock);
	return file;
}

size_t khx_merge_candidate_size(void)
{
	return sizeof(struct khx_merge_candidate);
}

int khx_merge_candidate_init(void)
{
	khx_merge_candidate_cache = KMEM_CACHE(khx_merge_candidate, 0);
	return khx_merge_candidate_cache ? 0 : -ENOMEM;
}

void khx_merge_candidate_exit(void)
{
	kmem_cache_destroy(khx_merge_candidate_cache);
}
