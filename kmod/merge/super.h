/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_SUPER_H
#define KHX_MERGE_SUPER_H

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/ratelimit.h>
#include <linux/rcupdate.h>
#include <linux/uidgid.h>

struct khx_merge_domain;

enum khx_merge_huge {
	KHX_MERGE_HUGE_NEVER,
	KHX_MERGE_HUGE_ALWAYS,
};

/**
 * struct khx_merge_options - what a mount was asked for
 * @max_pages: ``size=`` in pages, 0 for no limit
 * @name: ``domain=``, NULL for a domain of its own
 * @nomerge: pages never merge, and may be pinned for long
 * @strict: a merged page is broken by reads too while the merge is recent
 * @huge: page size to begin with
 * @mode: of the root directory
 * @uid: owner of the root directory
 * @gid: group of the root directory
 */
struct khx_merge_options {
	unsigned long max_pages;
	char *name;
	bool nomerge;
	bool strict;
	enum khx_merge_huge huge;
	umode_t mode;
	kuid_t uid;
	kgid_t gid;
};

/**
 * struct khx_merge_super - one mount
 * @opt: fixed at mount, but for @opt.max_pages
 * @domain: reference held while mounted
 * @used: pages its files hold, merged or not; above @opt.max_pages only after that
 *	was lowered, or khx_merge_super_take()
 * @full_events: how often the mount says that it is full
 * @rcu: to free it: who goes through all files reads it
 *
 * A merged page counts for each of its sharers. So what a guest has been given
 * stays its own: writing to a merged page needs a frame but no room.
 */
struct khx_merge_super {
	struct khx_merge_options opt;
	struct khx_merge_domain *domain;
	atomic_long_t used;
	struct ratelimit_state full_events;
	struct rcu_head rcu;
};

/* Takes room for @n pages: false when the mount is full. */
bool khx_merge_super_charge(struct khx_merge_super *super, unsigned long n);
/* The same, full or not: for what is there already. */
void khx_merge_super_take(struct khx_merge_super *super, unsigned long n);
void khx_merge_super_uncharge(struct khx_merge_super *super, unsigned long n);

int khx_merge_super_init(void);
void khx_merge_super_exit(void);

#endif /* KHX_MERGE_SUPER_H */
