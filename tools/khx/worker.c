// SPDX-License-Identifier: GPL-2.0
/* khx worker: which threads serve a device, where and how. */
#include <errno.h>
#include <string.h>

#include "khx.h"
#include "out.h"
#include "parse.h"
#include "row.h"

static const struct out_column worker_columns[] = {
	{ "DEV", "dev" },
	{ "WORKER", "worker" },
	{ "TID", "tid" },
	{ "MODE", "mode" },
	{ "QUEUES", "queues" },
	{ "RUNTIME-NS", "runtime_ns" },
	{ "CPUS", "cpus" },
	{ }
};

static const struct row_object worker_object = {
	.cmd = KHX_CMD_WORKER_GET,
	.keys = { "dev", "worker" },
	.columns = worker_columns,
};

static int cmd_worker_show(int argc, char **argv)
{
	return row_show(&worker_object, argc, argv);
}

static bool worker_put_mode(struct nlmsghdr *nlh, const char *word)
{
	static const char *const names[] = {
		"device", "queue", "shared", NULL
	};
	unsigned int mode;

	if (!parse_choice(word, "mode", names, &mode))
		return false;
	mnl_attr_put_u32(nlh, KHX_A_MODE, mode);
	return true;
}

static const struct {
	const char *name;
	unsigned int attr;
} worker_numbers[] = {
	{ "poll-us", KHX_A_POLL_US },
	{ "workers", KHX_A_WORKERS },
	{ "weight", KHX_A_WEIGHT },
};

static const char *worker_name(unsigned int attr)
{
	unsigned int i;

	for (i = 0; i < MNL_ARRAY_SIZE(worker_numbers); i++)
		if (worker_numbers[i].attr == attr)
			return worker_numbers[i].name;
	return attr == KHX_A_MODE ? "mode" : attr == KHX_A_CPUS ? "cpus" : NULL;
}

static bool worker_put_number(struct nlmsghdr *nlh, const char *name,
			      const char *word)
{
	uint32_t value;
	unsigned int i;

	for (i = 0; i < MNL_ARRAY_SIZE(worker_numbers); i++) {
		if (strcmp(name, worker_numbers[i].name))
			continue;
		if (!parse_u32(word, name, &value))
			return false;
		mnl_attr_put_u32(nlh, worker_numbers[i].attr, value);
		return true;
	}
	out_error("unknown setting \"%s\"", name);
	return false;
}

static bool worker_put(struct nlmsghdr *nlh, const char *name,
		       const char *word)
{
	if (!strcmp(name, "mode"))
		return worker_put_mode(nlh, word);
	if (strcmp(name, "cpus"))
		return worker_put_number(nlh, name, word);
	if (strlen(word) >= KHX_CPUS_LEN_MAX) {
		out_error("cpus: the list is too long");
		return false;
	}
	mnl_attr_put_strz(nlh, KHX_A_CPUS, word);
	return true;
}

static int worker_request(struct nl *nl, int argc, char **argv)
{
	struct nlmsghdr *nlh = nl_request(nl, KHX_CMD_WORKER_SET);
	uint32_t dev;
	int i, ret;

	if (!parse_dev(argv[0], &dev))
		return KHX_EXIT_USAGE;
	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	for (i = 1; i + 1 < argc; i += 2)
		if (!worker_put(nlh, argv[i], argv[i + 1]))
			return KHX_EXIT_USAGE;
	ret = nl_run(nl, nlh);
	if (ret == -ENODEV)
		row_no_dev(nl, dev);
	else if (ret)
		out_error("%s", nl_error(nl));
	return ret ? KHX_EXIT_FAILURE : 0;
}

static int cmd_worker_set(int argc, char **argv)
{
	struct nl *nl;
	int ret;

	if (argc < 3 || argc % 2 == 0) {
		out_error("worker set: DEV, then settings, each with a value");
		return KHX_EXIT_USAGE;
	}
	nl = nl_open(KHX_GENL_NAME, "khx");
	if (!nl)
		return KHX_EXIT_FAILURE;
	nl_set_names(nl, worker_name);
	ret = worker_request(nl, argc, argv);
	nl_close(nl);
	return ret;
}

static const struct cmd worker_verbs[] = {
	{ "show", cmd_worker_show, "[DEV]" },
	{ "set", cmd_worker_set,
	  "DEV [mode device|queue|shared] [workers N] [cpus LIST]\n"
	  "                 [poll-us N] [weight PERCENT]" },
	{ }
};

int cmd_worker(int argc, char **argv)
{
	return cmd_dispatch("worker", worker_verbs, argc, argv);
}
