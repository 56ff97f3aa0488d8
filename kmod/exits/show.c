// SPDX-License-Identifier: GPL-2.0
#include <linux/math64.h>
#include <linux/seq_file.h>

#include "show.h"

/* What the times mean, which is not quite the same on both vendors. */
static void khx_exits_show_meaning(struct seq_file *m, u32 isa)
{
	seq_puts(m, "# VM exit to next entry, userspace and sleep included; ");
	if (isa == KHX_EXITS_ISA_VMX)
		seq_puts(m, "VMX: host interrupts included\n");
	else
		seq_puts(m, "SVM: less the host interrupt that ended it\n");
}

static void khx_exits_show_slot(struct seq_file *m,
				const struct khx_exits_slot *slot, u32 isa)
{
	u64 timed = khx_exits_slot_timed(slot);
	char name[KHX_EXITS_TEXT_SIZE];

	khx_exits_reason_format(slot->reason, isa, slot->nested, name,
				sizeof(name));
	seq_printf(m, "%-22s %12llu %16llu %10llu %10llu %14llu\n", name,
		   slot->count, slot->total, timed ? slot->min : 0,
		   timed ? div64_u64(slot->total, timed) : 0, slot->max);
}

void khx_exits_show_reason(struct seq_file *m, struct khx_exits_stats *stats,
			   u32 isa)
{
	u32 i;

	seq_puts(m, "# reason count total_ns min_ns avg_ns max_ns\n");
	khx_exits_show_meaning(m, isa);
	seq_printf(m, "# entries without a traced exit: %llu\n",
		   stats->reentries);
	khx_exits_stats_sort(stats);
	for (i = KHX_EXITS_SLOT_OTHER; i < stats->nr_slots; i++)
		if (stats->slot[i].count)
			khx_exits_show_slot(m, &stats->slot[i], isa);
}

/* Lower bound of a bucket; that of the one after the last has no end. */
static u64 khx_exits_show_bucket(u32 i)
{
	return i ? BIT_ULL(i + KHX_EXITS_HIST_FIRST - 1) : 0;
}

void khx_exits_show_histogram(struct seq_file *m,
			      struct khx_exits_stats *stats, u32 isa)
{
	char name[KHX_EXITS_TEXT_SIZE];
	struct khx_exits_slot *slot;
	u32 i, b;

	seq_puts(m, "# reason from_ns to_ns count\n");
	khx_exits_show_meaning(m, isa);
	khx_exits_stats_sort(stats);
	for (i = KHX_EXITS_SLOT_OTHER; i < stats->nr_slots; i++) {
		slot = &stats->slot[i];
		khx_exits_reason_format(slot->reason, isa, slot->nested, name,
					sizeof(name));
		for (b = 0; b < KHX_EXITS_HISTOGRAM; b++) {
			if (!slot->hist[b])
				continue;
			seq_printf(m, "%-22s %12llu ", name,
				   khx_exits_show_bucket(b));
			if (b < KHX_EXITS_HISTOGRAM - 1)
				seq_printf(m, "%12llu", khx_exits_show_bucket(b + 1));
			else
				seq_puts(m, "         inf");
			seq_printf(m, " %12llu\n", slot->hist[b]);
		}
	}
}

void khx_exits_show_fault(struct seq_file *m, struct khx_exits_stats *stats,
			  u32 isa)
{
	u32 i;

	seq_puts(m, "# cause count\n");
	for (i = 0; i < KHX_EXITS_FAULTS; i++)
		seq_printf(m, "%-18s %12llu\n", khx_exits_fault_name(i),
			   stats->fault[i]);
}

void khx_exits_show_halt(struct seq_file *m, struct khx_exits_stats *stats,
			 u32 isa)
{
	const struct khx_exits_halt *halt = &stats->halt;

	seq_puts(m, "# outcome count total_ns\n");
	seq_printf(m, "polled  %12llu %16llu\n", halt->polled, halt->polled_ns);
	seq_printf(m, "blocked %12llu %16llu\n", halt->blocked,
		   halt->blocked_ns);
	seq_printf(m, "invalid %12llu %16u\n", halt->invalid, 0);
}

void khx_exits_show_rows(struct seq_file *m, const struct khx_exits_rows *rows,
			 enum khx_exits_table table)
{
	const struct khx_exits_top_row *row = rows->row;
	char key[KHX_EXITS_TEXT_SIZE];

	seq_printf(m, "# %s access count error time_ns\n",
		   khx_exits_table_name(table));
	for (; row < rows->row + rows->nr; row++) {
		khx_exits_key_format(table, row->key, key, sizeof(key));
		seq_printf(m, "%-24s %12llu %8llu %16llu\n", key,
			   khx_exits_top_sure(row), row->error, row->time);
	}
	seq_printf(m, "%-24s %12llu %8u %16llu\n", "other any",
		   rows->total - rows->sure, 0, rows->time - rows->sure_time);
}
