// SPDX-License-Identifier: GPL-2.0
/* khx exits: why vCPUs leave their guests. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/khx_exits.h>

#include "exits.h"
#include "khx.h"
#include "nl.h"
#include "out.h"
#include "parse.h"

/* Words after `show` and `record`: [VM] [vcpus] [sort time|count] */
static bool parse_query(int argc, char **argv, struct exits_query *query)
{
	static const char *const keys[] = { "time", "count", NULL };
	unsigned int key;
	int i;

	query->interval = cmd_options.interval;
	for (i = 0; i < argc; i++) {
		if (!strcmp(argv[i], "vcpus")) {
			query->vcpus = true;
		} else if (!strcmp(argv[i], "sort") ||
			   !strcmp(argv[i], "--sort")) {
			if (++i == argc) {
				out_error("sort: time or count?");
				return false;
			}
			if (!parse_choice(argv[i], "sort", keys, &key))
				return false;
			query->by_count = key;
		} else if (!query->vm) {
			query->vm = argv[i];
		} else {
			out_error("unexpected \"%s\"", argv[i]);
			return false;
		}
	}
	return true;
}

/* The guests that the words ask for; or NULL, and the exit status. */
static struct json_object *read_query(int argc, char **argv, int *status)
{
	struct exits_query query = { };
	struct json_object *guests;

	if (!parse_query(argc, argv, &query)) {
		*status = KHX_EXIT_USAGE;
		return NULL;
	}
	guests = exits_read(&query);
	if (guests)
		exits_sort(guests, query.by_count);
	else
		*status = KHX_EXIT_FAILURE;
	return guests;
}

static int cmd_exits_show(int argc, char **argv)
{
	struct json_object *guests;
	int status;

	guests = read_query(argc, argv, &status);
	if (!guests)
		return status;
	exits_print(guests);
	json_object_put(guests);
	return 0;
}

static int cmd_exits_record(int argc, char **argv)
{
	struct json_object *guests;
	int ret;

	if (!argc) {
		out_error("record: to which file?");
		return KHX_EXIT_USAGE;
	}
	guests = read_query(argc - 1, argv + 1, &ret);
	if (!guests)
		return ret;
	ret = json_object_to_file_ext(argv[0], guests,
				      JSON_C_TO_STRING_PRETTY);
	if (ret)
		out_error("%s: %s", argv[0], strerror(errno));
	json_object_put(guests);
	return ret ? KHX_EXIT_FAILURE : 0;
}

static struct json_object *read_recording(const char *file)
{
	struct json_object *guests = json_object_from_file(file);

	if (guests && json_object_is_type(guests, json_type_array))
		return guests;
	out_error("%s: not a recording%s%s", file, errno ? ": " : "",
		  errno ? strerror(errno) : "");
	json_object_put(guests);
	return NULL;
}

/* Guests by their place: a guest that was started again has another name. */
static int report_change(struct json_object *before, struct json_object *after)
{
	size_t i, n = json_object_array_length(before);

	if (n != json_object_array_length(after)) {
		out_error("the recordings have %zu and %zu guests; record one VM",
			  n, json_object_array_length(after));
		return KHX_EXIT_FAILURE;
	}
	for (i = 0; i < n; i++)
		exits_print_change(json_object_array_get_idx(before, i),
				   json_object_array_get_idx(after, i));
	return 0;
}

static int cmd_exits_report(int argc, char **argv)
{
	struct json_object *before, *after = NULL;
	int ret = KHX_EXIT_FAILURE;

	if (!argc || cmd_too_many(argc, argv, 2)) {
		out_error("report: one recording, or two to compare");
		return KHX_EXIT_USAGE;
	}
	errno = 0;
	before = read_recording(argv[0]);
	if (argc == 2)
		after = read_recording(argv[1]);
	if (before && argc == 1) {
		exits_print(before);
		ret = 0;
	} else if (before && after) {
		ret = report_change(before, after);
	}
	json_object_put(before);
	json_object_put(after);
	return ret;
}

