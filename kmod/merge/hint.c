// SPDX-License-Identifier: GPL-2.0
/* Which keys have been seen in pages of 2 MiB, and where. */
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "alloc.h"
#include "block.h"
#include "domain.h"
#include "file.h"
#include "hint.h"

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

static atomic_long_t khx_merge_hints;	/* pages of places, of all domains */

/* Twice the room that is needed, or more, so that few are displaced too early. */
#define KHX_MERGE_HINT_PER_BLOCK	(2 * KHX_MERGE_BLOCK_PAGES)

void khx_merge_hint_prepare(struct khx_merge_domain *domain)
{
	unsigned long blocks = khx_merge_stats_read(&domain->stats,
						    KHX_MERGE_HUGE);
	unsigned long n = roundup_pow_of_two(max(blocks, 16UL) *
					     KHX_MERGE_HINT_PER_BLOCK);

	/* Most keys have another place then: they are seen again in the next round. */
	domain->nr_hints = max(domain->nr_hints, n);
}

/* Everyone waits for the scanner: it does not go far to find memory. */
static struct khx_merge_hints *khx_merge_hint_add(struct khx_merge_file *file,
						  unsigned long i)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT;
	struct khx_merge_hints *hints;
	struct khx_merge_payer payer;

	khx_merge_payer_enter(&payer, file, NULL);
	hints = kzalloc(sizeof(*hints), gfp);
	if (hints && xa_err(xa_store(&file->domain->hints, i, hints, gfp))) {
		kfree(hints);
		hints = NULL;
	}
	khx_merge_payer_leave(&payer);
	if (hints)
		atomic_long_inc(&khx_merge_hints);
	return hints;
}

bool khx_merge_hint_elsewhere(struct khx_merge_file *file, pgoff_t index, u64 key)
{
	struct khx_merge_domain *domain = file->domain;
	unsigned long place = key & (domain->nr_hints - 1);
	unsigned long i = place >> KHX_MERGE_HINT_SHIFT;
	struct khx_merge_hints *hints;
	struct khx_merge_hint *hint;
	bool elsewhere;

	hints = xa_load(&domain->hints, i) ?: khx_merge_hint_add(file, i);
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

void khx_merge_hint_free(struct khx_merge_domain *domain)
{
	struct khx_merge_hints *hints;
	unsigned long i;

	xa_for_each(&domain->hints, i, hints) {
		kfree(hints);
		atomic_long_dec(&khx_merge_hints);
	}
	xa_destroy(&domain->hints);
}

size_t khx_merge_hint_bytes(void)
{
	return atomic_long_read(&khx_merge_hints) *
	       sizeof(struct khx_merge_hints);
}
