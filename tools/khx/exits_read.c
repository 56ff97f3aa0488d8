// SPDX-License-Identifier: GPL-2.0
/* Netlink messages, one a vCPU and reason, added up to guests. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <linux/khx_exits.h>

#include "exits.h"
#include "nl.h"
#include "out.h"

struct nl *exits_open(void)
{
	return nl_open(KHX_EXITS_GENL_NAME, "khx_exits");
}

static void put_u64(struct json_object *row, const char *key,
		    const struct nlattr *attr)
{
	if (attr)
		out_u64(row, key, mnl_attr_get_u64(attr));
}

static void put_str(struct json_object *row, const char *key,
		    const struct nlattr *attr)
{
	if (attr)
		out_str(row, key, mnl_attr_get_str(attr));
}

static struct json_object *identity_row(const struct nlattr *const *attrs)
{
	struct json_object *row = json_object_new_object();

	put_str(row, "vm", attrs[KHX_EXITS_A_VM]);
	if (attrs[KHX_EXITS_A_VCPU])
		out_u64(row, "vcpu", mnl_attr_get_u32(attrs[KHX_EXITS_A_VCPU]));
	put_str(row, "name", attrs[KHX_EXITS_A_NAME]);
	put_u64(row, "count", attrs[KHX_EXITS_A_COUNT]);
	put_u64(row, "time", attrs[KHX_EXITS_A_TIME]);
	return row;
}

static struct json_object *halt_object(const struct nlattr *nest)
{
	struct json_object *halt = json_object_new_object();

	put_u64(halt, "polled", nl_nested(nest, KHX_EXITS_A_POLLED));
	put_u64(halt, "polled_time", nl_nested(nest, KHX_EXITS_A_POLLED_TIME));
	put_u64(halt, "blocked", nl_nested(nest, KHX_EXITS_A_BLOCKED));
	put_u64(halt, "blocked_time",
		nl_nested(nest, KHX_EXITS_A_BLOCKED_TIME));
	put_u64(halt, "invalid", nl_nested(nest, KHX_EXITS_A_INVALID));
	return halt;
}

static struct json_object *rows_array(const struct nlattr *nest)
{
	struct json_object *rows = json_object_new_array(), *row;
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest) {
		row = json_object_new_object();
		put_str(row, "name", nl_nested(attr, KHX_EXITS_A_NAME));
		put_u64(row, "count", nl_nested(attr, KHX_EXITS_A_COUNT));
		put_u64(row, "time", nl_nested(attr, KHX_EXITS_A_TIME));
		json_object_array_add(rows, row);
	}
	return rows;
}

static struct json_object *faults_object(const struct nlattr *nest)
{
	struct json_object *faults = json_object_new_object();
	const struct nlattr *attr, *name;

	mnl_attr_for_each_nested(attr, nest) {
		name = nl_nested(attr, KHX_EXITS_A_NAME);
		if (name)
			put_u64(faults, mnl_attr_get_str(name),
				nl_nested(attr, KHX_EXITS_A_COUNT));
	}
	return faults;
}

static struct json_object *vcpu_row(unsigned int cmd,
				    const struct nlattr *const *attrs)
{
	struct json_object *row = identity_row(attrs);

	(void)cmd;
	put_str(row, "isa", attrs[KHX_EXITS_A_ISA]);
	put_u64(row, "reentries", attrs[KHX_EXITS_A_REENTRIES]);
	if (attrs[KHX_EXITS_A_HALT])
		json_object_object_add(row, "halt",
				       halt_object(attrs[KHX_EXITS_A_HALT]));
	if (attrs[KHX_EXITS_A_FAULTS])
		json_object_object_add(row, "faults",
				       faults_object(attrs[KHX_EXITS_A_FAULTS]));
	return row;
}

static struct json_object *reason_row(unsigned int cmd,
				      const struct nlattr *const *attrs)
{
	struct json_object *row = identity_row(attrs);

	(void)cmd;
	put_u64(row, "timed", attrs[KHX_EXITS_A_TIMED]);
	put_u64(row, "min", attrs[KHX_EXITS_A_MIN]);
	put_u64(row, "max", attrs[KHX_EXITS_A_MAX_TIME]);
	return row;
}

static struct json_object *table_row(unsigned int cmd,
				     const struct nlattr *const *attrs)
{
	struct json_object *row = identity_row(attrs);

	(void)cmd;
	if (attrs[KHX_EXITS_A_ROWS])
		json_object_object_add(row, "rows",
				       rows_array(attrs[KHX_EXITS_A_ROWS]));
	return row;
}

/* Adds the numbers of @from to those of @to. */
static void add_numbers(struct json_object *to, struct json_object *from)
{
	json_object_object_foreach(from, key, value) {
		if (!json_object_is_type(value, json_type_int))
			continue;
		out_u64(to, key, out_get_u64(to, key) +
			json_object_get_uint64(value));
	}
}