/* A request to add attributes to; NULL if the module is not there. */
static struct nlmsghdr *start(struct nl **nl, unsigned int cmd)
{
	*nl = exits_open();
	return *nl ? nl_request(*nl, cmd) : NULL;
}

/* Sends it; says what is wrong with it. */
static int run(struct nl *nl, struct nlmsghdr *request)
{
	int ret = nl_run(nl, request);

	if (ret)
		out_error("%s", nl_error(nl));
	nl_close(nl);
	return ret ? KHX_EXIT_FAILURE : 0;
}

static int set_enabled(int argc, char **argv, bool enabled)
{
	struct nlmsghdr *request;
	struct nl *nl;

	if (cmd_too_many(argc, argv, 0))
		return KHX_EXIT_USAGE;
	request = start(&nl, KHX_EXITS_CMD_STATUS_SET);
	if (!request)
		return KHX_EXIT_FAILURE;
	mnl_attr_put_u8(request, KHX_EXITS_A_ENABLED, enabled);
	return run(nl, request);
}

static int cmd_exits_enable(int argc, char **argv)
{
	return set_enabled(argc, argv, true);
}

static int cmd_exits_disable(int argc, char **argv)
{
	return set_enabled(argc, argv, false);
}

static int cmd_exits_reset(int argc, char **argv)
{
	struct nlmsghdr *request;
	struct nl *nl;

	if (cmd_too_many(argc, argv, 1))
		return KHX_EXIT_USAGE;
	request = start(&nl, KHX_EXITS_CMD_RESET);
	if (!request)
		return KHX_EXIT_FAILURE;
	if (argc)
		mnl_attr_put_strz(request, KHX_EXITS_A_VM, argv[0]);
	return run(nl, request);
}

/* filter PID... or filter off */
static int cmd_exits_filter(int argc, char **argv)
{
	bool off = argc == 1 && !strcmp(argv[0], "off");
	struct nlmsghdr *request;
	struct nlattr *nest;
	struct nl *nl;
	uint32_t pid;
	int i;

	if (!argc || argc > KHX_EXITS_PIDS_MAX) {
		out_error("filter: off, or 1 to %d processes",
			  KHX_EXITS_PIDS_MAX);
		return KHX_EXIT_USAGE;
	}
	for (i = 0; !off && i < argc; i++)
		if (!parse_u32(argv[i], "process", &pid))
			return KHX_EXIT_USAGE;
	request = start(&nl, KHX_EXITS_CMD_STATUS_SET);
	if (!request)
		return KHX_EXIT_FAILURE;
	nest = mnl_attr_nest_start(request, KHX_EXITS_A_PIDS);
	for (i = 0; !off && i < argc; i++) {
		parse_u32(argv[i], "process", &pid);
		mnl_attr_put_u32(request, KHX_EXITS_A_PID, pid);
	}
	mnl_attr_nest_end(request, nest);
	return run(nl, request);
}

static struct json_object *threshold_row(unsigned int cmd,
					 const struct nlattr *const *attrs)
{
	struct json_object *row = json_object_new_object();

	(void)cmd;
	if (attrs[KHX_EXITS_A_NAME])
		out_str(row, "reason",
			mnl_attr_get_str(attrs[KHX_EXITS_A_NAME]));
	if (attrs[KHX_EXITS_A_RATE])
		out_u64(row, "rate", mnl_attr_get_u64(attrs[KHX_EXITS_A_RATE]));
	return row;
}

static const struct out_column threshold_columns[] = {
	{ "REASON", "reason" },
	{ "EXITS/S", "rate" },
	{ }
};

static int show_thresholds(void)
{
	struct nlmsghdr *request;
	struct json_object *rows;
	struct nl *nl;
	int ret;

	request = start(&nl, KHX_EXITS_CMD_THRESHOLD_GET);
	if (!request)
		return KHX_EXIT_FAILURE;
	ret = nl_dump(nl, request, KHX_EXITS_A_MAX, threshold_row, &rows);
	if (ret) {
		out_error("%s", nl_error(nl));
	} else {
		out_rows(rows, threshold_columns);
		json_object_put(rows);
	}
	nl_close(nl);
	return ret ? KHX_EXIT_FAILURE : 0;
}

