// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: page states and their locking
 *
 * Each place of a file is in one of four states, which its entry in the file's
 * page index tells:
 *
 * * **hole**: no entry. Reads as zeros, holds no memory.
 * * **zero**: the entry is one of the module's zero pages, which page tables may
 *   map read-only. Holds no memory.
 * * **private**: the entry is a page of this place alone.
 * * **merged**: the entry is a merged copy, which never changes. Page tables may
 *   map it read-only; other places, of any file of the domain, share it.
 *
 * The transitions, and who makes them::
 *
 *     hole ----- read fault ----> zero
 *     hole, zero, merged -- write fault, write(2), fallocate --> private
 *     merged ---- run=2 --------> private
 *     hole ------ split of 2 MiB -> private (and back, if it fails)
 *     private --- scanner ------> merged, or hole if it is all zeros
 *     merged ---- punch hole ---> zero
 *     private --- punch hole ---> hole
 *     any ------- truncate, last close --> hole
 *
 * Where pages may not be shared, on a nomerge mount and for a minute on a strict one,
 * a read fault does what a write fault does.
 *
 * **Lock.** An entry is guarded by the lock of the page it names: whoever holds
 * that lock, after checking that the entry still names the page, owns the
 * entry. That lock serves because a fault handler may return its page locked
 * and the core sets the page table entry before it unlocks it. So "the entry
 * names this page" and "page tables map this page here" change together. A
 * hole has no page to lock: leaving that state is a compare-and-exchange, and
 * nothing is unmapped then, so a page becomes a hole after it has been unmapped. But
 * for a zero page, where nobody can write any more: it is unmapped after its place was
 * made a hole, by who made it one; until then who has it mapped reads zeros, as the
 * hole would have him do.
 *
 * The lock of a zero page or a merged copy is everyone's: nobody allocates or walks page
 * tables with it. Whoever leaves such a page lets go of it as soon as the entry names
 * another one, and then unmaps it.
 *
 * **Order.** control lock (for a batch of the scanner, and to change a setting), then
 * scan lock, then page lock, then i_mmap_rwsem (read, inside unmap_mapping_pages()),
 * then page table lock. A page made private is locked
 * before the page it replaces, but nobody else can know it yet. The scanner
 * takes page locks by trylock only; unmerging waits for those of small pages, with
 * the scan lock held. The domain's spinlock and the xarray's are innermost.
 *
 * **Private from merged or zero.** The new page is locked before it replaces
 * the old in the entry, and unlocked after the last mapping of the old one at
 * this place is gone. A fault in between finds the new page and waits. So no
 * one reads the old contents after someone has written the new page, and no
 * one writes a merged copy: a fault that wants to write never gets one, and
 * page_mkwrite(), which the core calls before it makes a page table entry
 * writable, replaces it first.
 *
 * **Merged or hole from private.** The scanner locks the page, removes it from
 * all page tables, and then needs it to have two references: the entry's and
 * its own. More means that someone has it pinned, or waits for its lock, and
 * it is left alone. Two means that nobody can see it change: a new mapping
 * needs the page lock, and a lockless page table walk (get_user_pages_fast())
 * that took its reference later finds the page table entry changed and gives
 * the page back. Then the scanner compares and replaces.
 *
 * **References.** The entry holds one, each page table entry one. (Entries hold
 * none of a zero page, which the module keeps for as long as it is loaded.) A
 * merged copy is freed when its last place has left and its last mapping is gone.
 *
 * Pages are on no LRU list and page->mapping is NULL: nothing reclaims, migrates
 * or swaps them. page->index and page->private are the scanner's notes.
 */
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "alloc.h"
#include "block.h"
#include "candidate.h"
#include "file.h"
#include "history.h"
#include "index.h"
#include "netlink.h"
#include "page.h"
#include "stable.h"
#include "zero.h"

static void khx_merge_page_unmap(struct khx_merge_file *file, pgoff_t index)
{
	if (mapping_mapped(file->inode.i_mapping))
		unmap_mapping_pages(file->inode.i_mapping, index, 1, false);
}

