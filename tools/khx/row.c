// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "features.h"
#include "khx.h"
#include "out.h"
#include "row.h"

const char *const row_modes[] = {
	[KHX_MODE_DEVICE] = "device",
	[KHX_MODE_QUEUE] = "queue",
	[KHX_MODE_SHARED] = "shared",
	[KHX_MODE_CUSTOM] = "custom",
};

static const char *const row_states[] = {
	[KHX_STATE_STOPPED] = "stopped",
	[KHX_STATE_RUNNING] = "running",
	[KHX_STATE_FAILED] = "failed",
};

enum row_kind {
	ROW_U32,
	ROW_U64,
	ROW_STRING,
	ROW_MODE,
	ROW_STATE,
	ROW_FEATURES,
	ROW_STATS,
	ROW_OPS,
};

/* How each attribute is called, in the order in which rows have them. */
static const struct {
	unsigned int attr;
	const char *key;
	enum row_kind kind;
} row_attrs[] = {
	{ KHX_A_DEV_ID, "dev", ROW_U32 },
	{ KHX_A_QUEUE_ID, "queue", ROW_U32 },
	{ KHX_A_DEV_TYPE, "type", ROW_STRING },
	{ KHX_A_OWNER_PID, "pid", ROW_U32 },
	{ KHX_A_OWNER_COMM, "comm", ROW_STRING },
	{ KHX_A_NETNS, "netns", ROW_U32 },
	{ KHX_A_STATE, "state", ROW_STATE },
	{ KHX_A_FAULT, "fault", ROW_STRING },
	{ KHX_A_QUEUES, "queues", ROW_U32 },
	{ KHX_A_QUEUES_RUNNING, "running", ROW_U32 },
	{ KHX_A_QUEUES_FAILED, "failed", ROW_U32 },
	{ KHX_A_RING, "ring", ROW_STRING },
	{ KHX_A_RING_SIZE, "ring_size", ROW_U32 },
	{ KHX_A_AVAIL_INDEX, "avail_index", ROW_U32 },
	{ KHX_A_USED_INDEX, "used_index", ROW_U32 },
	{ KHX_A_WORKER_ID, "worker", ROW_U32 },
	{ KHX_A_WORKER_TID, "tid", ROW_U32 },
	{ KHX_A_MODE, "mode", ROW_MODE },
	{ KHX_A_WORKERS, "workers", ROW_U32 },
	{ KHX_A_CPUS, "cpus", ROW_STRING },
	{ KHX_A_RUNTIME, "runtime_ns", ROW_U64 },
	{ KHX_A_POLL_US, "poll_us", ROW_U32 },
	{ KHX_A_POLL_NOW_US, "poll_now_us", ROW_U32 },
	{ KHX_A_WEIGHT, "weight", ROW_U32 },
	{ KHX_A_FEATURES, "features", ROW_FEATURES },
	{ KHX_A_STATS, "stats", ROW_STATS },
	{ KHX_A_OPS, "ops", ROW_OPS },
};

static const char *const row_stats[KHX_A_STATS_MAX + 1] = {
	[KHX_A_STATS_KICKS] = "kicks",
	[KHX_A_STATS_SIGNALS] = "signals",
	[KHX_A_STATS_SIGNALS_SUPPRESSED] = "signals_suppressed",
	[KHX_A_STATS_CHAINS] = "chains",
	[KHX_A_STATS_DESCS] = "descs",
	[KHX_A_STATS_BYTES] = "bytes",
	[KHX_A_STATS_BATCHES] = "batches",
	[KHX_A_STATS_ERRORS] = "errors",
	[KHX_A_STATS_DROPS] = "drops",
	[KHX_A_STATS_POLLS] = "polls",
	[KHX_A_STATS_POLL_HITS] = "poll_hits",
};

static uint64_t row_u64(const struct nlattr *attr)
{
	switch (mnl_attr_get_payload_len(attr)) {
	case sizeof(uint64_t):
		return mnl_attr_get_u64(attr);
	case sizeof(uint32_t):
		return mnl_attr_get_u32(attr);
	default:
		return 0;
	}
}

static const char *row_name(const char *const *names, unsigned int n,
			    uint64_t value)
{
	return value < n ? names[value] : "unknown";
}

