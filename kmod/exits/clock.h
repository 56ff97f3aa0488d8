/* SPDX-License-Identifier: GPL-2.0 */
/* The clock of the fast path: the TSC where it can be trusted. */
#ifndef KHX_EXITS_CLOCK_H
#define KHX_EXITS_CLOCK_H

#include <linux/jump_label.h>
#include <linux/math64.h>
#include <linux/timekeeping.h>
#include <linux/types.h>
#include <asm/tsc.h>

#define KHX_EXITS_CLOCK_SHIFT	32

DECLARE_STATIC_KEY_TRUE(khx_exits_clock_is_tsc);
extern u64 khx_exits_clock_mult;

/* Chooses the clock; only while no probe runs. */
void khx_exits_clock_init(void);

/*
 * Unordered on purpose: a fence costs more than the few dozen cycles of
 * reordering it would remove from an interval of a thousand or more.
 */
static __always_inline u64 khx_exits_clock(void)
{
	if (static_branch_likely(&khx_exits_clock_is_tsc))
		return rdtsc();
	return ktime_get_mono_fast_ns();
}

/*
 * Nanoseconds between two readings. A vCPU that moved between CPUs whose TSCs
 * differ by a little may seem to have gone back in time: that is no time.
 */
static __always_inline u64 khx_exits_clock_ns(u64 from, u64 to)
{
	u64 delta = to - from;

	if (unlikely((s64)delta < 0))
		return 0;
	return mul_u64_u64_shr(delta, khx_exits_clock_mult,
			       KHX_EXITS_CLOCK_SHIFT);
}

#endif /* KHX_EXITS_CLOCK_H */
