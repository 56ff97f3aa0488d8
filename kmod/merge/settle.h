/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_SETTLE_H
#define KHX_MERGE_SETTLE_H

#include <linux/mm_types.h>

struct khx_merge_file;
struct khx_merge_progress;
struct khx_merge_rules;

/*
 * Pages that are unmapped by one call: enough that the flush of remote TLBs,
 * and the kick of the guest's CPUs, weigh little for each page; few enough that
 * a fault does not wait long for the last one. (Candidates that they equal are
 * unmapped one by one, but for some ms only.)
 */
#define KHX_MERGE_RUN_MAX	64

/* Neighbours of one file, all private and locked, to be unmapped together. */
struct khx_merge_run {
	struct khx_merge_file *file;
	pgoff_t start;
	unsigned int nr;
	struct folio *folios[KHX_MERGE_RUN_MAX];
};

/* Any context: what hashes of @folio's contents start from. */
u64 khx_merge_settle_seed(struct khx_merge_file *file, struct folio *folio,
			  const struct khx_merge_rules *rules);

/* All: scan lock held. */

/*
 * One look at a private page, locked: should it be unmapped and settled? Not if it
 * is known to change, must wait, or is held by someone. Never sleeps.
 */
bool khx_merge_settle_look(struct khx_merge_file *file, pgoff_t index,
			   struct folio *folio);
/* Merges what can be merged of the run, makes candidates of the rest, empties it. */
void khx_merge_settle_run(struct khx_merge_run *run,
			  const struct khx_merge_rules *rules,
			  struct khx_merge_progress *progress);

#endif /* KHX_MERGE_SETTLE_H */