/* threshold | threshold REASON EXITS-PER-SECOND | threshold REASON off */
static int cmd_exits_threshold(int argc, char **argv)
{
	bool off = argc == 2 && !strcmp(argv[1], "off");
	struct nlmsghdr *request;
	uint64_t rate = 0;
	struct nl *nl;

	if (argc == 1 || cmd_too_many(argc, argv, 2)) {
		out_error("threshold: a reason, and exits per second or off");
		return KHX_EXIT_USAGE;
	}
	if (!argc)
		return show_thresholds();
	if (!off && !parse_u64(argv[1], "rate", &rate))
		return KHX_EXIT_USAGE;
	request = start(&nl, off ? KHX_EXITS_CMD_THRESHOLD_DEL :
				   KHX_EXITS_CMD_THRESHOLD_ADD);
	if (!request)
		return KHX_EXIT_FAILURE;
	mnl_attr_put_strz(request, KHX_EXITS_A_NAME, argv[0]);
	if (!off)
		mnl_attr_put_u64(request, KHX_EXITS_A_RATE, rate);
	return run(nl, request);
}

static const char *event_name(unsigned int cmd)
{
	switch (cmd) {
	case KHX_EXITS_CMD_VM_NEW:
		return "vm-new";
	case KHX_EXITS_CMD_VM_DEL:
		return "vm-del";
	case KHX_EXITS_CMD_THRESHOLD_OVER:
		return "over";
	case KHX_EXITS_CMD_THRESHOLD_UNDER:
		return "under";
	default:
		return NULL;
	}
}

static struct json_object *event_row(unsigned int cmd,
				     const struct nlattr *const *attrs)
{
	struct json_object *row;

	if (!event_name(cmd))
		return NULL;
	row = threshold_row(cmd, attrs);
	out_str(row, "event", event_name(cmd));
	if (attrs[KHX_EXITS_A_VM])
		out_str(row, "vm", mnl_attr_get_str(attrs[KHX_EXITS_A_VM]));
	if (attrs[KHX_EXITS_A_VCPU])
		out_u64(row, "vcpu", mnl_attr_get_u32(attrs[KHX_EXITS_A_VCPU]));
	return row;
}

void exits_events_source(struct nl_source *source)
{
	*source = (struct nl_source){
		.nl = nl_try_open(KHX_EXITS_GENL_NAME),
		.group = KHX_EXITS_MCGRP_EVENTS,
		.attr_max = KHX_EXITS_A_MAX,
		.row = event_row,
	};
}

static int cmd_exits_monitor(int argc, char **argv)
{
	struct nl *nl;

	if (cmd_too_many(argc, argv, 0))
		return KHX_EXIT_USAGE;
	nl = exits_open();
	if (!nl)
		return KHX_EXIT_FAILURE;
	nl_listen(nl, KHX_EXITS_MCGRP_EVENTS, KHX_EXITS_A_MAX, event_row,
		  out_event);
	out_error("%s", nl_error(nl));
	nl_close(nl);
	return KHX_EXIT_FAILURE;
}

static const struct cmd exits_verbs[] = {
	{ "show", cmd_exits_show, "[VM] [vcpus] [--sort time|count]" },
	{ "record", cmd_exits_record, "FILE [VM] [vcpus]" },
	{ "report", cmd_exits_report, "FILE [FILE]" },
	{ "enable", cmd_exits_enable, "" },
	{ "disable", cmd_exits_disable, "" },
	{ "reset", cmd_exits_reset, "[VM]" },
	{ "filter", cmd_exits_filter, "PID... | off" },
	{ "threshold", cmd_exits_threshold, "[REASON EXITS-PER-SECOND | off]" },
	{ "monitor", cmd_exits_monitor, "" },
	{ }
};

int cmd_exits(int argc, char **argv)
{
	return cmd_dispatch("exits", exits_verbs, argc, argv);
}
