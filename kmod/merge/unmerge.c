// SPDX-License-Identifier: GPL-2.0
/* Undoing all merges. */
#include <linux/jiffies.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "file.h"
#include "index.h"
#include "page.h"
#include "scan.h"
#include "unmerge.h"

/*
 * Entries handled, and files ended, before the scan lock is let go, for files that
 * want to come and go. Who goes on from there passes by all files that are done.
 */
#define KHX_MERGE_UNMERGE_BATCH	512
/* And the time: memory may be hard to find. */
#define KHX_MERGE_UNMERGE_TIME	(HZ / 200 + 1)

/* In unmerge_next: no page of the file is left. No page has this index. */
#define KHX_MERGE_UNMERGE_DONE	ULONG_MAX

struct khx_merge_unmerge {
	unsigned long epoch;
	unsigned int left;	/* of the batch */
	unsigned long end;	/* of its time, jiffies */
	bool later;		/* some file's users would have had to be waited for */
	int ret;		/* why some pages are merged still, or 0 */
};

/* Before each step: is it one for the next batch? The first never is. */
static bool khx_merge_unmerge_is_over(struct khx_merge_unmerge *unmerge)
{
	if (!unmerge->left || (unmerge->left < KHX_MERGE_UNMERGE_BATCH &&
			       time_after(jiffies, unmerge->end)))
		return true;
	unmerge->left--;
	return false;
}

/* A candidate is forgotten, so that merging begins from nothing. */
static void khx_merge_unmerge_forget(struct khx_merge_file *file, pgoff_t index)
{
	enum khx_merge_state state;
	struct folio *folio = khx_merge_index_lock(file, index, &state);

	if (!folio)
		return;
	if (state == KHX_MERGE_PAGE_PRIVATE) {
		khx_merge_page_unknow(file, index, folio);
		khx_merge_index_mark(file, index, true);
	}
	khx_merge_index_unlock(folio);
}

static int khx_merge_unmerge_page(struct khx_merge_file *file, pgoff_t index)
{
	int ret;

	if (khx_merge_index_peek(&file->pages, index) != KHX_MERGE_PAGE_MERGED) {
		khx_merge_unmerge_forget(file, index);
		return 0;
	}
	ret = khx_merge_page_unmerge(file, index);
	return ret == -EHWPOISON ? 0 : ret;	/* nothing left to save */
}

/*
 * A file, or as much of it as the batch has left. Returns whether that is over. One
 * whose owner may have no more memory is left as it is: others' may.
 */
static bool khx_merge_unmerge_some(struct khx_merge_file *file, void *arg)
{
	struct khx_merge_unmerge *unmerge = arg;
	unsigned long index;
	int ret;

	if (khx_merge_file_super(file)->opt.nomerge)
		return false;
	/* Where one that failed has ended says nothing about this one. */
	if (file->unmerge_epoch != unmerge->epoch) {
		file->unmerge_epoch = unmerge->epoch;
		file->unmerge_next = 0;
	}
	if (file->unmerge_next == KHX_MERGE_UNMERGE_DONE)
		return false;
	/* Nothing gains the mark now, so this ends, whatever the owner does. */
	for (index = file->unmerge_next;
	     xa_find(&file->pages, &index, ULONG_MAX, KHX_MERGE_MARK_KNOWN);
	     index++) {
		file->unmerge_next = index;
		if (khx_merge_unmerge_is_over(unmerge))
			return true;
		if (!khx_merge_file_may_unmap(file)) {
			unmerge->later = true;
			return false;
		}
		ret = khx_merge_unmerge_page(file, index);
		if (ret) {
			unmerge->ret = ret;
			file->unmerge_next = KHX_MERGE_UNMERGE_DONE;
			return false;
		}
		cond_resched();
	}
	if (khx_merge_unmerge_is_over(unmerge))
		return true;
	file->unmerge_next = KHX_MERGE_UNMERGE_DONE;
	return false;
}

/* Is there more to do? */
static bool khx_merge_unmerge_batch(struct khx_merge_unmerge *unmerge)
{
	unmerge->left = KHX_MERGE_UNMERGE_BATCH;
	unmerge->end = jiffies + KHX_MERGE_UNMERGE_TIME;
	unmerge->later = false;
	if (khx_merge_scan_visit(khx_merge_unmerge_some, unmerge))
		return true;
	if (unmerge->later)
		schedule_timeout_killable(1);
	return unmerge->later;
}

int khx_merge_unmerge_all(void)
{
	static unsigned long epoch;	/* under the control lock */
	struct khx_merge_unmerge unmerge = { .epoch = ++epoch };

	while (khx_merge_unmerge_batch(&unmerge)) {
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return unmerge.ret;
}
