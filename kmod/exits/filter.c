// SPDX-License-Identifier: GPL-2.0
#include <linux/seqlock.h>

#include "filter.h"
#include "vm.h"

/*
 * Asked when a vCPU exits for the first time, in a probe; hence a copy that is
 * read again if it changed meanwhile, not a lock.
 */
static struct khx_exits_filter khx_exits_filter;
static DEFINE_SEQLOCK(khx_exits_filter_seq);

static bool khx_exits_filter_has(pid_t pid)
{
	unsigned int i;

	for (i = 0; i < min(khx_exits_filter.nr, KHX_EXITS_FILTER_MAX + 0U);
	     i++)
		if (khx_exits_filter.pid[i] == pid)
			return true;
	return false;
}

bool khx_exits_filter_mutes(pid_t pid)
{
	unsigned int seq;
	bool mutes;

	do {
		seq = read_seqbegin(&khx_exits_filter_seq);
		mutes = khx_exits_filter.nr && !khx_exits_filter_has(pid);
	} while (read_seqretry(&khx_exits_filter_seq, seq));
	return mutes;
}

/* Takes effect with each vCPU's next exit. */
void khx_exits_filter_set(const struct khx_exits_filter *filter)
{
	unsigned long flags;

	write_seqlock_irqsave(&khx_exits_filter_seq, flags);
	khx_exits_filter = *filter;
	write_sequnlock_irqrestore(&khx_exits_filter_seq, flags);
	khx_exits_vm_apply_filter();
}

void khx_exits_filter_get(struct khx_exits_filter *filter)
{
	unsigned int seq;

	do {
		seq = read_seqbegin(&khx_exits_filter_seq);
		*filter = khx_exits_filter;
	} while (read_seqretry(&khx_exits_filter_seq, seq));
}
