// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: blocks of 2 MiB
 *
 * With ``huge=always`` each aligned 2 MiB of a file is a *block*, and in one of
 * three states, which its entry in the file's block index tells:
 *
 * * **empty**: no entry. Nothing is there, in the page index neither.
 * * **huge**: the entry is a page of 2 MiB, private to this place. The page index
 *   has nothing.
 * * **small**: the entry says so, and the page index has the pages.
 *
 * The transitions, and who makes them::
 *
 *     empty -- fault, write(2), fallocate --> huge, or small without a 2 MiB page
 *     empty -- truncate, if the file ends there --> small
 *     huge --- scanner, punch hole, truncate --> small, by copying
 *     huge --- punch hole, last close; those above if all else is zero --> empty
 *
 * A block that is small stays so while the file is there: it was split because it
 * shares, or could not be huge. So "the block is small" needs no lock, and all
 * that page.c says of small pages goes on unchanged.
 *
 * **Lock.** Leaving the empty state is a compare-and-exchange. A huge entry is
 * guarded by the lock of its page, as a small page's is. But that lock alone is not
 * enough to split: the page must have no references besides the entry's and the
 * splitter's, and a fault that waits for the lock of its page holds one. On a
 * small page this only tells that the page is hot; a 2 MiB page is hot always.
 * Hence the *block lock*, one of the file's mutexes. Whoever wants the page lock of a
 * block's page and may sleep takes the block lock first, then the reference and the
 * page lock, and then lets go of the block lock. So waiting is done without a
 * reference. page_mkwrite() is called with one: it must not wait, only tries the page
 * lock, and has the access repeated otherwise.
 *
 * Who splits a page waits for memory with the block lock held, and his cgroup may
 * make him wait for as long as it likes. So no two files have a block lock in common,
 * be they of one mount, and the scanner, for which everyone waits, only tries them,
 * and does not wait for memory.
 *
 * **Order.** scan lock, block lock, lock of the block's page, locks of small pages,
 * then as in page.c.
 *
 * **Split.** With the block lock and the page lock held, the page is removed from
 * all page tables, and once it has two references nobody can reach it but
 * read(2), which does not change it. Each of its pages that is not all zeros is
 * copied to a small page, which goes into the page index; nobody looks there but
 * the scanner, and it only merges, which changes no contents. Then the entry says
 * "small" (or is removed, if all was zero) and the 2 MiB page is freed, whose room
 * the copies take over. When memory ends in between, or a page turns out to be bad,
 * the small pages are dropped and the block is huge still.
 */
#include <linux/delay.h>
#include <linux/highmem.h>
#include <linux/pagemap.h>

#include "alloc.h"
#include "block.h"
#include "contents.h"
#include "file.h"
#include "index.h"
#include "page.h"

#define KHX_MERGE_BLOCK_SMALL	xa_mk_value(1)

static unsigned long khx_merge_block_of(pgoff_t index)
{
	return index >> KHX_MERGE_BLOCK_ORDER;
}

static pgoff_t khx_merge_block_first(pgoff_t index)
{
	return round_down(index, KHX_MERGE_BLOCK_PAGES);
}

struct mutex *khx_merge_block_mutex(struct khx_merge_file *file, pgoff_t index)
{
	return &file->block_mutexes[khx_merge_block_of(index) %
				    ARRAY_SIZE(file->block_mutexes)];
}

static bool khx_merge_block_is(struct khx_merge_file *file, pgoff_t index,
			       struct folio *folio)
{
	return xa_load(&file->blocks, khx_merge_block_of(index)) == folio;
}

/* As khx_merge_index_get(): the page is ours if it is still the entry's. */
struct folio *khx_merge_block_get(struct khx_merge_file *file, pgoff_t index)
{
	struct folio *folio;

	rcu_read_lock();
	for (;;) {
		folio = xa_load(&file->blocks, khx_merge_block_of(index));
		if (!folio || xa_is_value(folio)) {
			folio = NULL;
			break;
		}
		if (!folio_try_get(folio)) {
			cpu_relax();
			continue;
		}
		if (likely(khx_merge_block_is(file, index, folio)))
			break;
		folio_put(folio);
	}
	rcu_read_unlock();
	return folio;
}

