// SPDX-License-Identifier: GPL-2.0
/* Guests as people read them: the table of `perf kvm stat`, then details. */
#include <stdio.h>
#include <string.h>

#include "exits.h"
#include "out.h"

/* More rows of a table than these tell nobody anything. */
#define SHOWN_ROWS	8

static const char *const sort_key[] = { "time", "count" };
static int sort_by;

/* By the key that sort_by names, highest first. */
static int compare(const void *a, const void *b)
{
	uint64_t x = out_get_u64(*(struct json_object **)a, sort_key[sort_by]);
	uint64_t y = out_get_u64(*(struct json_object **)b, sort_key[sort_by]);

	return x > y ? -1 : x < y;
}

void exits_sort(struct json_object *guests, bool by_count)
{
	struct json_object *reasons;
	size_t i;

	sort_by = by_count;
	for (i = 0; i < json_object_array_length(guests); i++)
		if (json_object_object_get_ex(
			    json_object_array_get_idx(guests, i), "reasons",
			    &reasons))
			json_object_array_sort(reasons, compare);
}

static uint64_t total(struct json_object *array, const char *key)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; array && i < json_object_array_length(array); i++)
		sum += out_get_u64(json_object_array_get_idx(array, i), key);
	return sum;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * part / whole : 0;
}

/* "1.25us" as perf has it; always microseconds, so that columns compare. */
static void print_us(uint64_t ns)
{
	printf(" %10.2fus", ns / 1e3);
}

static uint64_t average(struct json_object *reason)
{
	uint64_t timed = out_get_u64(reason, "timed");

	return timed ? out_get_u64(reason, "time") / timed : 0;
}