static void row_add_stats(struct json_object *row, const struct nlattr *nest)
{
	struct json_object *stats = json_object_new_object();
	const struct nlattr *attr;
	unsigned int type;

	mnl_attr_for_each_nested(attr, nest) {
		type = mnl_attr_get_type(attr);
		if (type <= KHX_A_STATS_MAX && row_stats[type])
			out_u64(stats, row_stats[type], row_u64(attr));
	}
	json_object_object_add(row, "stats", stats);
}

/* The least time that a share of the requests took no longer than, in ns. */
static uint64_t row_percentile(const uint64_t *latency, uint64_t requests,
			       unsigned int percent)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < KHX_LATENCY_BUCKETS - 1; i++) {
		sum += latency[i];
		if (sum * 100 >= requests * percent)
			break;
	}
	return requests ? 2ull << i : 0;
}

static void row_add_latency(struct json_object *op, const struct nlattr *attr)
{
	struct json_object *list = json_object_new_array();
	uint64_t latency[KHX_LATENCY_BUCKETS], requests = 0;
	unsigned int i;

	if (mnl_attr_get_payload_len(attr) == sizeof(latency)) {
		memcpy(latency, mnl_attr_get_payload(attr), sizeof(latency));
		for (i = 0; i < KHX_LATENCY_BUCKETS; i++) {
			requests += latency[i];
			json_object_array_add(list,
					json_object_new_int64(latency[i]));
		}
		out_u64(op, "p50_ns", row_percentile(latency, requests, 50));
		out_u64(op, "p99_ns", row_percentile(latency, requests, 99));
	}
	json_object_object_add(op, "latency", list);
}

static void row_add_op(struct json_object *ops, const struct nlattr *nest)
{
	struct json_object *op = json_object_new_object();
	const struct nlattr *attr;
	const char *name = "unknown";

	mnl_attr_for_each_nested(attr, nest) {
		switch (mnl_attr_get_type(attr)) {
		case KHX_A_OP_NAME:
			name = mnl_attr_get_str(attr);
			break;
		case KHX_A_OP_REQUESTS:
			out_u64(op, "requests", row_u64(attr));
			break;
		case KHX_A_OP_BYTES:
			out_u64(op, "bytes", row_u64(attr));
			break;
		case KHX_A_OP_ERRORS:
			out_u64(op, "errors", row_u64(attr));
			break;
		case KHX_A_OP_LATENCY:
			row_add_latency(op, attr);
			break;
		}
	}
	json_object_object_add(ops, name, op);
}

static void row_add_ops(struct json_object *row, const char *key,
			const struct nlattr *nest)
{
	struct json_object *ops = json_object_new_object();
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == KHX_A_OPS_OP)
			row_add_op(ops, attr);
	json_object_object_add(row, key, ops);
}

static void row_add(struct json_object *row, const char *key,
		    enum row_kind kind, const struct nlattr *attr)
{
	switch (kind) {
	case ROW_U32:
	case ROW_U64:
		out_u64(row, key, row_u64(attr));
		break;
	case ROW_STRING:
		out_str(row, key, mnl_attr_get_str(attr));
		break;
	case ROW_MODE:
		out_str(row, key, row_name(row_modes,
					   MNL_ARRAY_SIZE(row_modes),
					   row_u64(attr)));
		break;
	case ROW_STATE:
		out_str(row, key, row_name(row_states,
					   MNL_ARRAY_SIZE(row_states),
					   row_u64(attr)));
		break;
	case ROW_FEATURES:
		json_object_object_add(row, key, features_names(
				out_get_str(row, "type"), row_u64(attr)));
		break;
	case ROW_STATS:
		if (cmd_options.stats)
			row_add_stats(row, attr);
		break;
	case ROW_OPS:
		if (cmd_options.stats)
			row_add_ops(row, key, attr);
		break;
	}
}

struct json_object *row_make(unsigned int cmd,
			     const struct nlattr *const *attrs)
{
	struct json_object *row = json_object_new_object();
	unsigned int i;

	(void)cmd;
	for (i = 0; i < MNL_ARRAY_SIZE(row_attrs); i++)
		if (attrs[row_attrs[i].attr])
			row_add(row, row_attrs[i].key, row_attrs[i].kind,
				attrs[row_attrs[i].attr]);
	return row;
}