/* The 2 MiB page at @index, locked, or NULL. */
static struct folio *khx_merge_block_lock_page(struct khx_merge_file *file,
					       pgoff_t index)
{
	struct folio *folio;

	lockdep_assert_held(khx_merge_block_mutex(file, index));

	folio = khx_merge_block_get(file, index);
	if (!folio)
		return NULL;
	folio_lock(folio);
	if (khx_merge_block_is(file, index, folio))
		return folio;
	khx_merge_index_unlock(folio);
	return NULL;
}

bool khx_merge_block_trylock(struct khx_merge_file *file, pgoff_t index,
			     struct folio *folio)
{
	if (!folio_trylock(folio))
		return false;
	if (khx_merge_block_is(file, index, folio))
		return true;
	folio_unlock(folio);
	return false;
}

static void khx_merge_block_count(struct khx_merge_file *file, long blocks)
{
	khx_merge_file_count(file, KHX_MERGE_STAT_HUGE, blocks);
	if (!khx_merge_file_super(file)->opt.nomerge)
		atomic_long_add(blocks, &file->domain->nr_blocks);
	khx_merge_file_count(file, KHX_MERGE_STAT_PRIVATE,
			     blocks * (long)KHX_MERGE_BLOCK_PAGES);
}

/* A page for the whole block, locked, or NULL. */
static struct folio *khx_merge_block_alloc(struct khx_merge_file *file,
					   pgoff_t index,
					   struct vm_area_struct *vma,
					   unsigned long addr)
{
	pgoff_t size = DIV_ROUND_UP(i_size_read(&file->inode), PAGE_SIZE);

	/* What lies beyond the end must not be mapped with the rest. */
	if (khx_merge_block_first(index) + KHX_MERGE_BLOCK_PAGES > size)
		return NULL;
	return khx_merge_alloc_huge(file, vma, addr);
}

/* The new page, locked, is at its place: it takes its room, or the block is small. */
static void khx_merge_block_settle(struct khx_merge_file *file, pgoff_t index,
				   struct folio *folio)
{
	folio_get(folio);	/* ours, beside the entry's */
	if (khx_merge_super_charge(khx_merge_file_super(file),
				   KHX_MERGE_BLOCK_PAGES)) {
		khx_merge_block_count(file, 1);
	} else {
		xa_store(&file->blocks, khx_merge_block_of(index),
			 KHX_MERGE_BLOCK_SMALL, GFP_NOWAIT);
		folio_put(folio);	/* the entry's */
	}
	khx_merge_index_unlock(folio);
}

/* An empty block becomes huge or small, by us or by somebody else. */
static int khx_merge_block_make(struct khx_merge_file *file, pgoff_t index,
				struct vm_area_struct *vma, unsigned long addr)
{
	struct folio *folio = khx_merge_block_alloc(file, index, vma, addr);
	struct khx_merge_payer payer;
	void *old;

	khx_merge_payer_enter(&payer, file, vma);
	old = xa_cmpxchg(&file->blocks, khx_merge_block_of(index), NULL,
			 folio ? (void *)folio : KHX_MERGE_BLOCK_SMALL,
			 GFP_KERNEL);
	khx_merge_payer_leave(&payer);
	if (!folio)
		return xa_err(old);
	if (old)
		khx_merge_index_unlock(folio);
	else	/* locked still: of all who fault here only one takes room */
		khx_merge_block_settle(file, index, folio);
	return xa_err(old);
}

struct folio *khx_merge_block_lock(struct khx_merge_file *file, pgoff_t index,
				   struct vm_area_struct *vma,
				   unsigned long addr)
{
	struct mutex *mutex = khx_merge_block_mutex(file, index);
	struct folio *folio;
	void *entry;
	int ret;

	if (khx_merge_file_super(file)->opt.huge == KHX_MERGE_HUGE_NEVER)
		return NULL;
	for (;;) {
		entry = xa_load(&file->blocks, khx_merge_block_of(index));
		if (entry == KHX_MERGE_BLOCK_SMALL)
			return NULL;
		if (!entry) {
			ret = khx_merge_block_make(file, index, vma, addr);
			if (ret)
				return ERR_PTR(ret);
			continue;
		}
		mutex_lock(mutex);
		folio = khx_merge_block_lock_page(file, index);
		mutex_unlock(mutex);
		if (folio)
			return folio;
	}
}

