/* SPDX-License-Identifier: GPL-2.0 */
/* Rows of one or more top-N tables, added up for a reader. */
#ifndef KHX_EXITS_ROWS_H
#define KHX_EXITS_ROWS_H

#include <linux/types.h>

#include "top.h"

/**
 * struct khx_exits_rows - rows for a reader
 * @total: events of all tables added
 * @time: their nanoseconds
 * @sure: events that certainly belong to the rows; @total - @sure are others
 * @sure_time: nanoseconds credited to the rows
 * @nr: rows in use
 * @max: room for rows
 * @row: the rows
 */
struct khx_exits_rows {
	u64 total;
	u64 time;
	u64 sure;
	u64 sure_time;
	u32 nr;
	u32 max;
	struct khx_exits_top_row *row;
};

int khx_exits_rows_alloc(struct khx_exits_rows *rows, unsigned int tables);
void khx_exits_rows_free(struct khx_exits_rows *rows);
void khx_exits_rows_add(struct khx_exits_rows *rows,
			const struct khx_exits_top *top);
void khx_exits_rows_finish(struct khx_exits_rows *rows);

#endif /* KHX_EXITS_ROWS_H */
