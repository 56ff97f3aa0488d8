/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_CONTROL_H
#define KHX_MERGE_CONTROL_H

#include <linux/types.h>
#include <linux/khx_merge.h>

/* In the order of KHX_MERGE_A_SET_*. */
enum khx_merge_setting {
	KHX_MERGE_SET_RUN,
	KHX_MERGE_SET_PAGES_TO_SCAN,
	KHX_MERGE_SET_SLEEP_MSECS,
	KHX_MERGE_SET_CPU_LIMIT,
	KHX_MERGE_SET_MAX_PAGE_SHARING,
	KHX_MERGE_SET_USE_ZERO_PAGES,
	KHX_MERGE_SET_ACROSS_NODES,
	KHX_MERGE_SET_PROFIT_GUARD,

	KHX_MERGE_NR_SETTINGS
};

#define KHX_MERGE_RUN_STOP	0
#define KHX_MERGE_RUN_MERGE	1
#define KHX_MERGE_RUN_UNMERGE	2

struct khx_merge_setting_info {
	const char *range;	/* for who is out of it */
	unsigned int min, max;
};

extern const struct khx_merge_setting_info
khx_merge_settings[KHX_MERGE_NR_SETTINGS];

unsigned int khx_merge_control_get(enum khx_merge_setting which);
/* 0, -ERANGE, -EBUSY, or what khx_merge_unmerge_all() says. */
int khx_merge_control_set(enum khx_merge_setting which, unsigned int value);

enum khx_merge_run_state khx_merge_control_state(void);
unsigned long khx_merge_control_full_scans(void);
/* CPU time of the scanner, in nanoseconds. */
u64 khx_merge_control_cpu(void);

/* Bytes the module holds to merge, given the totals of all domains. */
unsigned long khx_merge_control_metadata(const unsigned long *totals);
/* Bytes saved less those. */
long khx_merge_control_profit(const unsigned long *totals);
/* Bytes saved less what is kept of pages: what going on is worth. */
long khx_merge_control_worth(const unsigned long *totals);

int khx_merge_control_init(void);
void khx_merge_control_exit(void);

#endif /* KHX_MERGE_CONTROL_H */
