// SPDX-License-Identifier: GPL-2.0
/* khx monitor: events as they come. */
#include <string.h>

#include "khx.h"
#include "nl.h"
#include "out.h"
#include "row.h"

#define MONITOR_SOURCES 3	/* families */

static const char *const monitor_events[] = {
	[KHX_CMD_DEV_ADD_NTF] = "dev-add",
	[KHX_CMD_DEV_DEL_NTF] = "dev-del",
	[KHX_CMD_QUEUE_START_NTF] = "queue-start",
	[KHX_CMD_QUEUE_STOP_NTF] = "queue-stop",
	[KHX_CMD_QUEUE_ERROR_NTF] = "queue-error",
	[KHX_CMD_WORKER_NTF] = "worker-set",
};

static struct json_object *monitor_row(unsigned int cmd,
				       const struct nlattr *const *attrs)
{
	struct json_object *row;

	if (cmd >= MNL_ARRAY_SIZE(monitor_events) || !monitor_events[cmd])
		return NULL;
	row = row_make(cmd, attrs);
	if (!cmd_options.stats)
		json_object_object_del(row, "features");
	out_str(row, "event", monitor_events[cmd]);
	return row;
}

static void monitor_source(struct nl_source *source)
{
	*source = (struct nl_source){
		.nl = nl_try_open(KHX_GENL_NAME),
		.group = KHX_GENL_MCGRP_EVENTS,
		.attr_max = KHX_A_MAX,
		.row = monitor_row,
	};
}

/* Of the modules that are loaded. */
static unsigned int monitor_open(struct nl_source *sources)
{
	static void (*const objects[])(struct nl_source *) = {
		monitor_source, merge_events_source, exits_events_source,
	};
	unsigned int i, nr = 0;

	for (i = 0; i < MNL_ARRAY_SIZE(objects); i++) {
		objects[i](&sources[nr]);
		if (sources[nr].nl)
			nr++;
	}
	return nr;
}

static int cmd_monitor_events(int argc, char **argv)
{
	struct nl_source sources[MONITOR_SOURCES];
	unsigned int i, nr;
	int ret;

	if (cmd_too_many(argc, argv, 0))
		return KHX_EXIT_USAGE;
	nr = monitor_open(sources);
	if (!nr) {
		out_error("none of the modules khx, khx_merge and khx_exits is loaded");
		return KHX_EXIT_FAILURE;
	}
	ret = nl_listen_all(sources, nr, out_event);
	if (ret)
		out_error("monitor: %s", strerror(-ret));
	for (i = 0; i < nr; i++)
		nl_close(sources[i].nl);
	return ret ? KHX_EXIT_FAILURE : 0;
}

static const struct cmd monitor_verbs[] = {
	{ "events", cmd_monitor_events, "" },
	{ }
};

int cmd_monitor(int argc, char **argv)
{
	return cmd_dispatch("monitor", monitor_verbs, argc, argv);
}
