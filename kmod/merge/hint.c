// SPDX-License-Identifier: GPL-2.0
/* Which keys have been seen in pages of 2 MiB, and where. */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "alloc.h"
#include "block.h"
#include "domain.h"
#include "file.h"
#include "hint.h"
#include "index.h"

struct khx_merge_hint {
	u64 key;
	u32 ino;
	u32 index;
};

/* Places come a page at a time, where a key falls first. */
#define KHX_MERGE_HINT_SHIFT	8

struct khx_merge_hints {
	struct khx_merge_hint place[1 << KHX_MERGE_HINT_SHIFT];
};

/* What a domain's scanner has seen, until most of it is of no use any more. */
struct khx_merge_hint_table {
	struct xarray pages;
	unsigned long nr_places;	/* that there may be, a power of two */
};

static atomic_long_t khx_merge_hint_nr_pages;	/* pages of places, of all tables */

/* Twice the room that is needed, or more, so that few are displaced too early. */
#define KHX_MERGE_HINT_PER_BLOCK	(2 * KHX_MERGE_BLOCK_PAGES)

/*
 * The most that a file's owner pays for, as a key of his falls on any place of the
 * domain: not for his neighbours' room, who may have much more. Twice what a file has
 * to bring, as the number of places is rounded up.
 */
#define KHX_MERGE_HINT_PAGES_PER_BLOCK					\
	(2 * KHX_MERGE_HINT_PER_BLOCK >> KHX_MERGE_HINT_SHIFT)

void khx_merge_hint_free(struct khx_merge_hint_table *table)
{
	struct khx_merge_hints *hints;
	unsigned long i;

	if (!table)
		return;
	xa_for_each(&table->pages, i, hints) {
		kfree(hints);
		atomic_long_dec(&khx_merge_hint_nr_pages);
		cond_resched();
	}
	xa_destroy(&table->pages);
	kfree(table);
}

static unsigned long khx_merge_hint_room(long blocks)
{
	return roundup_pow_of_two(max(blocks, 16L) * KHX_MERGE_HINT_PER_BLOCK);
}

struct khx_merge_hint_table *khx_merge_hint_trim(struct khx_merge_domain *domain)
{
	struct khx_merge_hint_table *table = domain->hints;
	long blocks = atomic_long_read(&domain->nr_blocks);
	unsigned long n = blocks ? khx_merge_hint_room(blocks) : 0;

	if (!table || n >= table->nr_places / 4)
		return NULL;
	domain->hints = NULL;
	domain->hints_epoch++;
	return table;
}

static struct khx_merge_hint_table *khx_merge_hint_create(void)
{
	struct khx_merge_hint_table *table;

	table = kzalloc(sizeof(*table), GFP_NOWAIT | __GFP_NOWARN);
	if (table)
		xa_init_flags(&table->pages, XA_FLAGS_ACCOUNT);
	return table;
}

void khx_merge_hint_prepare(struct khx_merge_domain *domain)
{
	unsigned long n = khx_merge_hint_room(atomic_long_read(&domain->nr_blocks));

	if (!domain->hints)
		domain->hints = khx_merge_hint_create();
	/* Most keys have another place then: they are seen again in the next round. */
	if (domain->hints)
		domain->hints->nr_places = max(domain->hints->nr_places, n);
}

static bool khx_merge_hint_may_add(struct khx_merge_file *file)
{
	unsigned long blocks = khx_merge_stats_read(&file->stats, KHX_MERGE_STAT_HUGE);

	if (file->hints_epoch != file->domain->hints_epoch) {
		file->hints_epoch = file->domain->hints_epoch;
		file->nr_hint_pages = 0;
	}
	return file->nr_hint_pages < blocks * KHX_MERGE_HINT_PAGES_PER_BLOCK;
}

/* Everyone waits for the scanner: it does not go far to find memory. */
static struct khx_merge_hints *khx_merge_hint_add(struct khx_merge_file *file,
						  unsigned long i)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT;
	struct khx_merge_hints *hints;
	struct khx_merge_payer payer;

	if (!khx_merge_hint_may_add(file))
		return NULL;
	khx_merge_payer_enter(&payer, file, NULL);
	hints = kzalloc(sizeof(*hints), gfp);
	if (hints && xa_err(xa_store(&file->domain->hints->pages, i, hints, gfp))) {
		kfree(hints);
		hints = NULL;
	}
	khx_merge_payer_leave(&payer);
	if (hints) {
		atomic_long_inc(&khx_merge_hint_nr_pages);
		file->nr_hint_pages++;
	}
	return hints;
}

bool khx_merge_hint_elsewhere(struct khx_merge_file *file, pgoff_t index, u64 key)
{
	struct khx_merge_hint_table *table = file->domain->hints;
	struct khx_merge_hints *hints;
	struct khx_merge_hint *hint;
	unsigned long place, i;
	bool elsewhere;

	if (!table)
		return false;
	place = key & (table->nr_places - 1);
	i = place >> KHX_MERGE_HINT_SHIFT;
	hints = xa_load(&table->pages, i) ?: khx_merge_hint_add(file, i);
	if (!hints)
		return false;
	hint = &hints->place[place % ARRAY_SIZE(hints->place)];
	elsewhere = hint->key == key && (hint->ino != (u32)file->inode.i_ino ||
					 hint->index != (u32)index);
	hint->key = key;
	hint->ino = file->inode.i_ino;
	hint->index = index;
	return elsewhere;
}

size_t khx_merge_hint_bytes(void)
{
	return atomic_long_read(&khx_merge_hint_nr_pages) *
	       (sizeof(struct khx_merge_hints) + KHX_MERGE_NODE_PART);
}
