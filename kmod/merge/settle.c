// SPDX-License-Identifier: GPL-2.0
/* What becomes of a page the scanner looks at; steps as in the DOC: of scan.c. */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/xxhash.h>

#include "candidate.h"
#include "file.h"
#include "history.h"
#include "index.h"
#include "page.h"
#include "scan.h"
#include "settle.h"
#include "stable.h"

/* The key of a page of zeros, where those become holes. No hash is taken. */
#define KHX_MERGE_KEY_ZERO	0ULL

enum khx_merge_outcome {
	KHX_MERGE_DONE,		/* merged */
	KHX_MERGE_ALONE,	/* nothing to merge with */
	KHX_MERGE_LATER,	/* could not try: look again next pass */
	KHX_MERGE_NEVER,	/* same key, other contents: do not try again */
};

/* Pages of different nodes get different keys where they must not merge. */
static u64 khx_merge_settle_seed(struct khx_merge_file *file, struct folio *folio,
				 const struct khx_merge_rules *rules)
{
	u64 seed = file->domain->seed;

	return rules->across_nodes ? seed : seed + 1 + folio_nid(folio);
}

static u64 khx_merge_settle_key(struct khx_merge_file *file, struct folio *folio,
				const struct khx_merge_rules *rules)
{
	u64 seed = khx_merge_settle_seed(file, folio, rules);
	void *page = kmap_local_folio(folio, 0);
	u64 key;

	khx_merge_file_count(file, KHX_MERGE_LOOKS, 1);
	if (rules->zero_pages && !memchr_inv(page, 0, PAGE_SIZE))
		key = KHX_MERGE_KEY_ZERO;
	else
		key = xxh64(page, PAGE_SIZE, seed) ?: 1;
	kunmap_local(page);
	return key;
}

static bool khx_merge_settle_equal(struct folio *a, struct folio *b)
{
	void *va = kmap_local_folio(a, 0);
	void *vb = kmap_local_folio(b, 0);
	bool equal = !memcmp(va, vb, PAGE_SIZE);

	kunmap_local(vb);
	kunmap_local(va);
	return equal;
}

static bool khx_merge_settle_is_key(struct folio *folio, u64 key)
{
	return test_bit(KHX_MERGE_FOLIO_HASHED, &folio->index) &&
	       (u64)folio->private == key;
}

/* The page is not what it was: this was its first look. */
static void khx_merge_settle_note(struct khx_merge_file *file, pgoff_t index,
				  struct folio *folio, u64 key)
{
	if (test_bit(KHX_MERGE_FOLIO_HASHED, &folio->index)) {
		set_bit(KHX_MERGE_FOLIO_VOLATILE, &folio->index);
		khx_merge_file_count(file, KHX_MERGE_CHANGED, 1);
		khx_merge_history_written(file, index);
	}
	khx_merge_page_unknow(file, index, folio);
	folio->private = (void *)key;
	set_bit(KHX_MERGE_FOLIO_HASHED, &folio->index);
}

/*
 * References besides the entry's, ours and those of page tables: the page cannot
 * be merged, so spare its users the faults of being unmapped. Only a guess.
 */
static bool khx_merge_settle_busy(struct folio *folio)
{
	/* folio_mapcount() is not exported everywhere; ours are single pages */
	int mappings = atomic_read(&folio->_mapcount) + 1;

	return folio_ref_count(folio) > mappings + 2;
}

/* Shall the page be unmapped? It may be written while this looks at it. */
static bool khx_merge_settle_wants(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio,
				   const struct khx_merge_rules *rules)
{
	u64 key;

	if (test_bit(KHX_MERGE_FOLIO_CLEAN, &folio->index))
		return khx_merge_history_ready(file, index);
	if (!test_bit(KHX_MERGE_FOLIO_VOLATILE, &folio->index))
		return true;

	key = khx_merge_settle_key(file, folio, rules);
	if (khx_merge_settle_is_key(folio, key))
		return true;
	khx_merge_settle_note(file, index, folio, key);
	return false;
}

struct folio *khx_merge_settle_look(struct khx_merge_file *file, pgoff_t index,
				    const struct khx_merge_rules *rules)
{
	struct folio *folio;

	if (!khx_merge_history_prepare(file, index))
		return NULL;
	folio = khx_merge_index_trylock(file, index);
	if (!folio)
		return NULL;
	if (khx_merge_settle_wants(file, index, folio, rules)) {
		if (!khx_merge_settle_busy(folio))
			return folio;
		khx_merge_file_count(file, KHX_MERGE_BUSY, 1);
	}
	khx_merge_index_unlock(folio);
	return NULL;
}

static enum khx_merge_outcome
khx_merge_settle_stable(struct khx_merge_file *file, pgoff_t index,
			struct folio *folio, const struct khx_merge_rules *rules)
{
	struct khx_merge_stable *stable;

	stable = khx_merge_stable_find(file->domain, (u64)folio->private,
				       rules->max_sharing);
	if (!stable)
		return KHX_MERGE_ALONE;
	if (!khx_merge_settle_equal(folio, stable->folio)) {
		khx_merge_stable_put(stable);
		return KHX_MERGE_ALONE;
	}
	khx_merge_page_merge(file, index, folio, stable);
	return KHX_MERGE_DONE;
}

/*
 * Can the candidate @other, locked, be merged now? What was written is none any
 * more; what someone holds goes back to the end of the queue. Both give up their
 * place in the table to the page that asks.
 */
