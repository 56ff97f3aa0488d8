// SPDX-License-Identifier: GPL-2.0
/* khx queue: the virtqueues of one device, or of all. */
#include "khx.h"
#include "out.h"
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

static const struct row_object queue_object = {
	.cmd = KHX_CMD_QUEUE_GET,
	.keys = { "dev", "queue" },
	.columns = queue_columns,
	.stats_columns = queue_stats_columns,
};

static int cmd_queue_show(int argc, char **argv)
{
	return row_show(&queue_object, argc, argv);
}

static const struct cmd queue_verbs[] = {
	{ "show", cmd_queue_show, "[DEV]" },
	{ }
};

int cmd_queue(int argc, char **argv)
{
	return cmd_dispatch("queue", queue_verbs, argc, argv);
}
