/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What merging has led to at each index, kept while it is merged or a hole.
 *
 * A page that is written soon after it was merged was not worth merging. Each
 * such break raises the level of its index, and a page of level n > 0 must stay
 * unwritten for KHX_MERGE_BACKOFF_SECS << n before it is merged again.
 */
#ifndef KHX_MERGE_HISTORY_H
#define KHX_MERGE_HISTORY_H

#include <linux/types.h>

struct khx_merge_file;

/* Scanner: makes room for the history of @index; false without memory. */
bool khx_merge_history_prepare(struct khx_merge_file *file, pgoff_t index);

/* All with the entry at @index locked, or just made by the caller. */
void khx_merge_history_merged(struct khx_merge_file *file, pgoff_t index,
			      bool zeroed);
void khx_merge_history_broken(struct khx_merge_file *file, pgoff_t index);
void khx_merge_history_written(struct khx_merge_file *file, pgoff_t index);

/* Anyone: may the page be merged now? Was it merged, or zeroed, just now? */
bool khx_merge_history_ready(struct khx_merge_file *file, pgoff_t index);
bool khx_merge_history_recent(struct khx_merge_file *file, pgoff_t index);
/* Anyone: is the hole at @index one that the scanner made? */
bool khx_merge_history_was_zeroed(struct khx_merge_file *file, pgoff_t index);

/* The range is given up: what was known of it is no longer true. */
void khx_merge_history_forget(struct khx_merge_file *file, pgoff_t start,
			      pgoff_t end);
/* The file goes. */
void khx_merge_history_free(struct khx_merge_file *file);

/* Of one, and its part of what leads to it. */
size_t khx_merge_history_size(void);

#endif /* KHX_MERGE_HISTORY_H */
