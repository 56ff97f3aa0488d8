/* SPDX-License-Identifier: GPL-2.0 */
/* Which processes' guests are counted. */
#ifndef KHX_EXITS_FILTER_H
#define KHX_EXITS_FILTER_H

#include <linux/types.h>

#define KHX_EXITS_FILTER_MAX	64

/**
 * struct khx_exits_filter - a set of processes
 * @nr: how many; with none, all guests are counted
 * @pid: their thread group ids
 */
struct khx_exits_filter {
	unsigned int nr;
	pid_t pid[KHX_EXITS_FILTER_MAX];
};

bool khx_exits_filter_mutes(pid_t pid);
void khx_exits_filter_set(const struct khx_exits_filter *filter);
void khx_exits_filter_get(struct khx_exits_filter *filter);

#endif /* KHX_EXITS_FILTER_H */
