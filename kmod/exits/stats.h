/* SPDX-License-Identifier: GPL-2.0 */
/* The figures of one vCPU, or of several added up. */
#ifndef KHX_EXITS_STATS_H
#define KHX_EXITS_STATS_H

#include <linux/bitops.h>
#include <linux/minmax.h>

#include "detail.h"
#include "reason.h"
#include "top.h"

/*
 * A Linux guest shows ten to fifteen reasons, with a guest of its own about
 * thirty; more than these share the row "OTHER".
 */
#define KHX_EXITS_SLOTS		36

/*
 * Bucket 0 holds all below 128 ns (no exit is that fast), bucket b those from
 * 2^(b + 6) ns to twice that, the last of KHX_EXITS_HISTOGRAM all from 8.6 s.
 */
#define KHX_EXITS_HIST_FIRST	7

/**
 * struct khx_exits_slot - one exit reason
 * @count: exits
 * @total: nanoseconds from these exits to the next entry
 * @min: shortest of them, U64_MAX while there is none
 * @max: longest of them
 * @hist: how many took how long; their sum is the number of timed exits, which
 *	lags @count by one while the vCPU is outside the guest
 * @reason: basic reason
 * @kind: what more can be told of such an exit
 * @nested: the exit was from a guest of the guest (L2)
 */
struct khx_exits_slot {
	u64 count;
	u64 total;
	u64 min;
	u64 max;
	u64 hist[KHX_EXITS_HISTOGRAM];
	u32 reason;
	u8 kind;
	bool nested;
};

/* Slot numbers with a meaning. */
#define KHX_EXITS_SLOT_NONE	0	/* in a slot map: not seen yet */
#define KHX_EXITS_SLOT_OTHER	1	/* when all slots are taken */
#define KHX_EXITS_SLOT_FIRST	2

/**
 * struct khx_exits_halt - how halts ended
 * @polled: an event came while the host still polled, or before it slept
 * @polled_ns: time spent in those
 * @blocked: the vCPU's thread went to sleep
 * @blocked_ns: time spent in those, polling included
 * @invalid: woken without an event for the guest; also counted above
 */
struct khx_exits_halt {
	u64 polled;
	u64 polled_ns;
	u64 blocked;
	u64 blocked_ns;
	u64 invalid;
};

/**
 * struct khx_exits_stats - all figures
 * @slot_of: slot of each code, for L1 and L2; or KHX_EXITS_SLOT_NONE
 * @nr_slots: first slot not in use
 * @slot: one per reason seen
 * @reentries: entries that no exit was reported for (SVM fast path)
 * @fault: EPT violations and nested page faults by cause
 * @halt: halts by outcome
 * @top: the top-N tables
 */
struct khx_exits_stats {
	u8 slot_of[2][KHX_EXITS_CODES];
	u32 nr_slots;
	struct khx_exits_slot slot[KHX_EXITS_SLOTS];
	u64 reentries;
	u64 fault[KHX_EXITS_FAULTS];
	struct khx_exits_halt halt;
	struct khx_exits_top top[KHX_EXITS_TABLES];
};

void khx_exits_stats_init(struct khx_exits_stats *stats);
void khx_exits_stats_sort(struct khx_exits_stats *stats);
struct khx_exits_slot *khx_exits_stats_slot_claim(struct khx_exits_stats *stats,
						  u32 reason, u32 isa,
						  bool nested);
void khx_exits_stats_add(struct khx_exits_stats *sum,
			 const struct khx_exits_stats *stats, u32 isa);

static __always_inline struct khx_exits_slot *
khx_exits_stats_slot(struct khx_exits_stats *stats, u32 reason, u32 isa,
		     bool nested)
{
	u32 i = stats->slot_of[nested][khx_exits_reason_code(reason, isa)];

	if (likely(i != KHX_EXITS_SLOT_NONE))
		return &stats->slot[i];
	return khx_exits_stats_slot_claim(stats, reason, isa, nested);
}

static __always_inline void khx_exits_slot_time(struct khx_exits_slot *slot,
						u64 ns)
{
	u32 i = fls64(ns | (BIT(KHX_EXITS_HIST_FIRST) - 1)) -
		KHX_EXITS_HIST_FIRST;

	slot->total += ns;
	if (ns < slot->min)
		slot->min = ns;
	if (ns > slot->max)
		slot->max = ns;
	slot->hist[min_t(u32, i, KHX_EXITS_HISTOGRAM - 1)]++;
}

/* Exits of this reason that have ended. */
static inline u64 khx_exits_slot_timed(const struct khx_exits_slot *slot)
{
	u64 timed = 0;
	int i;

	for (i = 0; i < KHX_EXITS_HISTOGRAM; i++)
		timed += slot->hist[i];
	return timed;
}

#endif /* KHX_EXITS_STATS_H */
