// SPDX-License-Identifier: GPL-2.0
#include <linux/limits.h>
#include <linux/sort.h>
#include <linux/string.h>

#include "stats.h"

void khx_exits_stats_init(struct khx_exits_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	stats->nr_slots = KHX_EXITS_SLOT_FIRST;
	stats->slot[KHX_EXITS_SLOT_OTHER].min = U64_MAX;
	stats->slot[KHX_EXITS_SLOT_OTHER].reason = KHX_EXITS_REASON_OTHER;
	stats->slot[KHX_EXITS_SLOT_OTHER].kind = KHX_EXITS_KIND_OTHER;
}

static struct khx_exits_slot *
khx_exits_stats_slot_find(struct khx_exits_stats *stats, u32 reason,
			  bool nested)
{
	u32 i;

	for (i = KHX_EXITS_SLOT_FIRST; i < stats->nr_slots; i++)
		if (stats->slot[i].reason == reason &&
		    stats->slot[i].nested == nested)
			return &stats->slot[i];
	return NULL;
}

/**
 * khx_exits_stats_slot_claim() - slot of a reason that the slot map lacks
 * @stats: the figures
 * @reason: raw reason
 * @isa: whose reason it is
 * @nested: the exit was from L2
 *
 * Reasons without a code of their own (KHX_EXITS_CODE_REST) are looked for
 * each time; none of them is frequent.
 *
 * Return: the slot, which is that of all others if none was free.
 */
struct khx_exits_slot *khx_exits_stats_slot_claim(struct khx_exits_stats *stats,
						  u32 reason, u32 isa,
						  bool nested)
{
	u32 code = khx_exits_reason_code(reason, isa);
	struct khx_exits_slot *slot;
	u32 i = KHX_EXITS_SLOT_OTHER;

	reason = khx_exits_reason_basic(reason, isa);
	slot = khx_exits_stats_slot_find(stats, reason, nested);
	if (slot)
		return slot;
	if (stats->nr_slots < KHX_EXITS_SLOTS) {
		i = stats->nr_slots++;
		slot = &stats->slot[i];
		slot->min = U64_MAX;
		slot->reason = reason;
		slot->kind = khx_exits_reason_kind(reason, isa);
		slot->nested = nested;
	}
	if (code != KHX_EXITS_CODE_REST)
		stats->slot_of[nested][code] = i;
	return &stats->slot[i];
}

static int khx_exits_slot_by_time(const void *a, const void *b)
{
	const struct khx_exits_slot *x = a, *y = b;

	return x->total > y->total ? -1 : x->total < y->total;
}

/**
 * khx_exits_stats_sort() - order the slots by time, longest first
 * @stats: a private copy; its slot map means nothing any more
 */
void khx_exits_stats_sort(struct khx_exits_stats *stats)
{
	sort(&stats->slot[KHX_EXITS_SLOT_OTHER],
	     stats->nr_slots - KHX_EXITS_SLOT_OTHER, sizeof(stats->slot[0]),
	     khx_exits_slot_by_time, NULL);
}

static void khx_exits_slot_add(struct khx_exits_slot *sum,
			       const struct khx_exits_slot *slot)
{
	int i;

	sum->count += slot->count;
	sum->total += slot->total;
	sum->min = min(sum->min, slot->min);
	sum->max = max(sum->max, slot->max);
	for (i = 0; i < KHX_EXITS_HISTOGRAM; i++)
		sum->hist[i] += slot->hist[i];
}

static void khx_exits_halt_add(struct khx_exits_halt *sum,
			       const struct khx_exits_halt *halt)
{
	sum->polled += halt->polled;
	sum->polled_ns += halt->polled_ns;
	sum->blocked += halt->blocked;
	sum->blocked_ns += halt->blocked_ns;
	sum->invalid += halt->invalid;
}

/**
 * khx_exits_stats_add() - add the figures of one vCPU to a sum
 * @sum: where to; not shared with anyone
 * @stats: a copy of the vCPU's figures
 * @isa: whose reasons they are
 *
 * The top-N tables are left out: their rows are added up by key, which needs
 * more room than one table has (see rows.c).
 */
void khx_exits_stats_add(struct khx_exits_stats *sum,
			 const struct khx_exits_stats *stats, u32 isa)
{
	const struct khx_exits_slot *slot;
	u32 i;

	khx_exits_slot_add(&sum->slot[KHX_EXITS_SLOT_OTHER],
			   &stats->slot[KHX_EXITS_SLOT_OTHER]);
	for (i = KHX_EXITS_SLOT_FIRST; i < stats->nr_slots; i++) {
		slot = &stats->slot[i];
		khx_exits_slot_add(khx_exits_stats_slot(sum, slot->reason, isa,
							slot->nested), slot);
	}
	sum->reentries += stats->reentries;
	for (i = 0; i < KHX_EXITS_FAULTS; i++)
		sum->fault[i] += stats->fault[i];
	khx_exits_halt_add(&sum->halt, &stats->halt);
}