/* Small from here on, or empty without @copies; nobody maps the page any more. */
static void khx_merge_block_leave(struct khx_merge_file *file, pgoff_t index,
				  struct folio *folio, unsigned int copies)
{
	unsigned long block = khx_merge_block_of(index);

	/* The copies keep their part of it: no room is ever taken twice. */
	khx_merge_super_uncharge(khx_merge_file_super(file),
				 KHX_MERGE_BLOCK_PAGES - copies);
	khx_merge_block_count(file, -1);
	if (copies)	/* there is an entry: needs no memory */
		xa_store(&file->blocks, block, KHX_MERGE_BLOCK_SMALL, GFP_NOWAIT);
	else
		xa_erase(&file->blocks, block);
	folio_put(folio);	/* the entry's */
}

static void khx_merge_block_unmap(struct khx_merge_file *file, pgoff_t index)
{
	unmap_mapping_pages(file->inode.i_mapping, khx_merge_block_first(index),
			    KHX_MERGE_BLOCK_PAGES, false);
}

/* Those who only look, or try, have gone after this long: 1 to 2 ms. */
#define KHX_MERGE_BLOCK_TRIES	20

static bool khx_merge_block_isolate(struct khx_merge_file *file, pgoff_t index,
				    struct folio *folio)
{
	int i;

	khx_merge_block_unmap(file, index);
	for (i = 0; i < KHX_MERGE_BLOCK_TRIES; i++) {
		if (khx_merge_page_isolated(folio))
			return true;
		usleep_range(50, 100);
	}
	return false;
}

static int khx_merge_block_copy_page(struct khx_merge_file *file, pgoff_t index,
				     struct page *from, gfp_t gfp)
{
	struct khx_merge_payer payer;
	struct folio *folio;
	int ret;

	folio = khx_merge_alloc_copy(file, from, gfp);
	if (!folio)
		return -ENOMEM;
	khx_merge_file_count(file, KHX_MERGE_STAT_PRIVATE, 1);
	khx_merge_payer_enter(&payer, file, NULL);
	ret = khx_merge_index_fill(file, index, folio, KHX_MERGE_PAGE_PRIVATE,
				   gfp);
	khx_merge_payer_leave(&payer);
	folio_unlock(folio);
	if (!ret)
		return 0;
	khx_merge_file_count(file, KHX_MERGE_STAT_PRIVATE, -1);
	folio_put(folio);
	return ret;
}

/* Isolated: returns how many of its pages have been copied, or an error. */
static int khx_merge_block_copy(struct khx_merge_file *file, pgoff_t first,
				struct folio *from, gfp_t gfp)
{
	unsigned long i;
	int copied = 0, ret;

	for (i = 0; i < KHX_MERGE_BLOCK_PAGES; i++) {
		struct page *page = folio_page(from, i);

		cond_resched();
		if (PageHWPoison(page)) {
			ret = -EHWPOISON;
			goto err_drop;
		}
		if (khx_merge_contents_zero(page))
			continue;
		ret = khx_merge_block_copy_page(file, first + i, page, gfp);
		if (ret)
			goto err_drop;
		copied++;
	}
	return copied;

err_drop:
	while (i--)
		copied -= khx_merge_page_remove(file, first + i);
	/* What a hole that was being punched took has given back room of ours. */
	khx_merge_super_take(khx_merge_file_super(file), copied);
	return ret;
}

/* Block lock and page lock held. The caller's reference stays. */
static int khx_merge_block_split_page(struct khx_merge_file *file, pgoff_t index,
				      struct folio *folio, gfp_t gfp)
{
	int ret;

	if (!khx_merge_block_isolate(file, index, folio)) {
		khx_merge_file_count(file, KHX_MERGE_STAT_BUSY, 1);
		return -EBUSY;
	}
	ret = khx_merge_block_copy(file, khx_merge_block_first(index), folio,
				   gfp);
	if (ret < 0)
		return ret;
	khx_merge_block_leave(file, index, folio, ret);
	return 0;
}

