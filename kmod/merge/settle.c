// SPDX-License-Identifier: GPL-2.0
/* What becomes of a page the scanner looks at; steps as in the DOC: of scan.c. */
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "compat/vfs.h"
#include "candidate.h"
#include "contents.h"
#include "file.h"
#include "history.h"
#include "index.h"
#include "page.h"
#include "pool.h"
#include "scan.h"
#include "settle.h"
#include "stable.h"

enum khx_merge_outcome {
	KHX_MERGE_SETTLE_DONE,		/* merged */
	KHX_MERGE_SETTLE_ALONE,		/* nothing to merge with */
	KHX_MERGE_SETTLE_LATER,		/* could not try: look again next pass */
	KHX_MERGE_SETTLE_OTHER,		/* same key, other contents */
};

/*
 * How long a run may take candidates out of page tables, one by one, for everyone
 * waits for the scanner, and how often a file is mapped is for its owner to say. All
 * of a run takes less where that is not very often; and only this is counted, as a
 * busy machine is no reason to leave a run half settled.
 */
#define KHX_MERGE_SETTLE_WALK_NS	(20 * NSEC_PER_MSEC)
static u64 khx_merge_settle_walked;	/* ns; scan lock */

/* Pages of different nodes get different keys where they must not merge. */
u64 khx_merge_settle_seed(struct khx_merge_file *file, struct folio *folio,
			  const struct khx_merge_rules *rules)
{
	u64 seed = file->domain->seed;

	return rules->across_nodes ? seed : seed + 1 + folio_nid(folio);
}

/* Of all bytes. */
static u64 khx_merge_settle_sum(struct khx_merge_file *file, struct folio *folio,
				u64 seed)
{
	khx_merge_file_count(file, KHX_MERGE_STAT_LOOKS, 1);
	return khx_merge_contents_sum(folio_page(folio, 0), seed);
}

static bool khx_merge_settle_equal(struct folio *a, struct folio *b)
{
	return khx_merge_contents_equal(folio_page(a, 0), folio_page(b, 0));
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

/*
 * A page that changes is hashed as it is, mapped. Returns whether it is what it
 * was at the last look.
 */
static bool khx_merge_settle_is_steady(struct khx_merge_file *file, pgoff_t index,
				       struct folio *folio)
{
	u64 sum = khx_merge_settle_sum(file, folio, file->domain->seed);

	if (test_bit(KHX_MERGE_FOLIO_SUMMED, &folio->index)) {
		if ((u64)folio->private == sum)
			return true;
		khx_merge_file_count(file, KHX_MERGE_STAT_CHANGED, 1);
		khx_merge_history_written(file, index);
	}
	khx_merge_page_unknow(file, index, folio);
	folio->private = (void *)sum;
	set_bit(KHX_MERGE_FOLIO_SUMMED, &folio->index);
	return false;
}

/* Shall the page be unmapped? It may be written while this looks at it. */
static bool khx_merge_settle_wants(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio)
{
	if (test_bit(KHX_MERGE_FOLIO_CLEAN, &folio->index))
		return khx_merge_history_ready(file, index);
	return !test_bit(KHX_MERGE_FOLIO_VOLATILE, &folio->index) ||
	       khx_merge_settle_is_steady(file, index, folio);
}

bool khx_merge_settle_look(struct khx_merge_file *file, pgoff_t index,
			   struct folio *folio)
{
	if (!khx_merge_history_prepare(file, index) ||
	    !khx_merge_settle_wants(file, index, folio))
		return false;
	if (!khx_merge_settle_busy(folio))
		return true;
	khx_merge_file_count(file, KHX_MERGE_STAT_BUSY, 1);
	return false;
}

static enum khx_merge_outcome
khx_merge_settle_stable(struct khx_merge_file *file, pgoff_t index,
			struct folio *folio, u64 key,
			const struct khx_merge_rules *rules)
{
	struct khx_merge_stable *stable;

	stable = khx_merge_stable_find(file->domain, key, rules->max_sharing);
	if (!stable)
		return KHX_MERGE_SETTLE_ALONE;
	if (!khx_merge_settle_equal(folio, stable->folio)) {
		khx_merge_stable_put(stable);
		return KHX_MERGE_SETTLE_OTHER;
	}
	khx_merge_page_merge(file, index, folio, stable);
	return KHX_MERGE_SETTLE_DONE;
}

static void khx_merge_settle_walk(struct khx_merge_file *file, pgoff_t index)
{
	u64 start = ktime_get_ns();

	unmap_mapping_pages(file->inode.i_mapping, index, 1, false);
	khx_merge_settle_walked += ktime_get_ns() - start;
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
		if (folio_mapped(other))
			khx_merge_settle_walk(file, index);
		if (khx_merge_page_isolated(other))
			return true;
		khx_merge_file_count(file, KHX_MERGE_STAT_BUSY, 1);
	}
	khx_merge_page_unknow(file, index, other);
	khx_merge_index_mark(file, index, true);
	return false;
}

