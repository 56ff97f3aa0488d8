// SPDX-License-Identifier: GPL-2.0
/*
 * Adding up top-N tables of several vCPUs. Each is exact as far as it goes, so
 * the sum is: certain counts add up to certain counts, and what is missing from
 * the rows of any table ends up in the sum's "other".
 */
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include "rows.h"

int khx_exits_rows_alloc(struct khx_exits_rows *rows, unsigned int tables)
{
	memset(rows, 0, sizeof(*rows));
	rows->max = tables * KHX_EXITS_TOP_ROWS;
	rows->row = kvmalloc_array(rows->max, sizeof(*rows->row), GFP_KERNEL);
	return rows->row ? 0 : -ENOMEM;
}

void khx_exits_rows_free(struct khx_exits_rows *rows)
{
	kvfree(rows->row);
}

void khx_exits_rows_add(struct khx_exits_rows *rows,
			const struct khx_exits_top *top)
{
	u32 i;

	rows->total += top->total;
	rows->time += top->time;
	for (i = 0; i < top->nr && rows->nr < rows->max; i++)
		rows->row[rows->nr++] = top->row[i];
}

static int khx_exits_rows_by_key(const void *a, const void *b)
{
	const struct khx_exits_top_row *x = a, *y = b;

	return x->key < y->key ? -1 : x->key > y->key;
}

static int khx_exits_rows_by_count(const void *a, const void *b)
{
	const struct khx_exits_top_row *x = a, *y = b;
	u64 p = khx_exits_top_sure(x), q = khx_exits_top_sure(y);

	return p > q ? -1 : p < q;
}

static void khx_exits_rows_fold(struct khx_exits_rows *rows)
{
	struct khx_exits_top_row *to = rows->row, *row;

	for (row = to + 1; row < rows->row + rows->nr; row++) {
		if (row->key != to->key) {
			*++to = *row;
			continue;
		}
		to->count += row->count;
		to->error += row->error;
		to->time += row->time;
	}
	rows->nr = to - rows->row + 1;
}

/*
 * After the last table was added: one row a key, most frequent first. Should a
 * copy not have held together (see khx_exits_vcpu_copy()), no others are better
 * than less than none.
 */
void khx_exits_rows_finish(struct khx_exits_rows *rows)
{
	u32 i;

	if (rows->nr) {
		sort(rows->row, rows->nr, sizeof(*rows->row),
		     khx_exits_rows_by_key, NULL);
		khx_exits_rows_fold(rows);
		sort(rows->row, rows->nr, sizeof(*rows->row),
		     khx_exits_rows_by_count, NULL);
	}
	for (i = 0; i < rows->nr; i++) {
		rows->sure += khx_exits_top_sure(&rows->row[i]);
		rows->sure_time += rows->row[i].time;
	}
	rows->total = max(rows->total, rows->sure);
	rows->time = max(rows->time, rows->sure_time);
}