/* Hole or zero page to @fresh: room is taken, for a zero page it is unmapped. */
static int khx_merge_page_settle_new(struct khx_merge_file *file, pgoff_t index,
				     struct folio *zero, struct folio *fresh)
{
	int ret;

	/* This first: of all who fault on a hole only one is to take room. */
	if (!zero) {
		ret = khx_merge_index_fill(file, index, fresh,
					   KHX_MERGE_PAGE_PRIVATE, GFP_KERNEL);
		if (ret)
			return ret == -EEXIST ? -EAGAIN : ret;
	}
	if (!khx_merge_super_charge(khx_merge_file_super(file), 1)) {
		/* It was locked: who has seen it meanwhile looks again. */
		if (!zero)
			khx_merge_index_replace(file, index, NULL,
						KHX_MERGE_PAGE_HOLE);
		return -ENOSPC;
	}
	if (zero)
		khx_merge_index_replace(file, index, fresh,
					KHX_MERGE_PAGE_PRIVATE);
	khx_merge_file_count(file, KHX_MERGE_STAT_PRIVATE, 1);
	return 0;
}

/* Merged copy to @fresh: the contents move, the room taken stays. */
static void khx_merge_page_break(struct khx_merge_file *file, pgoff_t index,
				 struct folio *copy, struct folio *fresh)
{
	copy_highpage(folio_page(fresh, 0), folio_page(copy, 0));
	khx_merge_index_replace(file, index, fresh, KHX_MERGE_PAGE_PRIVATE);
	khx_merge_file_count(file, KHX_MERGE_STAT_MERGED, -1);
	khx_merge_file_count(file, KHX_MERGE_STAT_PRIVATE, 1);
}

/*
 * Puts @fresh, prepared for an entry in state @was, in its place. -EAGAIN when
 * the entry has changed its state: @fresh may be the wrong kind of page then.
 */
static int khx_merge_page_install(struct khx_merge_file *file, pgoff_t index,
				  enum khx_merge_state was, struct folio *fresh)
{
	struct khx_merge_stable *stable = NULL;
	enum khx_merge_state state;
	struct folio *old;
	int ret = 0;

	old = khx_merge_index_lock(file, index, &state);
	if (state != was) {
		ret = -EAGAIN;
	} else if (state == KHX_MERGE_PAGE_MERGED && folio_test_hwpoison(old)) {
		ret = -EHWPOISON;
	} else if (state == KHX_MERGE_PAGE_MERGED) {
		stable = old->private;
		khx_merge_page_break(file, index, old, fresh);
	} else {
		ret = khx_merge_page_settle_new(file, index, old, fresh);
	}
	if (!old)
		return ret;

	khx_merge_index_unlock(old);
	if (ret)
		return ret;
	/* @fresh is locked: whoever faults from here on waits for this. */
	khx_merge_page_unmap(file, index);
	if (stable)
		khx_merge_stable_put(stable);
	return 0;
}

/* Where a copy of what is at @index should lie, if no policy is at hand. */
static int khx_merge_page_node(struct khx_merge_file *file, pgoff_t index)
{
	enum khx_merge_state state;
	struct folio *folio = khx_merge_index_get(file, index, &state);
	int node = NUMA_NO_NODE;

	if (!folio)
		return node;
	if (state == KHX_MERGE_PAGE_MERGED)
		node = folio_nid(folio);
	folio_put(folio);
	return node;
}

/* What is there, to be written; NULL if it is not private now. */
static struct folio *khx_merge_page_take(struct khx_merge_file *file, pgoff_t index)
{
	enum khx_merge_state state;
	struct folio *folio = khx_merge_index_lock(file, index, &state);

	if (folio && state == KHX_MERGE_PAGE_PRIVATE) {
		khx_merge_page_touch(file, index, folio);
		return folio;
	}
	if (folio)
		khx_merge_index_unlock(folio);
	return NULL;
}

