/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_DOMAIN_H
#define KHX_MERGE_DOMAIN_H

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/list.h>
#include <linux/refcount.h>
#include <linux/rhashtable.h>
#include <linux/spinlock.h>

#include "stats.h"

struct khx_merge_hint_table;

#define KHX_MERGE_DOMAIN_NAME_MAX	63
#define KHX_MERGE_DOMAIN_CONTESTED	BIT(15)

/**
 * struct khx_merge_domain - pages merge within one domain only
 * @link: in the list of all domains, under its lock
 * @refs: one for each mount
 * @name: what mounts ask for with ``domain=``, "" for a domain of one mount
 * @id: number that tells domains apart in netlink and sysfs
 * @born: when it came to be, in seconds since boot
 * @seed: secret start of every hash, so that the contents a guest would have
 *	to choose to make pages collide differ from domain to domain
 * @lock: guards @stables and @candidates, and the step of a merged copy's
 *	sharers from one to none
 * @stables: merged copies by key; of several with one key the first
 * @candidates: unchanged private pages by key, one page a key
 * @contested: samples that pages of different contents have in common, by their
 *	low bits; the scan lock guards it
 * @nr_blocks: pages of 2 MiB that the scanner looks at
 * @hints: keys seen in them, or NULL; hint.h. The scan lock guards these two
 * @hints_epoch: how often all hints have been dropped
 * @stats: counters; see enum khx_merge_stat
 */
struct khx_merge_domain {
	struct list_head link;
	refcount_t refs;
	char name[KHX_MERGE_DOMAIN_NAME_MAX + 1];
	u32 id;
	time64_t born;
	u64 seed;

	spinlock_t lock;
	struct rhashtable stables;
	struct rhashtable candidates;
	DECLARE_BITMAP(contested, KHX_MERGE_DOMAIN_CONTESTED);
	atomic_long_t nr_blocks;
	struct khx_merge_hint_table *hints;
	unsigned int hints_epoch;

	struct khx_merge_stats stats;
};

struct khx_merge_domain *khx_merge_domain_get(const char *name);
void khx_merge_domain_put(struct khx_merge_domain *domain);

/* Scanner: the sample @key does not tell pages apart any more. */
static inline void khx_merge_domain_contest(struct khx_merge_domain *domain,
					    u64 key)
{
	__set_bit(key % KHX_MERGE_DOMAIN_CONTESTED, domain->contested);
}

/* Scanner: may pages with the sample @key be different? Few "yes" are wrong. */
static inline bool khx_merge_domain_is_contested(struct khx_merge_domain *domain,
						 u64 key)
{
	return test_bit(key % KHX_MERGE_DOMAIN_CONTESTED, domain->contested);
}

/* Domains that came or went so far. */
unsigned int khx_merge_domain_changes(void);

/* Calls @fn for every domain, under the list's spinlock, until it returns nonzero. */
int khx_merge_domain_each(int (*fn)(struct khx_merge_domain *, void *), void *arg);

/* What all domains and their tables take, however much or little is in them. */
size_t khx_merge_domain_bytes(void);

/* Sums over all domains, those that are gone included for events. */
void khx_merge_domain_totals(unsigned long totals[KHX_MERGE_NR_STATS]);

#endif /* KHX_MERGE_DOMAIN_H */