static struct json_object *array_of(struct json_object *object,
				    const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static double seconds_of(struct json_object *guest)
{
	return json_object_get_double(array_of(guest, "seconds"));
}

static void print_reason(struct json_object *reason, uint64_t count,
			 uint64_t time, double seconds)
{
	uint64_t samples = out_get_u64(reason, "count");

	if (!samples)
		return;
	printf("%24s %12llu %7.2f%% %7.2f%%", out_get_str(reason, "name"),
	       (unsigned long long)samples, percent(samples, count),
	       percent(out_get_u64(reason, "time"), time));
	print_us(out_get_u64(reason, "min"));
	print_us(out_get_u64(reason, "max"));
	print_us(average(reason));
	if (seconds > 0)
		printf(" %11.1f", samples / seconds);
	putchar('\n');
}

static void print_reasons(struct json_object *guest)
{
	struct json_object *reasons = array_of(guest, "reasons");
	uint64_t count = total(reasons, "count"), time = total(reasons, "time");
	double seconds = seconds_of(guest);
	size_t i;

	printf("%24s %12s %8s %8s %12s %12s %12s%s\n", "VM-EXIT", "Samples",
	       "Samples%", "Time%", "Min", "Max", "Avg",
	       seconds > 0 ? "   Samples/s" : "");
	for (i = 0; reasons && i < json_object_array_length(reasons); i++)
		print_reason(json_object_array_get_idx(reasons, i), count, time,
			     seconds);
	printf("Total: %llu exits, %.3f s outside the guest\n",
	       (unsigned long long)count, time / 1e9);
}

static void print_row(const char *table, struct json_object *row)
{
	if (out_get_u64(row, "count"))
		printf("  %-10s %-24s %12llu %10.3f ms\n", table,
		       out_get_str(row, "name"),
		       (unsigned long long)out_get_u64(row, "count"),
		       out_get_u64(row, "time") / 1e6);
}

static void print_table(const char *name, struct json_object *table)
{
	struct json_object *rows = array_of(table, "rows");
	size_t i, n = rows ? json_object_array_length(rows) : 0;
	uint64_t shown = 0;

	if (rows) {
		sort_by = 1;
		json_object_array_sort(rows, compare);
	}
	for (i = 0; i < n && i < SHOWN_ROWS; i++) {
		print_row(name, json_object_array_get_idx(rows, i));
		shown += out_get_u64(json_object_array_get_idx(rows, i),
				     "count");
	}
	if (out_get_u64(table, "count") > shown)
		printf("  %-10s %-24s %12llu\n", name, "(others)",
		       (unsigned long long)(out_get_u64(table, "count") -
					    shown));
}

static void print_faults(struct json_object *faults)
{
	json_object_object_foreach(faults, cause, count) {
		printf("  %-10s %-24s %12llu\n", "fault", cause,
		       (unsigned long long)json_object_get_uint64(count));
	}
}

static void print_tables(struct json_object *tables)
{
	json_object_object_foreach(tables, name, table) {
		print_table(name, table);
	}
}

static void print_details(struct json_object *guest)
{
	struct json_object *faults = array_of(guest, "faults");
	struct json_object *tables = array_of(guest, "tables");

	if (faults)
		print_faults(faults);
	if (tables)
		print_tables(tables);
}

static void print_hints(struct json_object *guest)
{
	struct json_object *hints = exits_hints(guest), *hint;
	size_t i;

	for (i = 0; i < json_object_array_length(hints); i++) {
		hint = json_object_array_get_idx(hints, i);
		printf("hint: %s\n      %s (tuning guide: \"%s\")\n",
		       out_get_str(hint, "figure"),
		       out_get_str(hint, "advice"), out_get_str(hint, "hint"));
	}
	json_object_put(hints);
}

static void print_guest(struct json_object *guest)
{
	double seconds = seconds_of(guest);

	printf("%s (%llu vCPU, %s", out_get_str(guest, "guest"),
	       (unsigned long long)out_get_u64(guest, "vcpus"),
	       out_get_str(guest, "isa"));
	if (seconds > 0)
		printf(", in %.1f s", seconds);
	printf(")\n\n");
	print_reasons(guest);
	print_details(guest);
	print_hints(guest);
	putchar('\n');
}

static void print_json(struct json_object *guests)
{
	struct json_object *guest;
	size_t i;

	for (i = 0; i < json_object_array_length(guests); i++) {
		guest = json_object_array_get_idx(guests, i);
		json_object_object_add(guest, "hints", exits_hints(guest));
	}
	puts(json_object_to_json_string_ext(guests, out_options.pretty ?
					    JSON_C_TO_STRING_PRETTY :
					    JSON_C_TO_STRING_PLAIN));
}

void exits_print(struct json_object *guests)
{
	size_t i;

	if (out_options.json) {
		print_json(guests);
		return;
	}
	for (i = 0; i < json_object_array_length(guests); i++)
		print_guest(json_object_array_get_idx(guests, i));
}

/* Per second if both recordings say how long they are. */
static double rate_of(struct json_object *guest, struct json_object *reason,
		      const char *key)
{
	double seconds = seconds_of(guest);
	double value = out_get_u64(reason, key);

	return seconds > 0 ? value / seconds : value;
}

static struct json_object *change_row(struct json_object *before,
				      struct json_object *after,
				      struct json_object *old,
				      struct json_object *new)
{
	double was = rate_of(before, old, "count");
	double is = rate_of(after, new, "count");
	struct json_object *row = json_object_new_object();

	out_str(row, "name", out_get_str(new ? new : old, "name"));
	json_object_object_add(row, "before", json_object_new_double(was));
	json_object_object_add(row, "after", json_object_new_double(is));
	json_object_object_add(row, "change_percent", was ?
			       json_object_new_double(100 * (is - was) / was) :
			       NULL);
	json_object_object_add(row, "before_ms", json_object_new_double(
				       rate_of(before, old, "time") / 1e6));
	json_object_object_add(row, "after_ms", json_object_new_double(
				       rate_of(after, new, "time") / 1e6));
	return row;
}

static const struct out_column change_columns[] = {
	{ "VM-EXIT", "name" },
	{ "Before", "before" },
	{ "After", "after" },
	{ "Change%", "change_percent" },
	{ "Before ms", "before_ms" },
	{ "After ms", "after_ms" },
	{ }
};

/* One guest before and after; their names differ if it was started anew. */
void exits_print_change(struct json_object *before, struct json_object *after)
{
	struct json_object *rows = json_object_new_array();
	struct json_object *was = array_of(before, "reasons");
	struct json_object *is = array_of(after, "reasons");
	struct json_object *reason;
	const char *name;
	size_t i;

	for (i = 0; is && i < json_object_array_length(is); i++) {
		reason = json_object_array_get_idx(is, i);
		name = out_get_str(reason, "name");
		json_object_array_add(rows,
				      change_row(before, after,
						 exits_find(was, "name", name),
						 reason));
	}
	for (i = 0; was && i < json_object_array_length(was); i++) {
		reason = json_object_array_get_idx(was, i);
		name = out_get_str(reason, "name");
		if (!exits_find(is, "name", name))
			json_object_array_add(rows, change_row(before, after,
							       reason, NULL));
	}
	if (!out_options.json)
		printf("%s -> %s%s\n\n", out_get_str(before, "guest"),
		       out_get_str(after, "guest"),
		       seconds_of(before) > 0 && seconds_of(after) > 0 ?
		       " (per second)" : "");
	out_rows(rows, change_columns);
	json_object_put(rows);
}
