// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: the scanner
 *
 * The scanner goes round all files. It looks at pages that carry the index mark
 * KHX_MERGE_MARK_LOOK only, and those are few once a guest is quiet: a page that
 * was found unchanged twice loses its mark, and who writes it sets the mark again:
 * page_mkwrite(), a write fault, write(2) or fallocate(2). The index tree leads
 * from one marked page to the next, so a pass over quiet memory costs next to
 * nothing.
 *
 * A page is merged when two looks at it, in two passes, have found it unchanged.
 * For a marked private page:
 *
 * 1. Neighbours are unmapped together: what is written from here on is noticed,
 *    so "unchanged" is no guess, and costs no reading. A page that someone else
 *    holds a reference to is left marked.
 * 2. In a later pass, if it was not written: a page of zeros becomes a hole. A page
 *    that equals a merged copy, by key and then by every byte, becomes that copy. A
 *    page that equals a candidate makes a merged copy with it, in a frame picked by
 *    chance (pool.c). Any other page becomes a candidate and loses its mark.
 * 3. If it was written, unmapping it once more would only slow its owner down. So
 *    a page that has been seen to change, or was merged when it was written, is
 *    hashed as it is, mapped, until two looks find the same; then it goes through 1
 *    and 2 in one.
 *
 * The key is the hash of a sample, an eighth of the page's cache lines, as most
 * pages differ in it from every other. Where two turn out to differ elsewhere, the
 * sample is contested from then on: pages with it are looked for by it, then by the
 * hash of all bytes, and become candidates by the latter. A guest that makes its
 * pages collide only makes its domain pay for the longer hash.
 *
 * A page whose index has a history of breaks (history.h) waits between 1 and 2,
 * marked but known to be unwritten: looking at it costs next to nothing.
 *
 * The scan lock is held for a batch of pages. Files leave the scanner's list
 * under it, after their pages are gone, so a file that the scanner or the
 * candidates' table names is there. The scanner holds no reference to an inode
 * or a superblock: it never keeps a mount busy.
 *
 * Who only wants to know does not take the scan lock: a mutex is handed to who waits
 * for it, and his cgroup or his priority may let him run seconds later. So the list
 * is one for RCU, and the inodes that have left it, and what is kept of their mounts,
 * stay for a grace period.
 */
#include <linux/jiffies.h>
#include <linux/ktime.h>
#include <linux/mutex.h>
#include <linux/rculist.h>
#include <linux/sched.h>

#include "file.h"
#include "hint.h"
#include "index.h"
#include "scan.h"
#include "settle.h"
#include "split.h"

/* To change the list; guards everything below, and keeps files while it is held. */
static DEFINE_MUTEX(khx_merge_scan_lock);
static LIST_HEAD(khx_merge_scan_files);
static unsigned int khx_merge_scan_nr_changes;
static struct khx_merge_file *khx_merge_scan_cursor;	/* NULL: start of a pass */
static bool khx_merge_scan_over;	/* the pass: its last file went meanwhile */
static struct khx_merge_scan khx_merge_scan_state;	/* at the cursor */

/*
 * Fills the empty @run from where the scan stands, with neighbours that are to be
 * unmapped.
 */
static enum khx_merge_turn_end khx_merge_scan_collect(struct khx_merge_scan *scan,
						      struct khx_merge_run *run)
{
	struct khx_merge_turn *turn = &scan->turn;
	XA_STATE(xas, &run->file->pages, turn->index);
	struct folio *folio;
	void *entry;

	rcu_read_lock();
	xas_for_each_marked(&xas, entry, ULONG_MAX, KHX_MERGE_MARK_LOOK) {
		if (!scan->budget || !turn->left || run->nr == KHX_MERGE_RUN_MAX ||
		    (run->nr && xas.xa_index != run->start + run->nr))
			break;
		scan->budget--;
		turn->left--;
		turn->index = xas.xa_index + 1;
		folio = khx_merge_index_trylock_entry(&xas, entry);
		if (!folio)
			continue;
		if (!khx_merge_settle_look(run->file, xas.xa_index, folio)) {
			khx_merge_index_unlock(folio);
			continue;
		}
		if (!run->nr)
			run->start = xas.xa_index;
		run->folios[run->nr++] = folio;
	}
	rcu_read_unlock();
	return entry && turn->left ? KHX_MERGE_TURN_PAUSED : KHX_MERGE_TURN_OVER;
}

/*
 * A batch ends after this long, with the run that it is at: files wait for the scan
 * lock to come and go, and how often one is mapped, each unmapping to walk through
 * all of it, is for its owner to say. A run is unmapped by one walk, and settle.c
 * says how many more it takes.
 */
#define KHX_MERGE_SCAN_TIME	(HZ / 200 + 1)

static enum khx_merge_turn_end khx_merge_scan_file(struct khx_merge_scan *scan,
						   struct khx_merge_file *file)
{
	struct khx_merge_run run = { .file = file };
	enum khx_merge_turn_end end;

	end = khx_merge_split_scan(scan, file);
	if (end == KHX_MERGE_TURN_PAUSED)
		return end;
	do {
		end = khx_merge_scan_collect(scan, &run);
		khx_merge_settle_run(&run, scan->rules, scan->progress);
	} while (end == KHX_MERGE_TURN_PAUSED && !khx_merge_scan_must_pause(scan));
	return end;
}