static bool khx_merge_settle_available(struct khx_merge_file *file,
				       pgoff_t index, struct folio *other)
{
	if (test_bit(KHX_MERGE_FOLIO_CLEAN, &other->index)) {
		unmap_mapping_pages(file->inode.i_mapping, index, 1, false);
		if (khx_merge_page_isolated(other))
			return true;
		khx_merge_file_count(file, KHX_MERGE_BUSY, 1);
	}
	khx_merge_page_unknow(file, index, other);
	khx_merge_index_mark(file, index, true);
	return false;
}

static enum khx_merge_outcome
khx_merge_settle_with(struct khx_merge_file *file, pgoff_t index,
		      struct folio *folio, struct khx_merge_file *other_file,
		      pgoff_t other_index, struct folio *other)
{
	struct khx_merge_stable *stable;

	if (!test_bit(KHX_MERGE_FOLIO_CANDIDATE, &other->index) ||
	    other->private != folio->private)
		return KHX_MERGE_LATER;
	if (!khx_merge_settle_available(other_file, other_index, other))
		return KHX_MERGE_ALONE;
	if (!khx_merge_settle_equal(folio, other))
		return KHX_MERGE_NEVER;
	stable = khx_merge_stable_create(file->domain, (u64)folio->private, folio,
					 file->memcg);
	if (!stable)
		return KHX_MERGE_LATER;

	khx_merge_page_merge(file, index, folio, stable);
	khx_merge_stable_get(stable);
	khx_merge_page_merge(other_file, other_index, other, stable);
	return KHX_MERGE_DONE;
}

static enum khx_merge_outcome
khx_merge_settle_pair(struct khx_merge_file *file, pgoff_t index,
		      struct folio *folio)
{
	struct khx_merge_file *other_file;
	enum khx_merge_outcome outcome;
	pgoff_t other_index;
	struct folio *other;

	other_file = khx_merge_candidate_find(file->domain, (u64)folio->private,
					      &other_index);
	if (!other_file || (other_file == file && other_index == index))
		return KHX_MERGE_ALONE;
	other = khx_merge_index_trylock(other_file, other_index);
	if (!other)
		return KHX_MERGE_LATER;
	outcome = khx_merge_settle_with(file, index, folio, other_file,
					other_index, other);
	khx_merge_index_unlock(other);
	return outcome;
}

/*
 * Unmapped, so what it holds now it holds until a write takes the mark of being
 * clean. Returns whether that is also what the look before found.
 */
static bool khx_merge_settle_clean(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio,
				   const struct khx_merge_rules *rules)
{
	u64 key = khx_merge_settle_key(file, folio, rules);
	bool same = khx_merge_settle_is_key(folio, key);

	if (!same)
		khx_merge_settle_note(file, index, folio, key);
	set_bit(KHX_MERGE_FOLIO_CLEAN, &folio->index);
	return same;
}

static void khx_merge_settle_alone(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio)
{
	if (!test_bit(KHX_MERGE_FOLIO_CANDIDATE, &folio->index)) {
		if (!khx_merge_candidate_add(file, index, (u64)folio->private))
			return;
		set_bit(KHX_MERGE_FOLIO_CANDIDATE, &folio->index);
	}
	khx_merge_index_mark(file, index, false);
}

/* Returns whether the page, isolated and clean, was merged. */
static bool khx_merge_settle_merge(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio,
				   const struct khx_merge_rules *rules)
{
	enum khx_merge_outcome outcome;

	if ((u64)folio->private == KHX_MERGE_KEY_ZERO) {
		khx_merge_page_zero(file, index, folio);
		return true;
	}
	outcome = khx_merge_settle_stable(file, index, folio, rules);
	if (outcome == KHX_MERGE_ALONE)
		outcome = khx_merge_settle_pair(file, index, folio);
	if (outcome == KHX_MERGE_ALONE)
		khx_merge_settle_alone(file, index, folio);
	else if (outcome == KHX_MERGE_NEVER)
		khx_merge_index_mark(file, index, false);
	return outcome == KHX_MERGE_DONE;
}

/* Returns whether the page was merged. */
static bool khx_merge_settle_page(struct khx_merge_file *file, pgoff_t index,
				  struct folio *folio,
				  const struct khx_merge_rules *rules)
{
	if (!khx_merge_page_isolated(folio)) {
		khx_merge_file_count(file, KHX_MERGE_BUSY, 1);
		return false;
	}
	if (!test_bit(KHX_MERGE_FOLIO_CLEAN, &folio->index) &&
	    !khx_merge_settle_clean(file, index, folio, rules))
		return false;
	return khx_merge_history_ready(file, index) &&
	       khx_merge_settle_merge(file, index, folio, rules);
}

/* A page that is mapped nowhere stays so until it is unlocked. */
static void khx_merge_settle_unmap(struct khx_merge_run *run)
{
	unsigned int i;

	for (i = 0; i < run->nr; i++)
		if (folio_mapped(run->folios[i]))
			break;
	if (i < run->nr)
		unmap_mapping_pages(run->file->inode.i_mapping, run->start,
				    run->nr, false);
}

void khx_merge_settle_run(struct khx_merge_run *run,
			  const struct khx_merge_rules *rules,
			  struct khx_merge_progress *progress)
{
	unsigned int i;

	khx_merge_settle_unmap(run);
	for (i = 0; i < run->nr; i++) {
		if (khx_merge_settle_page(run->file, run->start + i,
					  run->folios[i], rules))
			progress->merges++;
		khx_merge_index_unlock(run->folios[i]);
	}
	run->nr = 0;
}
