/* SPDX-License-Identifier: GPL-2.0 */
/*
 * khx exits: what the kernel counts, as JSON. A "guest" here is a VM, or one of
 * its vCPUs if they are shown apart:
 *
 *	{ "guest": "1234-17", "vcpus": 2, "isa": "svm", "seconds": 0.0,
 *	  "reasons": [ { "name", "count", "timed", "time", "min", "max" } ],
 *	  "faults": { "<cause>": count }, "reentries": n,
 *	  "halt": { "polled", "polled_time", "blocked", "blocked_time",
 *		    "invalid" },
 *	  "tables": { "msr": { "count", "time",
 *			       "rows": [ { "name", "count", "time" } ] } } }
 *
 * Times are nanoseconds. "seconds" is the interval the figures are of, 0 if they
 * are totals. This is also the format of a recording.
 */
#ifndef KHX_TOOLS_EXITS_H
#define KHX_TOOLS_EXITS_H

#include <json-c/json.h>
#include <stdbool.h>

struct nl;

/* What to show, from the command line. */
struct exits_query {
	const char *vm;		/* NULL: all */
	bool vcpus;		/* each vCPU apart */
	bool by_count;		/* sort by count, not by time */
	double interval;	/* seconds; 0: totals */
};

/* exits_read.c: an array of guests; NULL after saying what went wrong. */
struct nl *exits_open(void);
struct json_object *exits_read(const struct exits_query *query);

/* exits_delta.c */
struct json_object *exits_delta(struct json_object *before,
				struct json_object *after, double seconds);
struct json_object *exits_find(struct json_object *array, const char *key,
			       const char *value);

/* exits_print.c */
void exits_sort(struct json_object *guests, bool by_count);
void exits_print(struct json_object *guests);
void exits_print_change(struct json_object *before,
			struct json_object *after);

/* exits_hints.c: array of { "hint", "figure", "advice" } */
struct json_object *exits_hints(struct json_object *guest);

#endif /* KHX_TOOLS_EXITS_H */