static struct json_object *member(struct json_object *object, const char *key,
				  struct json_object *(*make)(void))
{
	struct json_object *value;

	if (json_object_object_get_ex(object, key, &value))
		return value;
	value = make();
	json_object_object_add(object, key, value);
	return value;
}

static struct json_object *array_member(struct json_object *object,
					const char *key)
{
	return member(object, key, json_object_new_array);
}

static struct json_object *object_member(struct json_object *object,
					 const char *key)
{
	return member(object, key, json_object_new_object);
}

/* The element of that name, made if need be. */
static struct json_object *named(struct json_object *array, const char *name)
{
	struct json_object *element = exits_find(array, "name", name);

	if (element)
		return element;
	element = json_object_new_object();
	out_str(element, "name", name);
	json_object_array_add(array, element);
	return element;
}

static struct json_object *guest_of(struct json_object *guests,
				    struct json_object *row, bool vcpus)
{
	struct json_object *guest;
	char name[128];

	if (vcpus)
		snprintf(name, sizeof(name), "%s/vcpu%d",
			 out_get_str(row, "vm"), (int)out_get_u64(row, "vcpu"));
	else
		snprintf(name, sizeof(name), "%s", out_get_str(row, "vm"));
	guest = exits_find(guests, "guest", name);
	if (guest)
		return guest;
	guest = json_object_new_object();
	out_str(guest, "guest", name);
	out_u64(guest, "vcpus", 0);
	json_object_object_add(guest, "seconds", json_object_new_double(0));
	array_member(guest, "reasons");
	json_object_array_add(guests, guest);
	return guest;
}

static void add_vcpu(struct json_object *guest, struct json_object *row)
{
	struct json_object *value;

	out_u64(guest, "vcpus", out_get_u64(guest, "vcpus") + 1);
	out_str(guest, "isa", out_get_str(row, "isa"));
	out_u64(guest, "reentries", out_get_u64(guest, "reentries") +
		out_get_u64(row, "reentries"));
	if (json_object_object_get_ex(row, "halt", &value))
		add_numbers(object_member(guest, "halt"), value);
	if (json_object_object_get_ex(row, "faults", &value))
		add_numbers(object_member(guest, "faults"), value);
}

static void add_reason(struct json_object *guest, struct json_object *row)
{
	struct json_object *to = named(array_member(guest, "reasons"),
				       out_get_str(row, "name"));
	uint64_t timed = out_get_u64(to, "timed");
	uint64_t min = out_get_u64(to, "min"), max = out_get_u64(to, "max");

	out_u64(to, "count", out_get_u64(to, "count") +
		out_get_u64(row, "count"));
	out_u64(to, "timed", timed + out_get_u64(row, "timed"));
	out_u64(to, "time", out_get_u64(to, "time") + out_get_u64(row, "time"));
	if (!timed || (out_get_u64(row, "timed") &&
		       out_get_u64(row, "min") < min))
		min = out_get_u64(row, "min");
	if (out_get_u64(row, "max") > max)
		max = out_get_u64(row, "max");
	out_u64(to, "min", min);
	out_u64(to, "max", max);
}