/* Block lock held. Who has the page lock may be kept from running by its cgroup. */
static int khx_merge_block_try_split_locked(struct khx_merge_file *file,
					    pgoff_t index)
{
	struct folio *folio = khx_merge_block_get(file, index);
	int ret = -EBUSY;

	if (!folio)
		return 0;
	if (khx_merge_block_trylock(file, index, folio)) {
		ret = khx_merge_block_split_page(file, index, folio,
						 GFP_NOWAIT | __GFP_NOWARN);
		folio_unlock(folio);
	}
	folio_put(folio);
	return ret;
}

int khx_merge_block_try_split(struct khx_merge_file *file, pgoff_t index)
{
	struct mutex *mutex = khx_merge_block_mutex(file, index);
	int ret;

	if (!khx_merge_file_may_unmap(file) || !mutex_trylock(mutex))
		return -EBUSY;
	ret = khx_merge_block_try_split_locked(file, index);
	mutex_unlock(mutex);
	return ret;
}

static int khx_merge_block_split(struct khx_merge_file *file, pgoff_t index)
{
	struct mutex *mutex = khx_merge_block_mutex(file, index);
	struct folio *folio;
	int ret = 0;

	mutex_lock(mutex);
	folio = khx_merge_block_lock_page(file, index);
	if (folio) {
		ret = khx_merge_block_split_page(file, index, folio, GFP_KERNEL);
		khx_merge_index_unlock(folio);
	}
	mutex_unlock(mutex);
	return ret;
}

int khx_merge_block_forbid(struct khx_merge_file *file, pgoff_t index)
{
	void *old;
	int ret;

	if (khx_merge_file_super(file)->opt.huge == KHX_MERGE_HUGE_NEVER)
		return 0;
	for (;;) {
		old = xa_cmpxchg(&file->blocks, khx_merge_block_of(index), NULL,
				 KHX_MERGE_BLOCK_SMALL, GFP_KERNEL);
		if (!old || old == KHX_MERGE_BLOCK_SMALL)
			return 0;
		if (xa_is_err(old))
			return xa_err(old);
		ret = khx_merge_block_split(file, index);
		if (ret)
			return ret;
	}
}

static void khx_merge_block_clear(struct page *page)
{
	if (!PageHWPoison(page))
		clear_highpage(page);
}

/* [@start, @end) lies in one block. */
static void khx_merge_block_drop_part(struct khx_merge_file *file, pgoff_t start,
				      pgoff_t end, struct folio *folio)
{
	if (end - start == KHX_MERGE_BLOCK_PAGES) {
		khx_merge_block_unmap(file, start);
		khx_merge_block_leave(file, start, folio, 0);
	} else if (khx_merge_block_split_page(file, start, folio, GFP_KERNEL)) {
		for (; start < end; start++)
			khx_merge_block_clear(khx_merge_block_page(folio, start));
	}
}

static void khx_merge_block_drop_in(struct khx_merge_file *file, pgoff_t start,
				    pgoff_t end)
{
	struct mutex *mutex = khx_merge_block_mutex(file, start);
	struct folio *folio;

	mutex_lock(mutex);
	folio = khx_merge_block_lock_page(file, start);
	if (folio) {
		khx_merge_block_drop_part(file, start, end, folio);
		khx_merge_index_unlock(folio);
	}
	mutex_unlock(mutex);
}

void khx_merge_block_drop(struct khx_merge_file *file, pgoff_t start, pgoff_t end)
{
	unsigned long block;
	void *entry;

	xa_for_each_range(&file->blocks, block, entry, khx_merge_block_of(start),
			  khx_merge_block_of(end - 1)) {
		pgoff_t first = block << KHX_MERGE_BLOCK_ORDER;

		if (!xa_is_value(entry))
			khx_merge_block_drop_in(file, max(start, first),
						min(end, first +
						    KHX_MERGE_BLOCK_PAGES));
		cond_resched();
	}
}

void khx_merge_block_init_once(struct khx_merge_file *file)
{
	int i;

	for (i = 0; i < ARRAY_SIZE(file->block_mutexes); i++)
		mutex_init(&file->block_mutexes[i]);
}
