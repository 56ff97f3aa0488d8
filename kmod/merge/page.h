/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_PAGE_H
#define KHX_MERGE_PAGE_H

#include <linux/mm_types.h>

struct khx_merge_file;
struct khx_merge_stable;

/*
 * All return the page locked and with a reference, or an ERR_PTR(): -ENOMEM,
 * -ENOSPC when the mount is full, -EHWPOISON when the merged copy that would be
 * replaced is in bad memory. @vma and @addr say where it is wanted, for
 * the memory policy and the cgroup; @vma is NULL when no mapping is at work. It may
 * be one of 2 MiB: khx_merge_block_page() says what of it is at @index.
 */
struct folio *khx_merge_page_readable(struct khx_merge_file *file, pgoff_t index,
				      struct vm_area_struct *vma,
				      unsigned long addr);
struct folio *khx_merge_page_writable(struct khx_merge_file *file, pgoff_t index,
				      struct vm_area_struct *vma,
				      unsigned long addr);

/*
 * Unmerging, scan lock held: what is merged gets a frame of its own, what is merged
 * no more is left alone. 0, -ENOMEM or -EHWPOISON.
 */
int khx_merge_page_unmerge(struct khx_merge_file *file, pgoff_t index);

/* Page locked and private: it is about to be written. */
void khx_merge_page_touch(struct khx_merge_file *file, pgoff_t index,
			  struct folio *folio);

/*
 * Anyone who may sleep: whatever is at @index gives its room back, and reads as zeros
 * from here on: a hole or a zero page. With @zeros always a hole: beyond the end,
 * where nobody can write any more.
 */
void khx_merge_page_drop(struct khx_merge_file *file, pgoff_t index, bool zeros);
/*
 * A hole, where nobody can write: but for the room that it took. Returns whether it
 * took any, which is the caller's from here on.
 */
bool khx_merge_page_remove(struct khx_merge_file *file, pgoff_t index);

/*
 * Scanner, page locked and unmapped: nobody can reach its contents until it is
 * unlocked, if this says so.
 */
bool khx_merge_page_isolated(struct folio *folio);
/* Scanner, page locked and isolated: it gives up its frame. */
void khx_merge_page_merge(struct khx_merge_file *file, pgoff_t index,
			  struct folio *folio, struct khx_merge_stable *stable);
void khx_merge_page_zero(struct khx_merge_file *file, pgoff_t index,
			 struct folio *folio);

/* Page locked and private: forgets what the scanner knew of it. */
void khx_merge_page_unknow(struct khx_merge_file *file, pgoff_t index,
			   struct folio *folio);

#endif /* KHX_MERGE_PAGE_H */
