// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Top-N tables
 *
 * A guest chooses which MSR, I/O port or MMIO page it touches, so a table with
 * a row for each key could be made to grow without bound. These tables have a
 * fixed number of rows and follow the space-saving scheme (Metwally, Agrawal,
 * El Abbadi, 2005): a key that is not in a full table takes over the row with
 * the lowest count and inherits that count as its possible error. Hence
 *
 * - every key that has more than ``total / rows`` of the events is in the
 *   table, whatever else the guest does;
 * - ``count - error`` events of a row certainly belong to its key; with at most
 *   as many keys as rows, every error is 0 and the table is exact;
 * - ``total`` less the certain counts is the ``other`` row, so all adds up.
 *
 * Rows are kept sorted by count. A row that grows past its neighbours trades
 * places with the first of those it has overtaken, so heavy hitters are found
 * after one or two comparisons and the row to give up is always the last.
 *
 * Every operation is bounded by the number of rows. There is no locking: a
 * table has one writer, the thread of its vCPU, and readers copy it inside the
 * vCPU's sequence counter.
 */
#include "top.h"

static u32 khx_exits_top_find(const struct khx_exits_top *top, u64 key)
{
	u32 i;

	for (i = 0; i < top->nr; i++)
		if (top->row[i].key == key)
			break;
	return i;
}

/* Row of a new key: a free one, or the one that is given up. */
static u32 khx_exits_top_claim(struct khx_exits_top *top, u64 key)
{
	bool full = top->nr == KHX_EXITS_TOP_ROWS;
	u32 i = full ? top->nr - 1 : top->nr++;
	struct khx_exits_top_row *row = &top->row[i];

	row->key = key;
	row->error = row->count;
	row->time = 0;
	return i;
}

/* Moves a row whose count went up by one to its place in the order. */
static u32 khx_exits_top_promote(struct khx_exits_top *top, u32 from)
{
	u64 count = top->row[from].count;
	u32 to = from;

	while (to && top->row[to - 1].count < count)
		to--;
	if (to != from) {
		struct khx_exits_top_row row = top->row[from];

		top->row[from] = top->row[to];
		top->row[to] = row;
	}
	return to;
}

/**
 * khx_exits_top_add() - count one event
 * @top: the table; the caller is its only writer
 * @key: what the event was about
 *
 * Return: the row of @key, valid until the next event of this table.
 */
struct khx_exits_top_row *khx_exits_top_add(struct khx_exits_top *top, u64 key)
{
	u32 i = khx_exits_top_find(top, key);

	if (i == top->nr)
		i = khx_exits_top_claim(top, key);
	top->total++;
	top->row[i].count++;
	return &top->row[khx_exits_top_promote(top, i)];
}
