/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_STABLE_H
#define KHX_MERGE_STABLE_H

#include <linux/list.h>
#include <linux/mm_types.h>
#include <linux/rhashtable.h>

struct khx_merge_domain;

/**
 * struct khx_merge_stable - one merged copy
 * @node: in the domain's table, if this is the first with its key; under the
 *	domain's lock
 * @alike: all with this key, the first one too; under the domain's lock
 * @key: hash of the contents, which never change
 * @folio: the copy; its folio->private points back here
 * @domain: where it is shared
 * @sharers: pages that are this copy; the step from one to none is made under
 *	the domain's lock
 *
 * Each sharer also holds a reference to @folio, and so does every page table
 * that maps it: the frame may outlive this structure, never the reverse.
 */
struct khx_merge_stable {
	struct rhash_head node;
	struct list_head alike;
	u64 key;
	struct folio *folio;
	struct khx_merge_domain *domain;
	atomic_t sharers;
};

extern const struct rhashtable_params khx_merge_stable_params;

/* Scanner: returns a copy with one sharer added, or NULL. */
struct khx_merge_stable *khx_merge_stable_find(struct khx_merge_domain *domain,
					       u64 key, unsigned int max_sharers);
/* Scanner: is there one by @key? */
bool khx_merge_stable_exists(struct khx_merge_domain *domain, u64 key);
/*
 * Scanner, page locks held: a new copy of @from with one sharer, or NULL. The copy
 * has taken over what @from was charged for.
 */
struct khx_merge_stable *khx_merge_stable_create(struct khx_merge_domain *domain,
						 u64 key, struct folio *from);
/* The caller adds a sharer to a copy it already is a sharer of. */
void khx_merge_stable_get(struct khx_merge_stable *stable);
/* Anyone: one sharer less, with its reference to the folio. */
void khx_merge_stable_put(struct khx_merge_stable *stable);

int khx_merge_stable_init(void);
void khx_merge_stable_exit(void);

#endif /* KHX_MERGE_STABLE_H */
