// SPDX-License-Identifier: GPL-2.0
/* Where the pages of files come from, and who pays for them. */
#include <linux/gfp.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>

#include "alloc.h"
#include "block.h"
#include "file.h"

/* None of them is movable: nothing could move them. */
#define KHX_MERGE_ALLOC_SMALL	(GFP_HIGHUSER | __GFP_ACCOUNT)
/* Whoever is out of memory gets small pages, and errors by them. */
#define KHX_MERGE_ALLOC_HUGE	(KHX_MERGE_ALLOC_SMALL | __GFP_COMP |	\
				 __GFP_NOMEMALLOC | __GFP_NORETRY |	\
				 __GFP_NOWARN | __GFP_ZERO)
/* Who can return an error has no reason to have a task killed. */
#define KHX_MERGE_ALLOC_MAY_FAIL	(__GFP_RETRY_MAYFAIL | __GFP_NOWARN)

/* The last process of an mm may be gone while others still use its memory. */
static bool khx_merge_is_owned(const struct vm_area_struct *vma)
{
#ifdef CONFIG_MEMCG
	return rcu_access_pointer(vma->vm_mm->owner);
#else
	return true;
#endif
}

void khx_merge_payer_enter(struct khx_merge_payer *payer,
			   struct khx_merge_file *file,
			   struct vm_area_struct *vma)
{
	payer->memcg = READ_ONCE(file->memcg);
	if (vma && khx_merge_is_owned(vma))
		payer->memcg = get_mem_cgroup_from_mm(vma->vm_mm);
	else if (payer->memcg)
		css_get(&payer->memcg->css);
	payer->old = set_active_memcg(payer->memcg);
}

void khx_merge_payer_leave(struct khx_merge_payer *payer)
{
	set_active_memcg(payer->old);
	mem_cgroup_put(payer->memcg);
}

/*
 * A page of the kernel's, as ours are to cgroups, carries its charge until it is
 * freed; nothing but its one word knows of it.
 */
void khx_merge_payer_move(struct folio *to, struct folio *from)
{
#ifdef CONFIG_MEMCG
	to->memcg_data = from->memcg_data;
	from->memcg_data = 0;
#endif
}

/* Without @vma: on @node, or NUMA_NO_NODE for what the task's policy says. */
static struct folio *khx_merge_alloc(struct khx_merge_file *file, gfp_t gfp,
				     unsigned int order,
				     struct vm_area_struct *vma,
				     unsigned long addr, int node)
{
	struct khx_merge_payer payer;
	struct folio *folio;

	khx_merge_payer_enter(&payer, file, vma);
	if (vma)
		folio = vma_alloc_folio(gfp, order, vma, addr, order);
	else if (node == NUMA_NO_NODE)
		folio = folio_alloc(gfp, order);
	else
		folio = __folio_alloc_node(gfp, order, node);
	khx_merge_payer_leave(&payer);
	if (!folio)
		return NULL;

	__folio_set_swapbacked(folio);
	__folio_set_locked(folio);
	__folio_mark_uptodate(folio);
	folio->index = 0;
	folio->private = NULL;
	return folio;
}

/*
 * A fault that gets no memory has nowhere to go, so it may have the OOM killer
 * find some. Least of all is undoing merges a reason to kill a guest.
 */
struct folio *khx_merge_alloc_small(struct khx_merge_file *file,
				    struct vm_area_struct *vma,
				    unsigned long addr, int node, bool zeroed)
{
	gfp_t gfp = KHX_MERGE_ALLOC_SMALL | (zeroed ? __GFP_ZERO : 0) |
		    (vma ? 0 : KHX_MERGE_ALLOC_MAY_FAIL);

	return khx_merge_alloc(file, gfp, 0, vma, addr, node);
}

struct folio *khx_merge_alloc_huge(struct khx_merge_file *file,
				   struct vm_area_struct *vma,
				   unsigned long addr)
{
	return khx_merge_alloc(file, KHX_MERGE_ALLOC_HUGE, KHX_MERGE_BLOCK_ORDER,
			       vma, addr, NUMA_NO_NODE);
}

struct folio *khx_merge_alloc_copy(struct khx_merge_file *file,
				   struct page *from, gfp_t gfp)
{
	struct folio *folio;

	gfp |= __GFP_HIGHMEM | __GFP_ACCOUNT | KHX_MERGE_ALLOC_MAY_FAIL;
	folio = khx_merge_alloc(file, gfp, 0, NULL, 0, page_to_nid(from));
	if (folio)
		copy_highpage(folio_page(folio, 0), from);
	return folio;
}
