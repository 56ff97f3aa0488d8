/* SPDX-License-Identifier: GPL-2.0 */
/* Where the pages of files come from, and who pays for them. */
#ifndef KHX_MERGE_ALLOC_H
#define KHX_MERGE_ALLOC_H

#include <linux/mm_types.h>

struct khx_merge_file;

/*
 * The guest's owner pays: between these two, what is allocated with __GFP_ACCOUNT is
 * charged to the cgroup of @vma's mm (not always the current task's: KVM faults
 * asynchronously from a kernel thread), or without @vma to the file's.
 */
struct khx_merge_payer {
	struct mem_cgroup *memcg, *old;
};

void khx_merge_payer_enter(struct khx_merge_payer *payer,
			   struct khx_merge_file *file,
			   struct vm_area_struct *vma);
void khx_merge_payer_leave(struct khx_merge_payer *payer);
/* Who pays for @from pays for @to instead. */
void khx_merge_payer_move(struct folio *to, struct folio *from);

/* All return a page that is locked, with one reference, or NULL. */

/*
 * For @addr of @vma, which a fault wants; without @vma, for nobody's fault: on
 * @node, or where the task's policy says for NUMA_NO_NODE.
 */
struct folio *khx_merge_alloc_small(struct khx_merge_file *file,
				    struct vm_area_struct *vma,
				    unsigned long addr, int node, bool zeroed);
/* The same of 2 MiB, all zeros, if that is to be had without much ado. */
struct folio *khx_merge_alloc_huge(struct khx_merge_file *file,
				   struct vm_area_struct *vma,
				   unsigned long addr);
/* A copy of @from on its node, on nobody's behalf, with GFP_KERNEL or GFP_NOWAIT. */
struct folio *khx_merge_alloc_copy(struct khx_merge_file *file,
				   struct page *from, gfp_t gfp);

#endif /* KHX_MERGE_ALLOC_H */