void row_no_dev(struct nl *nl, uint32_t dev)
{
	struct json_object *rows, *row;
	char list[512] = "";
	size_t i, used = 0;

	if (nl_dump(nl, nl_request(nl, KHX_CMD_DEV_GET), KHX_A_MAX, row_make,
		    &rows))
		return;
	for (i = 0; i < json_object_array_length(rows) &&
		    used < sizeof(list); i++) {
		row = json_object_array_get_idx(rows, i);
		used += snprintf(list + used, sizeof(list) - used,
				 "%s%ju (%s, %s)", i ? ", " : "",
				 (uintmax_t)out_get_u64(row, "dev"),
				 out_get_str(row, "type"),
				 out_get_str(row, "comm"));
	}
	if (i)
		out_error("no device %u; there are: %s", dev, list);
	else
		out_error("no device %u; there are none", dev);
	json_object_put(rows);
}

/*
 * All objects of @cmd, or those of one device if @dev is not 0. Says what went
 * wrong and returns NULL; that includes a device that does not exist.
 */
static struct json_object *row_dump(struct nl *nl, unsigned int cmd,
				    uint32_t dev)
{
	struct nlmsghdr *nlh = nl_request(nl, cmd);
	struct json_object *rows;
	bool one = dev && cmd == KHX_CMD_DEV_GET;
	int ret;

	if (dev)
		mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	ret = (one ? nl_get : nl_dump)(nl, nlh, KHX_A_MAX, row_make, &rows);
	if (ret == -ENODEV) {
		row_no_dev(nl, dev);
		return NULL;
	}
	if (ret) {
		out_error("%s", nl_error(nl));
		return NULL;
	}
	return rows;
}

static struct json_object *row_find(struct json_object *rows,
				    struct json_object *like,
				    const char *const *keys)
{
	struct json_object *row;
	size_t i, k;

	for (i = 0; i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		for (k = 0; keys[k]; k++)
			if (out_get_u64(row, keys[k]) !=
			    out_get_u64(like, keys[k]))
				break;
		if (!keys[k])
			return row;
	}
	return NULL;
}

/* Counters of @row become their growth a second since @old. */
static void row_to_rates(struct json_object *row, struct json_object *old,
			 double seconds)
{
	struct json_object *stats, *before, *rates;
	uint64_t was;

	if (!json_object_object_get_ex(row, "stats", &stats))
		return;
	rates = json_object_new_object();
	json_object_object_foreach(stats, key, value) {
		was = old && json_object_object_get_ex(old, "stats", &before) ?
		      out_get_u64(before, key) : 0;
		json_object_object_add(rates, key, json_object_new_double(
			round((json_object_get_uint64(value) - was) /
			      seconds * 10) / 10));
	}
	json_object_object_add(row, "stats", rates);
}

static double row_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

static void row_sleep(double seconds)
{
	struct timespec time = {
		.tv_sec = (time_t)seconds,
		.tv_nsec = (seconds - (time_t)seconds) * 1e9,
	};

	nanosleep(&time, NULL);
}

/* The same, with the counters as rates over the interval. */
static struct json_object *row_dump_rates(struct nl *nl,
					  const struct row_object *object,
					  uint32_t dev)
{
	struct json_object *old, *rows, *row;
	double start = row_now();
	size_t i;

	old = row_dump(nl, object->cmd, dev);
	if (!old)
		return NULL;
	row_sleep(cmd_options.interval);
	rows = row_dump(nl, object->cmd, dev);
	for (i = 0; rows && i < json_object_array_length(rows); i++) {
		row = json_object_array_get_idx(rows, i);
		row_to_rates(row, row_find(old, row, object->keys),
			     row_now() - start);
	}
	json_object_put(old);
	return rows;
}

int row_show(const struct row_object *object, int argc, char **argv)
{
	const bool stats = cmd_options.stats && object->stats_columns;
	struct json_object *rows;
	struct nl *nl;
	uint32_t dev = 0;

	if (cmd_too_many(argc, argv, 1) || (argc && !parse_dev(argv[0], &dev)))
		return KHX_EXIT_USAGE;
	nl = nl_open(KHX_GENL_NAME, "khx");
	if (!nl)
		return KHX_EXIT_FAILURE;
	if (stats && cmd_options.interval)
		rows = row_dump_rates(nl, object, dev);
	else
		rows = row_dump(nl, object->cmd, dev);
	if (rows)
		out_rows(rows, stats ? object->stats_columns : object->columns);
	nl_close(nl);
	json_object_put(rows);
	return rows ? 0 : KHX_EXIT_FAILURE;
}
