// SPDX-License-Identifier: GPL-2.0
/*
 * The top-N table by itself, the kernel's own source built for userspace: its bounds
 * and order hold for any sequence of keys, and no frequent key is lost.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tap.h"

/* What top.c and top.h need of the kernel. */
typedef uint64_t u64;
typedef uint32_t u32;

#include "../../kmod/exits/top.c"

#define KEYS	5000

static u64 truth[KEYS];

static u64 sum_sure(const struct khx_exits_top *top)
{
	u64 sum = 0;

	for (u32 i = 0; i < top->nr; i++)
		sum += khx_exits_top_sure(&top->row[i]);
	return sum;
}

static u64 sum_counts(const struct khx_exits_top *top)
{
	u64 sum = 0;

	for (u32 i = 0; i < top->nr; i++)
		sum += top->row[i].count;
	return sum;
}

static bool is_sorted(const struct khx_exits_top *top)
{
	for (u32 i = 1; i < top->nr; i++)
		if (top->row[i].count > top->row[i - 1].count)
			return false;
	return true;
}

/* Bounds of every row hold, and no frequent key is missing. */
static bool is_right(const struct khx_exits_top *top)
{
	bool seen[KEYS] = {};

	for (u32 i = 0; i < top->nr; i++) {
		const struct khx_exits_top_row *row = &top->row[i];

		if (row->key >= KEYS || seen[row->key])
			return false;
		seen[row->key] = true;
		if (khx_exits_top_sure(row) > truth[row->key] ||
		    row->count < truth[row->key])
			return false;
	}
	for (u32 key = 0; key < KEYS; key++)
		if (truth[key] > top->total / KHX_EXITS_TOP_ROWS && !seen[key])
			return false;
	return true;
}

static u64 next_key(unsigned int *seed, int kind)
{
	u64 random = rand_r(seed);

	switch (kind) {
	case 0:			/* few keys: exact */
		return random % KHX_EXITS_TOP_ROWS;
	case 1:			/* all keys alike */
		return random % KEYS;
	case 2:			/* one after the other */
		return *seed % KEYS;
	default:		/* some heavy hitters */
		return random % 3 ? random % 7 : random % KEYS;
	}
}

static void test(int kind, const char *name)
{
	struct khx_exits_top top = {};
	bool sorted = true, rows = true;
	unsigned int seed = 4711;

	memset(truth, 0, sizeof(truth));
	for (int i = 0; i < 300000; i++) {
		u64 key = next_key(&seed, kind);
		struct khx_exits_top_row *row = khx_exits_top_add(&top, key);

		truth[key]++;
		rows &= row->key == key;
		sorted &= is_sorted(&top);
	}
	tap_ok(rows && sorted, "%s: the row of the key, in order", name);
	tap_ok(is_right(&top), "%s: bounds hold, no frequent key is lost", name);
	tap_ok(sum_counts(&top) == 300000 && sum_sure(&top) <= top.total,
	       "%s: counts add up", name);
	if (kind == 0)
		tap_ok(sum_sure(&top) == 300000, "%s: exact", name);
}

int main(void)
{
	tap_plan(13);
	test(0, "few keys");
	test(1, "uniform keys");
	test(2, "a scan");
	test(3, "heavy hitters");
	return tap_exit();
}
