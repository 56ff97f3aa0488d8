// SPDX-License-Identifier: GPL-2.0
/* khx monitor: events as they come. */
#include <string.h>

#include "khx.h"
#include "out.h"
#include "row.h"

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

static int cmd_monitor_events(int argc, char **argv)
{
	struct nl *nl;
	int ret;

	if (cmd_too_many(argc, argv, 0))
		return KHX_EXIT_USAGE;
	nl = nl_open(KHX_GENL_NAME, "khx");
	if (!nl)
		return KHX_EXIT_FAILURE;
	ret = nl_listen(nl, KHX_GENL_MCGRP_EVENTS, KHX_A_MAX, monitor_row,
			out_event);
	if (ret)
		out_error("%s", nl_error(nl));
	nl_close(nl);
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
