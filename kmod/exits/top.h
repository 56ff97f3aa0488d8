/* SPDX-License-Identifier: GPL-2.0 */
/* Top-N tables of bounded size: see the DOC: block in top.c. */
#ifndef KHX_EXITS_TOP_H
#define KHX_EXITS_TOP_H

#include <linux/types.h>

/*
 * A Linux guest uses about ten MSRs, ports and MMIO pages each; twice that
 * keeps them all exact, and a scan of the keys stays within a few cache lines.
 */
#define KHX_EXITS_TOP_ROWS	24

/**
 * struct khx_exits_top_row - one key of a table
 * @key: what is counted (an MSR and its direction, a port, a page ...)
 * @count: never less than the true count
 * @error: by how much @count may be too high; @count - @error is certain
 * @time: nanoseconds credited since the key last entered the table
 */
struct khx_exits_top_row {
	u64 key;
	u64 count;
	u64 error;
	u64 time;
};

/**
 * struct khx_exits_top - a table, rows sorted by count, highest first
 * @total: events seen, whether or not their key is still in the table
 * @time: nanoseconds of all those events
 * @nr: rows in use
 * @row: the rows
 */
struct khx_exits_top {
	u64 total;
	u64 time;
	u32 nr;
	struct khx_exits_top_row row[KHX_EXITS_TOP_ROWS];
};

struct khx_exits_top_row *khx_exits_top_add(struct khx_exits_top *top, u64 key);

/* What a row is certain of: the part of its count no other key can own. */
static inline u64 khx_exits_top_sure(const struct khx_exits_top_row *row)
{
	return row->count - row->error;
}

#endif /* KHX_EXITS_TOP_H */