/* A private page in place of what is there; NULL if that is not in state @was now. */
static struct folio *khx_merge_page_own(struct khx_merge_file *file, pgoff_t index,
					enum khx_merge_state was,
					struct vm_area_struct *vma,
					unsigned long addr)
{
	struct khx_merge_payer payer;
	struct folio *folio;
	int ret;

	folio = khx_merge_alloc_small(file, vma, addr,
				      khx_merge_page_node(file, index),
				      was != KHX_MERGE_PAGE_MERGED);
	if (!folio)
		return ERR_PTR(-ENOMEM);
	folio_get(folio);	/* the caller's, beside the entry's */
	khx_merge_payer_enter(&payer, file, vma);
	ret = khx_merge_page_install(file, index, was, folio);
	khx_merge_payer_leave(&payer);
	if (!ret) {
		if (was == KHX_MERGE_PAGE_MERGED ||
		    khx_merge_history_was_zeroed(file, index)) {
			khx_merge_history_broken(file, index);
			/* Its owner has had a fault: the next look spares him another. */
			set_bit(KHX_MERGE_FOLIO_VOLATILE, &folio->index);
		}
		return folio;
	}

	khx_merge_index_unlock(folio);
	folio_put(folio);
	if (ret == -ENOSPC)
		khx_merge_netlink_full(khx_merge_file_super(file));
	return ret == -EAGAIN ? NULL : ERR_PTR(ret);
}

struct folio *khx_merge_page_writable(struct khx_merge_file *file, pgoff_t index,
				      struct vm_area_struct *vma,
				      unsigned long addr)
{
	struct folio *folio = khx_merge_block_lock(file, index, vma, addr);
	enum khx_merge_state state;

	while (!folio) {
		state = khx_merge_index_peek(&file->pages, index);
		folio = state == KHX_MERGE_PAGE_PRIVATE ?
			khx_merge_page_take(file, index) :
			khx_merge_page_own(file, index, state, vma, addr);
	}
	return folio;
}

/*
 * From merged, and from nothing else: a file that goes may have dropped the page
 * since it was seen, and does not look again.
 */
int khx_merge_page_unmerge(struct khx_merge_file *file, pgoff_t index)
{
	struct folio *folio;
	int ret;

	folio = khx_merge_alloc_small(file, NULL, 0,
				      khx_merge_page_node(file, index), false);
	if (!folio)
		return -ENOMEM;
	folio_get(folio);	/* ours, beside the entry's */
	ret = khx_merge_page_install(file, index, KHX_MERGE_PAGE_MERGED, folio);
	/* It was not a guest that broke it: no reason to wait before merging. */
	if (!ret)
		khx_merge_history_forget(file, index, index + 1);
	khx_merge_index_unlock(folio);
	if (ret)
		folio_put(folio);
	return ret == -EAGAIN ? 0 : ret;
}

/* A hole that is read: its entry becomes a zero page. NULL if it is none now. */
static struct folio *khx_merge_page_map_zero(struct khx_merge_file *file,
					     pgoff_t index,
					     struct vm_area_struct *vma)
{
	struct folio *zero = khx_merge_zero_folio(index);
	struct khx_merge_payer payer;
	int ret;

	folio_get(zero);
	khx_merge_payer_enter(&payer, file, vma);
	ret = khx_merge_index_fill_zero(file, index, zero);
	khx_merge_payer_leave(&payer);
	if (!ret)
		return zero;
	folio_put(zero);
	return ret == -EEXIST ? NULL : ERR_PTR(ret);
}

/*
 * Each page table entry holds a reference, and a count that overflows frees a
 * page in use. Whoever maps one shared page this often gets pages of his own
 * from there on, and pays for them. Pins, 1024 references each, are refused where
 * the count has become negative, which is above this, too. What fork() copies of a
 * private mapping that was written to is not asked for here: 2^31 such entries take
 * 16 GiB of page tables, and overflow the count of any page of the page cache.
 */
#define KHX_MERGE_PAGE_REFS_MAX	BIT(30)

