// SPDX-License-Identifier: GPL-2.0
/* Domains: who may share pages with whom. */
#include <linux/random.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "candidate.h"
#include "domain.h"
#include "hint.h"
#include "stable.h"

/*
 * Guards the list, the names in it and the totals of domains that are gone. Anyone may
 * ask for those: a mutex would be handed to tasks that may not run for seconds.
 */
static DEFINE_SPINLOCK(khx_merge_domain_lock);
static LIST_HEAD(khx_merge_domains);
static struct khx_merge_stats khx_merge_domain_gone;
static u32 khx_merge_domain_next_id;
static unsigned int khx_merge_domain_nr_gone;

static struct khx_merge_domain *khx_merge_domain_create(const char *name)
{
	struct khx_merge_domain *domain;
	int ret;

	domain = kzalloc(sizeof(*domain), GFP_KERNEL);
	if (!domain)
		return ERR_PTR(-ENOMEM);

	ret = rhashtable_init(&domain->stables, &khx_merge_stable_params);
	if (ret)
		goto err_free;
	ret = rhashtable_init(&domain->candidates, &khx_merge_candidate_params);
	if (ret)
		goto err_stables;

	spin_lock_init(&domain->lock);
	refcount_set(&domain->refs, 1);
	strscpy(domain->name, name, sizeof(domain->name));
	domain->born = ktime_get_seconds();
	domain->seed = get_random_u64();
	return domain;

err_stables:
	rhashtable_destroy(&domain->stables);
err_free:
	kfree(domain);
	return ERR_PTR(ret);
}

/* It is on no list, and has no page and no candidate. */
static void khx_merge_domain_free(struct khx_merge_domain *domain)
{
	khx_merge_hint_free(domain->hints);
	rhashtable_destroy(&domain->candidates);
	rhashtable_destroy(&domain->stables);
	kfree(domain);
}

/* The one of that name, with a reference, or NULL. */
static struct khx_merge_domain *khx_merge_domain_find(const char *name)
{
	struct khx_merge_domain *domain;

	lockdep_assert_held(&khx_merge_domain_lock);

	list_for_each_entry(domain, &khx_merge_domains, link) {
		if (strcmp(domain->name, name))
			continue;
		refcount_inc(&domain->refs);
		return domain;
	}
	return NULL;
}

/* A mount without a name gets a domain that no other mount can name. */
struct khx_merge_domain *khx_merge_domain_get(const char *name)
{
	struct khx_merge_domain *fresh, *domain = NULL;

	fresh = khx_merge_domain_create(name ?: "");
	if (IS_ERR(fresh))
		return fresh;
	spin_lock(&khx_merge_domain_lock);
	if (name)
		domain = khx_merge_domain_find(name);
	if (!domain) {
		WRITE_ONCE(khx_merge_domain_next_id, khx_merge_domain_next_id + 1);
		fresh->id = khx_merge_domain_next_id;
		list_add_tail(&fresh->link, &khx_merge_domains);
	}
	spin_unlock(&khx_merge_domain_lock);
	if (!domain)
		return fresh;
	khx_merge_domain_free(fresh);
	return domain;
}

static void khx_merge_domain_retire(struct khx_merge_domain *domain)
{
	int i;

	for (i = KHX_MERGE_FIRST_EVENT; i < KHX_MERGE_NR_STATS; i++)
		khx_merge_stats_add(&khx_merge_domain_gone, i,
				    khx_merge_stats_read(&domain->stats, i));
}

/* The last mount is gone, and with its files every page and candidate. */
void khx_merge_domain_put(struct khx_merge_domain *domain)
{
	bool gone;

	spin_lock(&khx_merge_domain_lock);
	gone = refcount_dec_and_test(&domain->refs);
	if (gone) {
		list_del(&domain->link);
		WRITE_ONCE(khx_merge_domain_nr_gone, khx_merge_domain_nr_gone + 1);
		khx_merge_domain_retire(domain);
	}
	spin_unlock(&khx_merge_domain_lock);
	if (!gone)
		return;

	WARN_ON_ONCE(khx_merge_stats_read(&domain->stats, KHX_MERGE_STAT_SHARED));
	WARN_ON_ONCE(khx_merge_stats_read(&domain->stats, KHX_MERGE_STAT_UNSHARED));
	khx_merge_domain_free(domain);
}

unsigned int khx_merge_domain_changes(void)
{
	return READ_ONCE(khx_merge_domain_next_id) +
	       READ_ONCE(khx_merge_domain_nr_gone);
}

int khx_merge_domain_each(int (*fn)(struct khx_merge_domain *, void *), void *arg)
{
	struct khx_merge_domain *domain;
	int ret = 0;

	spin_lock(&khx_merge_domain_lock);
	list_for_each_entry(domain, &khx_merge_domains, link) {
		ret = fn(domain, arg);
		if (ret)
			break;
	}
	spin_unlock(&khx_merge_domain_lock);
	return ret;
}

/* While a table grows or shrinks, there are two. */
static size_t khx_merge_domain_table_bytes(struct rhashtable *ht)
{
	struct bucket_table *table;
	size_t bytes = 0;

	rcu_read_lock();
	for (table = rcu_dereference(ht->tbl); table;
	     table = rcu_dereference(table->future_tbl))
		bytes += struct_size(table, buckets, table->size);
	rcu_read_unlock();
	return bytes;
}

static int khx_merge_domain_add_bytes(struct khx_merge_domain *domain, void *bytes)
{
	*(size_t *)bytes += sizeof(*domain) +
			    khx_merge_domain_table_bytes(&domain->stables) +
			    khx_merge_domain_table_bytes(&domain->candidates);
	return 0;
}

size_t khx_merge_domain_bytes(void)
{
	size_t bytes = 0;

	khx_merge_domain_each(khx_merge_domain_add_bytes, &bytes);
	return bytes;
}

static void khx_merge_domain_sum(unsigned long totals[KHX_MERGE_NR_STATS],
				 struct khx_merge_stats *stats)
{
	int i;

	for (i = 0; i < KHX_MERGE_NR_STATS; i++)
		totals[i] += khx_merge_stats_read(stats, i);
}

void khx_merge_domain_totals(unsigned long totals[KHX_MERGE_NR_STATS])
{
	struct khx_merge_domain *domain;

	memset(totals, 0, sizeof(*totals) * KHX_MERGE_NR_STATS);
	spin_lock(&khx_merge_domain_lock);
	khx_merge_domain_sum(totals, &khx_merge_domain_gone);
	list_for_each_entry(domain, &khx_merge_domains, link)
		khx_merge_domain_sum(totals, &domain->stats);
	spin_unlock(&khx_merge_domain_lock);
}
