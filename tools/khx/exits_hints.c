// SPDX-License-Identifier: GPL-2.0
/*
 * Well-known advice, each with the figure that calls for it. A hint's name is
 * the heading of its section in Documentation/exits-tuning.rst.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "exits.h"
#include "out.h"

/* Below this share of all time outside the guest nothing is worth a word. */
#define WORTH_PERCENT	5
#define WORTH_EXITS	1000

/* What the rules look at. */
struct figures {
	struct json_object *guest;
	struct json_object *reasons;
	uint64_t time;		/* of all reasons but HLT: nothing waits there */
	uint64_t count;
};

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	if (object)
		json_object_object_get_ex(object, key, &value);
	return value;
}

static bool is_halt(const char *name)
{
	return !strcmp(name, "hlt") || !strcmp(name, "HLT");
}

/* Count or time of a reason by either vendor's name. */
static uint64_t reason(const struct figures *f, const char *svm,
		       const char *vmx, const char *key)
{
	struct json_object *element = exits_find(f->reasons, "name", svm);

	if (!element)
		element = exits_find(f->reasons, "name", vmx);
	return element ? out_get_u64(element, key) : 0;
}

static bool is_worth(const struct figures *f, uint64_t count, uint64_t time)
{
	return count >= WORTH_EXITS && f->time &&
	       100.0 * time / f->time >= WORTH_PERCENT;
}

static void add(struct json_object *hints, const char *hint,
		const char *advice, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct json_object *hints, const char *hint,
		const char *advice, const char *format, ...)
{
	struct json_object *row = json_object_new_object();
	char figure[200];
	va_list args;

	va_start(args, format);
	vsnprintf(figure, sizeof(figure), format, args);
	va_end(args);
	out_str(row, "hint", hint);
	out_str(row, "figure", figure);
	out_str(row, "advice", advice);
	json_object_array_add(hints, row);
}

/* The row of a table that took the most time. */
static struct json_object *longest(const struct figures *f, const char *table)
{
	struct json_object *rows = get(get(get(f->guest, "tables"), table),
				       "rows");
	struct json_object *best = NULL, *row;
	size_t i;

	for (i = 0; rows && i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		if (!best || out_get_u64(row, "time") >
			     out_get_u64(best, "time"))
			best = row;
	}
	return best;
}

static void hint_device(const struct figures *f, struct json_object *hints,
			const char *table, const char *what)
{
	struct json_object *row = longest(f, table);
	uint64_t count = row ? out_get_u64(row, "count") : 0;
	uint64_t time = row ? out_get_u64(row, "time") : 0;

	if (is_worth(f, count, time))
		add(hints, "Emulated devices",
		    "an emulated device: use virtio instead of an emulated NIC, IDE, VGA or serial console",
		    "%s %s: %llu accesses, %.1f%% of the time outside the guest",
		    what, out_get_str(row, "name"), (unsigned long long)count,
		    100.0 * time / f->time);
}

static void hint_faults(const struct figures *f, struct json_object *hints)
{
	uint64_t count = reason(f, "npf", "EPT_VIOLATION", "count");
	uint64_t time = reason(f, "npf", "EPT_VIOLATION", "time");
	struct json_object *faults = get(f->guest, "faults");
	uint64_t absent = 0, written = 0;

	if (!faults)
		return;
	absent = out_get_u64(faults, "not-present:read") +
		 out_get_u64(faults, "not-present:write") +
		 out_get_u64(faults, "not-present:exec");
	written = out_get_u64(faults, "permission:write");
	if (is_worth(f, absent, time) && 2 * absent > count)
		add(hints, "Memory that is not there yet",
		    "memory populated page by page: use hugepages, or preallocate it (prealloc=on)",
		    "%llu faults on absent pages, %.1f%% of the time outside the guest",
		    (unsigned long long)absent, 100.0 * time / f->time);
	if (is_worth(f, written, time) && 2 * written > count)
		add(hints, "Write protection",
		    "pages written after they were protected: migration, snapshots or page merging at work",
		    "%llu write faults on mapped pages, %.1f%% of the time outside the guest",
		    (unsigned long long)written, 100.0 * time / f->time);
}

static void hint_timer(const struct figures *f, struct json_object *hints)
{
	struct json_object *row = longest(f, "msr");
	uint64_t count = row ? out_get_u64(row, "count") : 0;
	uint64_t time = row ? out_get_u64(row, "time") : 0;

	/* IA32_TSC_DEADLINE and the x2APIC's initial count. */
	if (!row || (strcmp(out_get_str(row, "name"), "0x6e0 write") &&
		     strcmp(out_get_str(row, "name"), "0x838 write")))
		return;
	if (is_worth(f, count, time))
		add(hints, "Timer interrupts",
		    "the guest arms its timer often: lower its HZ, use nohz_full, find the poller",
		    "MSR %s: %llu times, %.1f%% of the time outside the guest",
		    out_get_str(row, "name"), (unsigned long long)count,
		    100.0 * time / f->time);
}

static void hint_halt(const struct figures *f, struct json_object *hints)
{
	struct json_object *halt = get(f->guest, "halt");
	uint64_t blocked, polled, time;
	double average;

	if (!halt)
		return;
	blocked = out_get_u64(halt, "blocked");
	polled = out_get_u64(halt, "polled");
	time = out_get_u64(halt, "blocked_time");
	if (blocked < WORTH_EXITS || blocked < polled)
		return;
	average = time / 1e3 / blocked;
	if (average < 500)
		add(hints, "Halts",
		    "short sleeps: raise kvm.halt_poll_ns, or let the guest poll (cpuidle-haltpoll, idle=poll)",
		    "%llu of %llu halts slept, %.0f us on average",
		    (unsigned long long)blocked,
		    (unsigned long long)(blocked + polled), average);
}

static void hint_nested(const struct figures *f, struct json_object *hints)
{
	uint64_t count = 0;
	size_t i;

	for (i = 0; f->reasons && i < json_object_array_length(f->reasons);
	     i++) {
		struct json_object *row =
			json_object_array_get_idx(f->reasons, i);

		if (!strncmp(out_get_str(row, "name"), "L2:", 3))
			count += out_get_u64(row, "count");
	}
	if (count >= WORTH_EXITS && 2 * count > f->count)
		add(hints, "Guests in guests",
		    "most exits are of a nested guest: run it on the host itself if you can",
		    "%llu of %llu exits are from L2",
		    (unsigned long long)count, (unsigned long long)f->count);
}

static void sum_up(struct figures *f)
{
	struct json_object *row;
	size_t i;

	for (i = 0; f->reasons && i < json_object_array_length(f->reasons);
	     i++) {
		row = json_object_array_get_idx(f->reasons, i);
		f->count += out_get_u64(row, "count");
		if (!is_halt(out_get_str(row, "name")))
			f->time += out_get_u64(row, "time");
	}
}

struct json_object *exits_hints(struct json_object *guest)
{
	struct json_object *hints = json_object_new_array();
	struct figures f = {
		.guest = guest,
		.reasons = get(guest, "reasons"),
	};

	sum_up(&f);
	hint_device(&f, hints, "ioport", "port");
	hint_device(&f, hints, "mmio", "MMIO page");
	hint_faults(&f, hints);
	hint_timer(&f, hints);
	hint_halt(&f, hints);
	hint_nested(&f, hints);
	return hints;
}
