// SPDX-License-Identifier: GPL-2.0
/* khx queue: the virtqueues of one device, or of all. */
#include "khx.h"
#include "out.h"
#include "parse.h"
#include "row.h"

static const struct out_column queue_columns[] = {
	{ "DEV", "dev" },
	{ "QUEUE", "queue" },
	{ "STATE", "state" },
	{ "RING", "ring" },
	{ "SIZE", "ring_size" },
	{ "AVAIL", "avail_index" },
	{ "USED", "used_index" },
	{ "TID", "tid" },
	{ "POLL-US", "poll_us" },
	{ "NOW", "poll_now_us" },
	{ "WEIGHT", "weight" },
	{ "FAULT", "fault" },
	{ }
};

static const struct out_column queue_stats_columns[] = {
	{ "DEV", "dev" },
	{ "QUEUE", "queue" },
	{ "CHAINS", "stats.chains" },
	{ "DESCS", "stats.descs" },
	{ "BYTES", "stats.bytes" },
	{ "KICKS", "stats.kicks" },
	{ "SIGNALS", "stats.signals" },
	{ "SUPPRESSED", "stats.signals_suppressed" },
	{ "BATCHES", "stats.batches" },
	{ "POLLS", "stats.polls" },
	{ "HITS", "stats.poll_hits" },
	{ "DROPS", "stats.drops" },
	{ "ERRORS", "stats.errors" },
	{ }
};

static int cmd_queue_show(int argc, char **argv)
{
	static const char *const keys[] = { "dev", "queue", NULL };
	struct json_object *rows;
	struct nl *nl;
	uint32_t dev = 0;

	if (cmd_too_many(argc, argv, 1) ||
	    (argc && !parse_dev(argv[0], &dev)))
		return KHX_EXIT_USAGE;
	nl = nl_open(KHX_GENL_NAME, "khx");
	if (!nl)
		return KHX_EXIT_FAILURE;
	rows = row_dump_rates(nl, KHX_CMD_QUEUE_GET, dev, keys);
	if (rows)
		out_rows(rows, cmd_options.stats ? queue_stats_columns :
						   queue_columns);
	nl_close(nl);
	json_object_put(rows);
	return rows ? 0 : KHX_EXIT_FAILURE;
}

static const struct cmd queue_verbs[] = {
	{ "show", cmd_queue_show, "[DEV]" },
	{ }
};

int cmd_queue(int argc, char **argv)
{
	return cmd_dispatch("queue", queue_verbs, argc, argv);
}
