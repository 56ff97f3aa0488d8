// SPDX-License-Identifier: GPL-2.0
/* khx dev: every device, whoever has it open. */
#include "khx.h"
#include "out.h"
#include "row.h"

static const struct out_column dev_columns[] = {
	{ "DEV", "dev" },
	{ "TYPE", "type" },
	{ "PID", "pid" },
	{ "OWNER", "comm" },
	{ "QUEUES", "queues" },
	{ "RUNNING", "running" },
	{ "FAILED", "failed" },
	{ "RING", "ring" },
	{ "MODE", "mode" },
	{ "WORKERS", "workers" },
	{ "FEATURES", "features" },
	{ }
};

static const struct out_column dev_stats_columns[] = {
	{ "DEV", "dev" },
	{ "TYPE", "type" },
	{ "PID", "pid" },
	{ "CHAINS", "stats.chains" },
	{ "BYTES", "stats.bytes" },
	{ "KICKS", "stats.kicks" },
	{ "SIGNALS", "stats.signals" },
	{ "SUPPRESSED", "stats.signals_suppressed" },
	{ "BATCHES", "stats.batches" },
	{ "DROPS", "stats.drops" },
	{ "ERRORS", "stats.errors" },
	{ }
};

static const struct row_object dev_object = {
	.cmd = KHX_CMD_DEV_GET,
	.keys = { "dev" },
	.columns = dev_columns,
	.stats_columns = dev_stats_columns,
};

static int cmd_dev_show(int argc, char **argv)
{
	return row_show(&dev_object, argc, argv);
}

static const struct cmd dev_verbs[] = {
	{ "show", cmd_dev_show, "[DEV]" },
	{ }
};

int cmd_dev(int argc, char **argv)
{
	return cmd_dispatch("dev", dev_verbs, argc, argv);
}
