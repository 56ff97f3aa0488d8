// SPDX-License-Identifier: GPL-2.0
/* Undoing all merges. */
#include <linux/jiffies.h>
#include <linux/pagemap.h>
#include <linux/sched/signal.h>

#include "file.h"
#include "history.h"
#include "index.h"
#include "page.h"
#include "scan.h"
#include "unmerge.h"

/* Entries handled before the scan lock is let go, for files that want to leave. */
#define KHX_MERGE_UNMERGE_BATCH	512
/* And the time: memory may be hard to find. */
#define KHX_MERGE_UNMERGE_TIME	(HZ / 200 + 1)

struct khx_merge_unmerge {
	unsigned long epoch;
	int ret;
};

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
	struct folio *folio;

	if (khx_merge_index_peek(&file->pages, index) != KHX_MERGE_PAGE_MERGED) {
		khx_merge_unmerge_forget(file, index);
		return 0;
	}
	folio = khx_merge_page_writable(file, index, NULL, 0);
	if (folio == ERR_PTR(-EHWPOISON))	/* nothing left to save */
		return 0;
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	/* It was not a guest that broke it: no reason to wait before merging. */
	khx_merge_history_forget(file, index, index + 1);
	khx_merge_index_unlock(folio);
	return 0;
}

/* Some of the first file that is not done; returns false for those that are. */
static bool khx_merge_unmerge_some(struct khx_merge_file *file, void *arg)
{
	struct khx_merge_unmerge *unmerge = arg;
	unsigned int left = KHX_MERGE_UNMERGE_BATCH;
	unsigned long index = file->unmerge_next;
	unsigned long end = jiffies + KHX_MERGE_UNMERGE_TIME;
	void *entry;

	if (file->unmerge_epoch == unmerge->epoch ||
	    khx_merge_file_super(file)->opt.nomerge)
		return false;
	xa_for_each_start(&file->pages, index, entry, file->unmerge_next) {
		file->unmerge_next = index;
		if (!left-- || time_after(jiffies, end))
			return true;
		unmerge->ret = khx_merge_unmerge_page(file, index);
		if (unmerge->ret)
			return true;
		cond_resched();
	}
	file->unmerge_next = 0;
	file->unmerge_epoch = unmerge->epoch;
	return true;
}

int khx_merge_unmerge_all(void)
{
	static unsigned long epoch;	/* under the control lock */
	struct khx_merge_unmerge unmerge = { .epoch = ++epoch };

	while (khx_merge_scan_visit(khx_merge_unmerge_some, &unmerge)) {
		if (!unmerge.ret && fatal_signal_pending(current))
			unmerge.ret = -EINTR;
		if (unmerge.ret)
			return unmerge.ret;
		cond_resched();
	}
	return 0;
}