/*
 * May a reader not share the page, @folio or a zero page? Not where pages never
 * merge, and on a strict mount not while the merge is recent: then reading costs
 * what writing costs, and tells as little.
 */
static bool khx_merge_page_must_own(struct khx_merge_file *file, pgoff_t index,
				    enum khx_merge_state state,
				    struct folio *folio)
{
	const struct khx_merge_options *opt = &khx_merge_file_super(file)->opt;

	folio = folio ?: khx_merge_zero_folio(index);
	if (state == KHX_MERGE_PAGE_ZERO && folio_test_hwpoison(folio))
		return true;
	if (opt->nomerge ||
	    (unsigned int)folio_ref_count(folio) >= KHX_MERGE_PAGE_REFS_MAX)
		return true;
	if (!opt->strict || !khx_merge_history_recent(file, index))
		return false;
	return state == KHX_MERGE_PAGE_MERGED ||
	       khx_merge_history_was_zeroed(file, index);
}

struct folio *khx_merge_page_readable(struct khx_merge_file *file, pgoff_t index,
				      struct vm_area_struct *vma,
				      unsigned long addr)
{
	enum khx_merge_state state;
	struct folio *folio;

	folio = khx_merge_block_lock(file, index, vma, addr);
	if (folio)
		return folio;
	for (;;) {
		folio = khx_merge_index_lock(file, index, &state);
		if (state == KHX_MERGE_PAGE_PRIVATE)
			return folio;
		if (khx_merge_page_must_own(file, index, state, folio)) {
			if (folio)
				khx_merge_index_unlock(folio);
			return khx_merge_page_writable(file, index, vma, addr);
		}
		if (!folio)
			folio = khx_merge_page_map_zero(file, index, vma);
		if (folio)
			return folio;
	}
}

void khx_merge_page_touch(struct khx_merge_file *file, pgoff_t index,
			  struct folio *folio)
{
	if (!test_and_clear_bit(KHX_MERGE_FOLIO_CLEAN, &folio->index))
		return;
	set_bit(KHX_MERGE_FOLIO_VOLATILE, &folio->index);
	khx_merge_file_count(file, KHX_MERGE_STAT_CHANGED, 1);
	khx_merge_history_written(file, index);
	khx_merge_index_mark(file, index, true);
}

void khx_merge_page_unknow(struct khx_merge_file *file, pgoff_t index,
			   struct folio *folio)
{
	if (test_and_clear_bit(KHX_MERGE_FOLIO_CANDIDATE, &folio->index))
		khx_merge_candidate_remove(file, index, (u64)folio->private);
	clear_bit(KHX_MERGE_FOLIO_CLEAN, &folio->index);
	clear_bit(KHX_MERGE_FOLIO_SUMMED, &folio->index);
}

/*
 * A zero page is everyone's: its lock is not held while page tables are walked, which
 * takes as long as its owner has had the file mapped often. Only where nobody can
 * write any more, as who finds a hole fills it, and unmaps nothing.
 */
static void khx_merge_page_drop_zero(struct khx_merge_file *file, pgoff_t index)
{
	enum khx_merge_state state;
	struct folio *zero = khx_merge_index_lock(file, index, &state);

	if (!zero)
		return;
	if (state == KHX_MERGE_PAGE_ZERO)
		khx_merge_index_replace(file, index, NULL, KHX_MERGE_PAGE_HOLE);
	khx_merge_index_unlock(zero);
	if (state == KHX_MERGE_PAGE_ZERO)
		khx_merge_page_unmap(file, index);
}

/*
 * Nor is that of a merged copy. Its place is a zero page's first, not a hole: who
 * writes then unmaps what is left, so nobody reads the copy after that.
 */
static void khx_merge_page_drop_merged(struct khx_merge_file *file, pgoff_t index,
				       struct folio *copy)
{
	struct khx_merge_stable *stable = copy->private;

	khx_merge_index_replace(file, index, khx_merge_zero_folio(index),
				KHX_MERGE_PAGE_ZERO);
	khx_merge_index_unlock(copy);
	khx_merge_page_unmap(file, index);
	khx_merge_stable_put(stable);
}

