// SPDX-License-Identifier: GPL-2.0
/* Which keys have been seen in pages of 2 MiB, and where. */
#include <linux/log2.h>
#include <linux/mm.h>

#include "block.h"
#include "domain.h"
#include "file.h"
#include "hint.h"

struct khx_merge_hint {
	u64 key;
	u32 ino;
	u32 index;
};

static atomic_long_t khx_merge_hints;	/* places, of all domains */

/* Twice the room that is needed, so that few are displaced too early: 0.8 %. */
#define KHX_MERGE_HINT_PER_BLOCK	(2 * KHX_MERGE_BLOCK_PAGES)

void khx_merge_hint_prepare(struct khx_merge_domain *domain)
{
	unsigned long blocks = khx_merge_stats_read(&domain->stats,
						    KHX_MERGE_HUGE);
	unsigned long n = roundup_pow_of_two(max(blocks, 16UL) *
					     KHX_MERGE_HINT_PER_BLOCK);
	struct khx_merge_hint *hints;

	if (n <= domain->nr_hints)
		return;
	/* Everyone waits for the scanner: it does not go far to find memory. */
	hints = kvcalloc(n, sizeof(*hints), GFP_KERNEL | __GFP_NOWARN |
			 __GFP_NORETRY);
	if (!hints)
		return;
	/* What was known is seen again in the next round. */
	khx_merge_hint_free(domain);
	domain->hints = hints;
	domain->nr_hints = n;
	atomic_long_add(n, &khx_merge_hints);
}

bool khx_merge_hint_elsewhere(struct khx_merge_file *file, pgoff_t index, u64 key)
{
	struct khx_merge_domain *domain = file->domain;
	struct khx_merge_hint *hint;
	bool elsewhere;

	if (!domain->nr_hints)
		return false;
	hint = &domain->hints[key & (domain->nr_hints - 1)];
	elsewhere = hint->key == key && (hint->ino != (u32)file->inode.i_ino ||
					 hint->index != (u32)index);
	hint->key = key;
	hint->ino = file->inode.i_ino;
	hint->index = index;
	return elsewhere;
}

void khx_merge_hint_free(struct khx_merge_domain *domain)
{
	kvfree(domain->hints);
	atomic_long_sub(domain->nr_hints, &khx_merge_hints);
	domain->hints = NULL;
	domain->nr_hints = 0;
}

size_t khx_merge_hint_bytes(void)
{
	return atomic_long_read(&khx_merge_hints) *
	       sizeof(struct khx_merge_hint);
}
