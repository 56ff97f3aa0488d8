// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: when a 2 MiB page is split
 *
 * A page of 2 MiB spares its guest TLB misses, and split ones do not come back. So
 * the scanner splits one only if at least a quarter of its 512 small pages would
 * then need no frame of their own, at two looks one after the other:
 *
 * * pages of zeros, which become holes;
 * * pages whose key is that of a merged copy or of a candidate of the domain;
 * * pages whose key was last seen in another place of some 2 MiB page (hint.h).
 *
 * Looking takes no page from anyone: it reads samples, mapped as they are. Whether
 * pages are really equal, and stay so, is found out as for all small pages, after
 * the split. Every eighth pass looks at a 2 MiB page. What was seen takes 0.8 to 1.6 %
 * of the memory that is in 2 MiB pages, which their owners pay for, none more than
 * 1.6 % of his. It is given back when three quarters of those pages are gone: when
 * the scanner comes to a file of the domain, or one of its files ends.
 *
 * The small pages have to be there before the 2 MiB go, and be allowed by the
 * owner's cgroup. If they are not at once, it is tried again eight passes later.
 */
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>

#include "block.h"
#include "candidate.h"
#include "contents.h"
#include "file.h"
#include "hint.h"
#include "scan.h"
#include "settle.h"
#include "split.h"
#include "stable.h"

#define KHX_MERGE_SPLIT_MIN	(KHX_MERGE_BLOCK_PAGES / 4)
/* A look reads an eighth of each page. */
#define KHX_MERGE_SPLIT_BUDGET	((unsigned int)KHX_MERGE_BLOCK_PAGES / 8)

/* Would the page at @index need no frame of its own, as far as one can tell? */
static bool khx_merge_split_worth(struct khx_merge_file *file,
				  pgoff_t index, struct page *page, u64 seed)
{
	struct khx_merge_domain *domain = file->domain;
	pgoff_t other;
	u64 key;

	if (khx_merge_contents_zero(page))
		return true;
	key = khx_merge_contents_sample(page, seed);
	/* This first, as it also leaves the hint. */
	return khx_merge_hint_elsewhere(file, index, key) ||
	       khx_merge_stable_exists(domain, key) ||
	       khx_merge_candidate_find(domain, key, &other);
}

static unsigned int khx_merge_split_look(struct khx_merge_file *file,
					 pgoff_t first, struct folio *folio,
					 const struct khx_merge_rules *rules)
{
	u64 seed = khx_merge_settle_seed(file, folio, rules);
	unsigned int worth = 0, i;

	for (i = 0; i < KHX_MERGE_BLOCK_PAGES; i++) {
		/* It must not be read, nor can the others be split off from it. */
		if (PageHWPoison(folio_page(folio, i)))
			return 0;
		worth += khx_merge_split_worth(file, first + i,
					       folio_page(folio, i), seed);
		cond_resched();
	}
	khx_merge_file_count(file, KHX_MERGE_STAT_LOOKS, KHX_MERGE_BLOCK_PAGES);
	return worth;
}

/* Does it pay, now and at the last look? */
static bool khx_merge_split_pays(struct khx_merge_file *file, pgoff_t first,
				 const struct khx_merge_rules *rules)
{
	struct mutex *mutex = khx_merge_block_mutex(file, first);
	unsigned long worth, last = 0;
	struct folio *folio;

	/* Who wants to split it shall not find our reference. */
	if (!mutex_trylock(mutex))
		return false;
	folio = khx_merge_block_get(file, first);
	if (folio) {
		worth = khx_merge_split_look(file, first, folio, rules);
		last = min_t(unsigned long, worth,
			     (unsigned long)folio->private);
		folio->private = (void *)worth;
		folio_put(folio);
	}
	mutex_unlock(mutex);
	return last >= KHX_MERGE_SPLIT_MIN;
}

enum khx_merge_turn_end khx_merge_split_scan(struct khx_merge_scan *scan,
					     struct khx_merge_file *file)
{
	struct khx_merge_turn *turn = &scan->turn;
	unsigned long block;
	void *entry;

	khx_merge_hint_free(khx_merge_hint_trim(file->domain));
	xa_for_each_start(&file->blocks, block, entry, turn->block) {
		pgoff_t first = block << KHX_MERGE_BLOCK_ORDER;

		turn->block = block;
		if (khx_merge_scan_must_pause(scan))
			return KHX_MERGE_TURN_PAUSED;
		if (xa_is_value(entry))
			continue;
		if (turn->left < KHX_MERGE_BLOCK_PAGES)
			break;
		turn->left -= KHX_MERGE_BLOCK_PAGES;
		turn->block = block + 1;
		if ((block + scan->round) % KHX_MERGE_SPLIT_ROUNDS)
			continue;
		scan->budget -= min(scan->budget, KHX_MERGE_SPLIT_BUDGET);
		khx_merge_hint_prepare(file->domain);
		if (khx_merge_split_pays(file, first, scan->rules) &&
		    !khx_merge_block_try_split(file, first)) {
			turn->left += KHX_MERGE_BLOCK_PAGES;
			scan->progress->gains++;
		}
	}
	turn->block = ULONG_MAX;
	return KHX_MERGE_TURN_OVER;
}