static void khx_merge_page_drop_private(struct khx_merge_file *file, pgoff_t index,
					struct folio *folio)
{
	khx_merge_page_unknow(file, index, folio);
	khx_merge_index_replace(file, index, NULL, KHX_MERGE_PAGE_HOLE);
	khx_merge_index_unlock(folio);
	folio_put(folio);	/* the entry's */
}

/*
 * What takes room at @index becomes a hole, or a zero page. Returns whether it took
 * any, which is given back or the caller's.
 */
static bool khx_merge_page_vacate(struct khx_merge_file *file, pgoff_t index,
				  bool keep_room)
{
	enum khx_merge_state state;
	struct folio *folio;

	folio = khx_merge_index_lock(file, index, &state);
	if (!folio)
		return false;
	if (state == KHX_MERGE_PAGE_ZERO) {
		khx_merge_index_unlock(folio);
		return false;
	}

	/* Whoever finds a hole fills it, and unmaps nothing. */
	if (state == KHX_MERGE_PAGE_PRIVATE && folio_mapped(folio))
		khx_merge_page_unmap(file, index);
	khx_merge_file_count(file, state == KHX_MERGE_PAGE_PRIVATE ?
			     KHX_MERGE_STAT_PRIVATE : KHX_MERGE_STAT_MERGED, -1);
	/* This first: who finds the hole may need the room. */
	if (!keep_room)
		khx_merge_super_uncharge(khx_merge_file_super(file), 1);
	if (state == KHX_MERGE_PAGE_PRIVATE)
		khx_merge_page_drop_private(file, index, folio);
	else
		khx_merge_page_drop_merged(file, index, folio);
	return true;
}

static bool khx_merge_page_is_zero(struct khx_merge_file *file, pgoff_t index)
{
	return khx_merge_index_peek(&file->pages, index) == KHX_MERGE_PAGE_ZERO;
}

void khx_merge_page_drop(struct khx_merge_file *file, pgoff_t index, bool zeros)
{
	if (!khx_merge_page_is_zero(file, index))
		khx_merge_page_vacate(file, index, false);
	if (zeros && khx_merge_page_is_zero(file, index))
		khx_merge_page_drop_zero(file, index);
}

bool khx_merge_page_remove(struct khx_merge_file *file, pgoff_t index)
{
	bool room = khx_merge_page_vacate(file, index, true);

	khx_merge_page_drop_zero(file, index);
	return room;
}

bool khx_merge_page_isolated(struct folio *folio)
{
	bool isolated;

	/* Who finds the page frozen spins until it is not. */
	preempt_disable();
	/* The entry's reference and ours. Atomic, and a full barrier. */
	isolated = folio_ref_freeze(folio, 2);
	if (isolated)
		folio_ref_unfreeze(folio, 2);
	preempt_enable();
	return isolated;
}

void khx_merge_page_merge(struct khx_merge_file *file, pgoff_t index,
			  struct folio *folio, struct khx_merge_stable *stable)
{
	khx_merge_page_unknow(file, index, folio);
	khx_merge_index_replace(file, index, stable->folio,
				KHX_MERGE_PAGE_MERGED);
	khx_merge_file_count(file, KHX_MERGE_STAT_PRIVATE, -1);
	khx_merge_file_count(file, KHX_MERGE_STAT_MERGED, 1);
	khx_merge_history_merged(file, index, false);
	folio_put(folio);	/* the entry's */
}

void khx_merge_page_zero(struct khx_merge_file *file, pgoff_t index,
			 struct folio *folio)
{
	khx_merge_page_unknow(file, index, folio);
	khx_merge_history_merged(file, index, true);
	khx_merge_super_uncharge(khx_merge_file_super(file), 1);
	khx_merge_index_replace(file, index, NULL, KHX_MERGE_PAGE_HOLE);
	khx_merge_file_count(file, KHX_MERGE_STAT_PRIVATE, -1);
	folio_put(folio);	/* the entry's */
}
