/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blocks: the 2 MiB of a file that one page can hold, on mounts with huge=always.
 * See the DOC: block of block.c. Elsewhere there are none, and all of these find
 * nothing.
 */
#ifndef KHX_MERGE_BLOCK_H
#define KHX_MERGE_BLOCK_H

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pgtable.h>

struct khx_merge_file;

#define KHX_MERGE_BLOCK_ORDER	(PMD_SHIFT - PAGE_SHIFT)
#define KHX_MERGE_BLOCK_PAGES	(1UL << KHX_MERGE_BLOCK_ORDER)

/* What @folio, small or of 2 MiB, has at @index. */
static inline struct page *khx_merge_block_page(struct folio *folio,
						pgoff_t index)
{
	return folio_page(folio, index & (folio_nr_pages(folio) - 1));
}

/* Anyone: the 2 MiB page at @index with a reference, or NULL. */
struct folio *khx_merge_block_get(struct khx_merge_file *file, pgoff_t index);
/*
 * Anyone who may sleep: the same, locked, and made if there is nothing yet. NULL
 * if the block is in small pages, or an ERR_PTR(). @vma and @addr as for
 * khx_merge_page_writable().
 */
struct folio *khx_merge_block_lock(struct khx_merge_file *file, pgoff_t index,
				   struct vm_area_struct *vma,
				   unsigned long addr);
/* Who holds a reference to @folio must not wait: locks it if it is at @index. */
bool khx_merge_block_trylock(struct khx_merge_file *file, pgoff_t index,
			     struct folio *folio);

/*
 * Scanner: if the block of @index is huge, it is so no more. 0, -EBUSY when someone
 * holds one of its locks or its page, -ENOMEM when memory would have to be waited
 * for, or -EHWPOISON when part of it is bad memory.
 */
int khx_merge_block_try_split(struct khx_merge_file *file, pgoff_t index);
/*
 * Anyone who may sleep: the block of @index is not huge, and never will be. 0,
 * -ENOMEM, -EBUSY when someone holds its page, or -EHWPOISON.
 */
int khx_merge_block_forbid(struct khx_merge_file *file, pgoff_t index);
/*
 * Anyone who may sleep: 2 MiB pages in [@start, @end) go. Those that are only
 * partly in there are split; where that fails, the part is zeroed.
 */
void khx_merge_block_drop(struct khx_merge_file *file, pgoff_t start,
			  pgoff_t end);

/* The block lock, for who holds a reference to the page for long. */
struct mutex *khx_merge_block_mutex(struct khx_merge_file *file, pgoff_t index);

/* Once for the memory of a file, whatever file it is then. */
void khx_merge_block_init_once(struct khx_merge_file *file);

#endif /* KHX_MERGE_BLOCK_H */
