/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_SPLIT_H
#define KHX_MERGE_SPLIT_H

#include <linux/types.h>

struct khx_merge_file;
struct khx_merge_progress;
struct khx_merge_rules;
struct khx_merge_turn;

/* A page of 2 MiB is looked at once in so many passes. */
#define KHX_MERGE_SPLIT_ROUNDS	8

/*
 * Scan lock held: goes on with the file's 2 MiB pages, looks at those whose turn it
 * is in @round, and splits those that pay. False when the budget, or the time
 * until @end (jiffies), was over first.
 */
bool khx_merge_split_scan(struct khx_merge_file *file, struct khx_merge_turn *turn,
			  unsigned int round, unsigned int *budget,
			  unsigned long end,
			  const struct khx_merge_rules *rules,
			  struct khx_merge_progress *progress);

#endif /* KHX_MERGE_SPLIT_H */