static void add_table(struct json_object *guest, struct json_object *row)
{
	struct json_object *to, *rows, *key;
	size_t i;

	to = object_member(object_member(guest, "tables"),
			   out_get_str(row, "name"));
	out_u64(to, "count", out_get_u64(to, "count") +
		out_get_u64(row, "count"));
	out_u64(to, "time", out_get_u64(to, "time") + out_get_u64(row, "time"));
	if (!json_object_object_get_ex(row, "rows", &rows))
		return;
	for (i = 0; i < json_object_array_length(rows); i++) {
		key = json_object_array_get_idx(rows, i);
		add_numbers(named(array_member(to, "rows"),
				  out_get_str(key, "name")), key);
	}
}

/**
 * struct source - one of the kernel's dumps
 * @cmd: its command
 * @row: makes a row of a message
 * @add: adds a row to its guest
 * @optional: go on without it if it is not permitted
 */
struct source {
	unsigned int cmd;
	nl_row_fn row;
	void (*add)(struct json_object *guest, struct json_object *row);
	bool optional;
};

static const struct source sources[] = {
	{ KHX_EXITS_CMD_VCPU_GET, vcpu_row, add_vcpu, false },
	{ KHX_EXITS_CMD_REASON_GET, reason_row, add_reason, false },
	{ KHX_EXITS_CMD_TABLE_GET, table_row, add_table, true },
};

static int read_source(struct nl *nl, const struct source *source,
		       const struct exits_query *query,
		       struct json_object *guests)
{
	struct nlmsghdr *request = nl_request(nl, source->cmd);
	struct json_object *rows, *row;
	size_t i;
	int ret;

	if (query->vm)
		mnl_attr_put_strz(request, KHX_EXITS_A_VM, query->vm);
	ret = nl_dump(nl, request, KHX_EXITS_A_MAX, source->row, &rows);
	if (ret == -EPERM && source->optional)
		return 0;
	if (ret)
		return ret;
	for (i = 0; i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		source->add(guest_of(guests, row, query->vcpus), row);
	}
	json_object_put(rows);
	return 0;
}

static struct json_object *read_totals(struct nl *nl,
				       const struct exits_query *query)
{
	struct json_object *guests = json_object_new_array();
	size_t i;

	for (i = 0; i < MNL_ARRAY_SIZE(sources); i++) {
		if (!read_source(nl, &sources[i], query, guests))
			continue;
		out_error("%s", nl_error(nl));
		json_object_put(guests);
		return NULL;
	}
	return guests;
}

static void wait_seconds(double seconds)
{
	struct timespec t = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (long)((seconds - (time_t)seconds) * 1e9),
	};

	nanosleep(&t, NULL);
}

static struct json_object *read_interval(struct nl *nl,
					 const struct exits_query *query)
{
	struct json_object *before, *after, *delta;

	before = read_totals(nl, query);
	if (!before)
		return NULL;
	wait_seconds(query->interval);
	after = read_totals(nl, query);
	delta = after ? exits_delta(before, after, query->interval) : NULL;
	json_object_put(before);
	json_object_put(after);
	return delta;
}

struct json_object *exits_read(const struct exits_query *query)
{
	struct nl *nl = exits_open();
	struct json_object *guests;

	if (!nl)
		return NULL;
	if (query->interval > 0)
		guests = read_interval(nl, query);
	else
		guests = read_totals(nl, query);
	nl_close(nl);
	if (guests && query->vm && !json_object_array_length(guests)) {
		out_error("no VM \"%s\" has exited (see: khx exits show)",
			  query->vm);
		json_object_put(guests);
		return NULL;
	}
	return guests;
}
