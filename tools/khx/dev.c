// SPDX-License-Identifier: GPL-2.0
/* khx dev: every device, whoever has it open. */
#include "khx.h"
#include "out.h"
#include "parse.h"
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

static int cmd_dev_show(int argc, char **argv)
{
	static const char *const keys[] = { "dev", NULL };
	struct json_object *rows;
	struct nl *nl;
	uint32_t dev = 0;

	if (cmd_too_many(argc, argv, 1) ||
	    (argc && !parse_dev(argv[0], &dev)))
		return KHX_EXIT_USAGE;
	nl = nl_open(KHX_GENL_NAME, "khx");
	if (!nl)
		return KHX_EXIT_FAILURE;
	rows = row_dump_rates(nl, KHX_CMD_DEV_GET, dev, keys);
	if (rows)
		out_rows(rows, cmd_options.stats ? dev_stats_columns :
						   dev_columns);
	nl_close(nl);
	json_object_put(rows);
	return rows ? 0 : KHX_EXIT_FAILURE;
}

static const struct cmd dev_verbs[] = {
	{ "show", cmd_dev_show, "[DEV]" },
	{ }
};

int cmd_dev(int argc, char **argv)
{
	return cmd_dispatch("dev", dev_verbs, argc, argv);
}
