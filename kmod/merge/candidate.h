/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_CANDIDATE_H
#define KHX_MERGE_CANDIDATE_H

#include <linux/rhashtable.h>
#include <linux/types.h>

struct khx_merge_domain;
struct khx_merge_file;

extern const struct rhashtable_params khx_merge_candidate_params;

/* All: the lock of the page at @index is held; @key is that page's key. */
bool khx_merge_candidate_add(struct khx_merge_file *file, pgoff_t index, u64 key);
void khx_merge_candidate_remove(struct khx_merge_file *file, pgoff_t index,
				u64 key);

/* Scanner: who offers a page with @key? The file stays while scanning. */
struct khx_merge_file *khx_merge_candidate_find(struct khx_merge_domain *domain,
						u64 key, pgoff_t *index);

size_t khx_merge_candidate_size(void);
int khx_merge_candidate_init(void);
void khx_merge_candidate_exit(void);

#endif /* KHX_MERGE_CANDIDATE_H */
