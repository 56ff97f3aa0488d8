/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_SCAN_H
#define KHX_MERGE_SCAN_H

#include <linux/jiffies.h>
#include <linux/types.h>

struct khx_merge_file;

/* What the mechanism is told by the policy. */
struct khx_merge_rules {
	unsigned int max_sharing;	/* sharers of one merged copy */
	bool zero_pages;		/* zero pages become holes */
	bool across_nodes;		/* merge pages of different nodes */
};

/*
 * How far the scanner is with a file. It looks at no more pages in a pass than the
 * file had at the beginning of its turn.
 */
struct khx_merge_turn {
	pgoff_t index;			/* next small page */
	pgoff_t block;			/* next 2 MiB page */
	unsigned long left;		/* pages to look at */
};

/* What the mechanism tells the policy. */
struct khx_merge_progress {
	unsigned long gains;		/* pages merged or zeroed, or of 2 MiB, split */
	u64 work_ns;			/* time, without waiting for the scan lock */
	bool pass_done;			/* every file has been seen */
};

/*
 * The scanner at work. All but @turn and @round is of one batch: what it was told, and
 * how much of it is left.
 */
struct khx_merge_scan {
	const struct khx_merge_rules *rules;
	struct khx_merge_progress *progress;
	struct khx_merge_turn turn;	/* of the file it is at */
	unsigned int round;		/* passes that ended */
	unsigned int budget;		/* pages to look at */
	unsigned long end;		/* jiffies */
};

/* How a call ends that goes on with a file's turn. */
enum khx_merge_turn_end {
	KHX_MERGE_TURN_OVER,	/* nothing more of this file in this pass */
	KHX_MERGE_TURN_PAUSED,	/* there may be more */
};

/* Is the budget or the time over? */
static inline bool khx_merge_scan_must_pause(const struct khx_merge_scan *scan)
{
	return !scan->budget || time_after(jiffies, scan->end);
}

/*
 * Looks at up to @budget pages where it left off, at most to the pass's end or for
 * some ms. Returns how much of the budget that took.
 */
unsigned int khx_merge_scan_batch(const struct khx_merge_rules *rules,
				  unsigned int budget,
				  struct khx_merge_progress *progress);

/* Files that came or went so far; changes under the scan lock only. */
unsigned int khx_merge_scan_changes(void);

/*
 * Calls @fn for each file under the scan lock, so that no file goes meanwhile,
 * until it returns true. Returns whether it did.
 */
bool khx_merge_scan_visit(bool (*fn)(struct khx_merge_file *, void *), void *arg);

/*
 * For anyone, without the scan lock: calls @fn for a few files, without those first
 * @skip. Returns how many to skip next time, or 0 if there were no more. Files that
 * come or go meanwhile make it miss some. It is called in an RCU read section, and the
 * file may be on its way out: its inode and its mount's struct are there, no more.
 */
unsigned long khx_merge_scan_visit_few(unsigned long skip,
				       void (*fn)(struct khx_merge_file *, void *),
				       void *arg);

/* For inodes: a file comes, a file goes. Its pages are gone before. */
void khx_merge_scan_add(struct khx_merge_file *file);
void khx_merge_scan_remove(struct khx_merge_file *file);

#endif /* KHX_MERGE_SCAN_H */