/* A candidate gives its key up: the next pass finds it another. */
static void khx_merge_settle_unlist(struct khx_merge_file *file, pgoff_t index,
				    struct folio *folio)
{
	clear_bit(KHX_MERGE_FOLIO_CANDIDATE, &folio->index);
	khx_merge_candidate_remove(file, index, (u64)folio->private);
	khx_merge_index_mark(file, index, true);
}

static enum khx_merge_outcome
khx_merge_settle_with(struct khx_merge_file *file, pgoff_t index,
		      struct folio *folio, u64 key,
		      struct khx_merge_file *other_file, pgoff_t other_index,
		      struct folio *other)
{
	struct khx_merge_stable *stable;

	if (!test_bit(KHX_MERGE_FOLIO_CANDIDATE, &other->index) ||
	    (u64)other->private != key)
		return KHX_MERGE_SETTLE_LATER;
	/* The page that asks stays unmapped: next time it only needs this. */
	if (folio_mapped(other) &&
	    (khx_merge_settle_walked > KHX_MERGE_SETTLE_WALK_NS ||
	     !khx_merge_file_may_unmap(other_file)))
		return KHX_MERGE_SETTLE_LATER;
	if (!khx_merge_settle_available(other_file, other_index, other))
		return KHX_MERGE_SETTLE_ALONE;
	if (!khx_merge_settle_equal(folio, other)) {
		khx_merge_settle_unlist(other_file, other_index, other);
		return KHX_MERGE_SETTLE_OTHER;
	}
	stable = khx_merge_stable_create(file->domain, key, folio);
	if (!stable)
		return KHX_MERGE_SETTLE_LATER;

	/* Both share it before the first may leave: a write can come at once. */
	khx_merge_stable_get(stable);
	khx_merge_page_merge(file, index, folio, stable);
	khx_merge_pool_give(folio);
	khx_merge_page_merge(other_file, other_index, other, stable);
	return KHX_MERGE_SETTLE_DONE;
}

static enum khx_merge_outcome
khx_merge_settle_pair(struct khx_merge_file *file, pgoff_t index,
		      struct folio *folio, u64 key)
{
	struct khx_merge_file *other_file;
	enum khx_merge_outcome outcome;
	pgoff_t other_index;
	struct folio *other;

	other_file = khx_merge_candidate_find(file->domain, key, &other_index);
	if (!other_file || (other_file == file && other_index == index))
		return KHX_MERGE_SETTLE_ALONE;
	other = khx_merge_index_trylock(other_file, other_index);
	if (!other)
		return KHX_MERGE_SETTLE_LATER;
	outcome = khx_merge_settle_with(file, index, folio, key, other_file,
					other_index, other);
	khx_merge_index_unlock(other);
	return outcome;
}

/* Looks for an equal of the page among those known by @key. */
static enum khx_merge_outcome
khx_merge_settle_find(struct khx_merge_file *file, pgoff_t index,
		      struct folio *folio, u64 key,
		      const struct khx_merge_rules *rules)
{
	enum khx_merge_outcome outcome;

	outcome = khx_merge_settle_stable(file, index, folio, key, rules);
	if (outcome == KHX_MERGE_SETTLE_ALONE)
		outcome = khx_merge_settle_pair(file, index, folio, key);
	return outcome;
}

