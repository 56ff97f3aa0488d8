// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: the profit guard
 *
 * Memory saved and CPU time spent are compared once in a window of 20 seconds,
 * by a fixed price: a second of CPU time must keep 20000 pages (78 MiB) saved for
 * that window. So a scanner at its usual limit of 10 % of a CPU must save about
 * 160 MiB to go on; one that has nothing to do costs next to nothing and may go
 * on for very little. When it is too dear, or when bookkeeping takes more memory
 * than merging saves, the guard engages: the scanner is slowed to a trickle.
 *
 * A trickle still merges, and at full speed it would cost no more than 16 times what
 * it costs as a trickle. When the saving is worth that, it goes on at full speed: what
 * was dear may have been the first passes over a guest's memory. Whenever a setting is
 * changed it begins anew, as with others it may cost less.
 *
 * There is no verdict before three passes, as merging needs two, nor before 19 where
 * there are pages of 2 MiB: the last of them have been looked at twice after 16, and
 * until then they cost and bring nothing. When these have become twice as many, it
 * begins anew.
 */
#include <linux/jiffies.h>
#include <linux/math64.h>

#include "control.h"
#include "domain.h"
#include "guard.h"
#include "split.h"

#define KHX_MERGE_GUARD_WINDOW		(20 * HZ)
#define KHX_MERGE_GUARD_NS_PER_PAGE	50000
#define KHX_MERGE_GUARD_PASSES		3
#define KHX_MERGE_GUARD_HUGE_PASSES	(2 * KHX_MERGE_SPLIT_ROUNDS + \
					 KHX_MERGE_GUARD_PASSES)

static struct {
	unsigned long window_start;	/* jiffies */
	u64 window_cpu;			/* CPU time then */
	unsigned int passes;		/* of these ... */
	unsigned long huge;		/* ... 2 MiB pages */
	bool judged;			/* since these were counted */
	bool engaged;
} khx_merge_guard;

bool khx_merge_guard_engaged(void)
{
	return READ_ONCE(khx_merge_guard.engaged);
}

static void khx_merge_guard_window(u64 cpu_ns)
{
	khx_merge_guard.window_start = jiffies;
	khx_merge_guard.window_cpu = cpu_ns;
}

void khx_merge_guard_reset(u64 cpu_ns)
{
	khx_merge_guard_window(cpu_ns);
	khx_merge_guard.passes = 0;
	khx_merge_guard.huge = 0;
	khx_merge_guard.judged = true;
	WRITE_ONCE(khx_merge_guard.engaged, false);
}

void khx_merge_guard_pass(void)
{
	unsigned long totals[KHX_MERGE_NR_STATS], huge;

	khx_merge_domain_totals(totals);
	huge = totals[KHX_MERGE_STAT_HUGE];
	/* Nobody holds verdicts off by giving pages back and taking them again. */
	if (huge > 2 * khx_merge_guard.huge && khx_merge_guard.judged &&
	    !khx_merge_guard.engaged) {
		khx_merge_guard.passes = 0;
		khx_merge_guard.huge = huge;
		khx_merge_guard.judged = false;
	}
	khx_merge_guard.huge = min(khx_merge_guard.huge, huge);
	khx_merge_guard.passes++;
}

static bool khx_merge_guard_knows(void)
{
	return khx_merge_guard.passes >= (khx_merge_guard.huge ?
					  KHX_MERGE_GUARD_HUGE_PASSES :
					  KHX_MERGE_GUARD_PASSES);
}

static bool khx_merge_guard_too_dear(u64 cost)
{
	unsigned long totals[KHX_MERGE_NR_STATS];
	long worth;

	if (!khx_merge_control_get(KHX_MERGE_SET_PROFIT_GUARD))
		return false;
	khx_merge_domain_totals(totals);
	worth = khx_merge_control_worth(totals);
	if (worth < 0)
		return true;
	return div_u64(cost, KHX_MERGE_GUARD_NS_PER_PAGE) > worth >> PAGE_SHIFT;
}

/* CPU time of a window at full speed. Between two rounds may be several. */
static u64 khx_merge_guard_cost(u64 cpu_ns, unsigned long elapsed)
{
	u64 cost = cpu_ns - khx_merge_guard.window_cpu;

	if (khx_merge_guard.engaged)
		cost *= KHX_MERGE_TRICKLE;
	return div64_ul(cost * KHX_MERGE_GUARD_WINDOW, elapsed);
}

bool khx_merge_guard_judge(u64 cpu_ns)
{
	unsigned long elapsed = jiffies - khx_merge_guard.window_start;
	bool engaged;
	u64 cost;

	if (elapsed < KHX_MERGE_GUARD_WINDOW)
		return false;
	cost = khx_merge_guard_cost(cpu_ns, elapsed);
	khx_merge_guard_window(cpu_ns);
	if (!khx_merge_guard_knows())
		return false;

	khx_merge_guard.judged = true;
	engaged = khx_merge_guard_too_dear(cost);
	if (engaged == khx_merge_guard.engaged)
		return false;
	WRITE_ONCE(khx_merge_guard.engaged, engaged);
	return true;
}
