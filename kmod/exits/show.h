/* SPDX-License-Identifier: GPL-2.0 */
/* The figures as text, one function a file. */
#ifndef KHX_EXITS_SHOW_H
#define KHX_EXITS_SHOW_H

#include "detail.h"
#include "rows.h"
#include "stats.h"

struct seq_file;

/* @stats is a private copy, which they may reorder. */
void khx_exits_show_reason(struct seq_file *m, struct khx_exits_stats *stats,
			   u32 isa);
void khx_exits_show_histogram(struct seq_file *m,
			      struct khx_exits_stats *stats, u32 isa);
void khx_exits_show_fault(struct seq_file *m, struct khx_exits_stats *stats,
			  u32 isa);
void khx_exits_show_halt(struct seq_file *m, struct khx_exits_stats *stats,
			 u32 isa);
void khx_exits_show_rows(struct seq_file *m, const struct khx_exits_rows *rows,
			 enum khx_exits_table table);

#endif /* KHX_EXITS_SHOW_H */