static void khx_merge_settle_alone(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio, u64 key)
{
	if (!khx_merge_candidate_add(file, index, key))
		return;
	folio->private = (void *)key;
	set_bit(KHX_MERGE_FOLIO_CANDIDATE, &folio->index);
	khx_merge_index_mark(file, index, false);
	khx_merge_index_know(file, index);
}

/* Returns whether the page, isolated and clean, was merged. */
static bool khx_merge_settle_merge(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio,
				   const struct khx_merge_rules *rules)
{
	u64 seed = khx_merge_settle_seed(file, folio, rules), key;
	enum khx_merge_outcome outcome;

	khx_merge_file_count(file, KHX_MERGE_STAT_LOOKS, 1);
	if (rules->zero_pages && khx_merge_contents_zero(folio_page(folio, 0))) {
		khx_merge_page_zero(file, index, folio);
		return true;
	}

	key = khx_merge_contents_sample(folio_page(folio, 0), seed);
	outcome = khx_merge_settle_find(file, index, folio, key, rules);
	if (outcome == KHX_MERGE_SETTLE_OTHER) {
		khx_merge_domain_contest(file->domain, key);
		outcome = KHX_MERGE_SETTLE_ALONE;
	}
	if (outcome == KHX_MERGE_SETTLE_ALONE &&
	    khx_merge_domain_is_contested(file->domain, key)) {
		key = khx_merge_settle_sum(file, folio, ~seed);
		outcome = khx_merge_settle_find(file, index, folio, key, rules);
	}
	if (outcome == KHX_MERGE_SETTLE_ALONE)
		khx_merge_settle_alone(file, index, folio, key);
	else if (outcome == KHX_MERGE_SETTLE_OTHER)	/* 64 bits collide: no accident */
		khx_merge_index_mark(file, index, false);
	return outcome == KHX_MERGE_SETTLE_DONE;
}

/*
 * Isolated, so what it holds now it holds until a write takes the mark of being
 * clean. Returns whether it was merged.
 */
static bool khx_merge_settle_page(struct khx_merge_file *file, pgoff_t index,
				  struct folio *folio,
				  const struct khx_merge_rules *rules)
{
	bool was_clean, was_summed;

	if (!khx_merge_page_isolated(folio)) {
		khx_merge_file_count(file, KHX_MERGE_STAT_BUSY, 1);
		return false;
	}
	was_clean = test_and_set_bit(KHX_MERGE_FOLIO_CLEAN, &folio->index);
	if (!was_clean) {
		was_summed = test_and_clear_bit(KHX_MERGE_FOLIO_SUMMED,
						&folio->index);
		/* Step 1, but for a page that was found the same by step 3. */
		if (!was_summed || !khx_merge_history_ready(file, index))
			return false;
	}
	return khx_merge_settle_merge(file, index, folio, rules);
}

/* A page that is mapped nowhere stays so until it is unlocked; others are busy. */
static void khx_merge_settle_unmap(struct khx_merge_run *run)
{
	unsigned int i;

	for (i = 0; i < run->nr; i++)
		if (folio_mapped(run->folios[i]))
			break;
	if (i < run->nr && khx_merge_file_may_unmap(run->file))
		unmap_mapping_pages(run->file->inode.i_mapping, run->start,
				    run->nr, false);
}

void khx_merge_settle_run(struct khx_merge_run *run,
			  const struct khx_merge_rules *rules,
			  struct khx_merge_progress *progress)
{
	unsigned int i, merged = 0;

	khx_merge_settle_walked = 0;
	khx_merge_settle_unmap(run);
	for (i = 0; i < run->nr; i++) {
		struct folio *folio = run->folios[i];
		bool done = khx_merge_settle_page(run->file, run->start + i,
						  folio, rules);

		folio_unlock(folio);
		if (done)
			run->folios[merged++] = folio;
		else
			folio_put(folio);
	}
	/* Frames are given back together, which costs half. */
	khx_release_folios(run->folios, merged);
	progress->gains += merged;
	run->nr = 0;
}
