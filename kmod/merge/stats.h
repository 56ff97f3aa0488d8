/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What is counted for every file, and again for every domain. The first group
 * says what is there now, the second only grows.
 */
#ifndef KHX_MERGE_STATS_H
#define KHX_MERGE_STATS_H

#include <linux/atomic.h>
#include <linux/types.h>

enum khx_merge_stat {
	KHX_MERGE_STAT_PRIVATE,		/* pages with a frame of their own */
	KHX_MERGE_STAT_HUGE,		/* 2 MiB pages; 512 of the former each */
	KHX_MERGE_STAT_MERGED,		/* pages that share a merged copy */
	KHX_MERGE_STAT_ZEROED,		/* zero pages given back, not written since */
	KHX_MERGE_STAT_SHARED,		/* merged copies (domains only) */
	KHX_MERGE_STAT_UNSHARED,	/* unchanged pages without an equal (candidates) */
	KHX_MERGE_STAT_HISTORIES,	/* 2 MiB chunks with a history */

	KHX_MERGE_STAT_LOOKS,		/* pages hashed or compared by the scanner */
	KHX_MERGE_STAT_MERGES,		/* pages merged, zero pages included */
	KHX_MERGE_STAT_BREAKS,		/* merged or zeroed pages made private by a write */
	KHX_MERGE_STAT_BUSY,		/* pages refused because someone holds a reference */
	KHX_MERGE_STAT_CHANGED,		/* pages seen changed since the last look */

	KHX_MERGE_NR_STATS
};

/* From here on a statistic only grows; it outlives its file or domain. */
#define KHX_MERGE_FIRST_EVENT	KHX_MERGE_STAT_LOOKS

struct khx_merge_stats {
	atomic_long_t v[KHX_MERGE_NR_STATS];
};

static inline void khx_merge_stats_add(struct khx_merge_stats *stats,
				       enum khx_merge_stat which, long n)
{
	atomic_long_add(n, &stats->v[which]);
}

/* Readers sum counters that move: a gauge seen below zero is zero. */
static inline unsigned long khx_merge_stats_read(struct khx_merge_stats *stats,
						 enum khx_merge_stat which)
{
	long n = atomic_long_read(&stats->v[which]);

	return n > 0 ? n : 0;
}

#endif /* KHX_MERGE_STATS_H */