/* The file after @file, or NULL. */
static struct khx_merge_file *khx_merge_scan_after(struct khx_merge_file *file)
{
	if (list_is_last(&file->scan_link, &khx_merge_scan_files))
		return NULL;
	return list_next_entry(file, scan_link);
}

/*
 * A file's turn is as long as the file is at its beginning. What its owner adds above
 * the cursor meanwhile is for the next pass: he may do so faster than the scanner goes.
 */
static void khx_merge_scan_move(struct khx_merge_file *file)
{
	khx_merge_scan_cursor = file;
	khx_merge_scan_state.turn = (struct khx_merge_turn){};
	if (file)
		khx_merge_scan_state.turn.left =
			khx_merge_stats_read(&file->stats, KHX_MERGE_STAT_PRIVATE);
}

static void khx_merge_scan_some(struct khx_merge_scan *scan)
{
	struct khx_merge_file *file;

	if (!khx_merge_scan_cursor)
		khx_merge_scan_move(list_first_entry_or_null(&khx_merge_scan_files,
							     struct khx_merge_file,
							     scan_link));
	for (file = khx_merge_scan_cursor; file; file = khx_merge_scan_cursor) {
		if (!khx_merge_file_super(file)->opt.nomerge &&
		    khx_merge_scan_file(scan, file) == KHX_MERGE_TURN_PAUSED)
			break;
		khx_merge_scan_move(khx_merge_scan_after(file));
		cond_resched();
		/* Files without pages are not for nothing either. */
		if (scan->budget)
			scan->budget--;
		if (khx_merge_scan_must_pause(scan))
			break;
	}
}

unsigned int khx_merge_scan_batch(const struct khx_merge_rules *rules,
				  unsigned int budget,
				  struct khx_merge_progress *progress)
{
	struct khx_merge_scan *scan = &khx_merge_scan_state;
	unsigned int looks;
	u64 start;

	mutex_lock(&khx_merge_scan_lock);
	/* Waiting for it was no work. */
	start = ktime_get_ns();
	scan->rules = rules;
	scan->progress = progress;
	scan->budget = budget;
	scan->end = jiffies + KHX_MERGE_SCAN_TIME;
	if (!khx_merge_scan_over)
		khx_merge_scan_some(scan);
	khx_merge_scan_over = false;
	progress->pass_done = !khx_merge_scan_cursor;
	if (progress->pass_done)
		scan->round++;
	progress->work_ns += ktime_get_ns() - start;
	looks = budget - scan->budget;
	mutex_unlock(&khx_merge_scan_lock);
	return looks;
}

bool khx_merge_scan_visit(bool (*fn)(struct khx_merge_file *, void *), void *arg)
{
	struct khx_merge_file *file;
	bool ret = false;

	mutex_lock(&khx_merge_scan_lock);
	list_for_each_entry(file, &khx_merge_scan_files, scan_link) {
		ret = fn(file, arg);
		if (ret)
			break;
		cond_resched();
	}
	mutex_unlock(&khx_merge_scan_lock);
	return ret;
}

/* Without a pause: a few files, and to pass by those before. */
#define KHX_MERGE_SCAN_FEW	64UL

unsigned long khx_merge_scan_visit_few(unsigned long skip,
				       void (*fn)(struct khx_merge_file *, void *),
				       void *arg)
{
	/* Passing by thousands for a few more each time would take for ever. */
	unsigned long end = skip + max(KHX_MERGE_SCAN_FEW, skip / 4), i = 0;
	struct khx_merge_file *file;
	bool more = false;

	rcu_read_lock();
	list_for_each_entry_rcu(file, &khx_merge_scan_files, scan_link) {
		more = i == end;
		if (more)
			break;
		if (i++ >= skip)
			fn(file, arg);
	}
	rcu_read_unlock();
	cond_resched();
	return more ? end : 0;
}

unsigned int khx_merge_scan_changes(void)
{
	return READ_ONCE(khx_merge_scan_nr_changes);
}

void khx_merge_scan_add(struct khx_merge_file *file)
{
	mutex_lock(&khx_merge_scan_lock);
	WRITE_ONCE(khx_merge_scan_nr_changes, khx_merge_scan_nr_changes + 1);
	/* Where this pass has been already: who adds files does not make it last. */
	list_add_rcu(&file->scan_link, &khx_merge_scan_files);
	mutex_unlock(&khx_merge_scan_lock);
}

void khx_merge_scan_remove(struct khx_merge_file *file)
{
	struct khx_merge_hint_table *hints;

	mutex_lock(&khx_merge_scan_lock);
	WRITE_ONCE(khx_merge_scan_nr_changes, khx_merge_scan_nr_changes + 1);
	if (khx_merge_scan_cursor == file) {
		khx_merge_scan_move(khx_merge_scan_after(file));
		khx_merge_scan_over = !khx_merge_scan_cursor;
	}
	list_del_rcu(&file->scan_link);
	/* Nobody else may come by: it can be the domain's last file. */
	hints = khx_merge_hint_trim(file->domain);
	mutex_unlock(&khx_merge_scan_lock);
	/* Many, and who closes a file may be kept from running: not with the lock held. */
	khx_merge_hint_free(hints);
}
