// SPDX-License-Identifier: GPL-2.0
/* khx: shows and steers what the khx modules do. */
#include <getopt.h>
#include <linux/khx_version.h>
#include <stdio.h>
#include <string.h>

#include "khx.h"
#include "out.h"
#include "parse.h"

struct cmd_options cmd_options;

static const struct cmd objects[] = {
	{ "dev", cmd_dev, "devices of khx_net and khx_blk" },
	{ "queue", cmd_queue, "their virtqueues" },
	{ "worker", cmd_worker, "the threads that serve them" },
	{ "merge", cmd_merge, "guest memory whose equal pages are merged" },
	{ "monitor", cmd_monitor, "events as they come" },
	{ "link", cmd_link, "tap interfaces for khx_net" },
	{ "exits", cmd_exits, "why vCPUs leave their guests" },
	{ }
};

static void khx_usage(FILE *to)
{
	const struct cmd *object;

	fputs("usage: khx [OPTIONS] OBJECT [VERB] [ARGUMENTS]\n\n"
	      "  -j, --json          JSON\n"
	      "  -p, --pretty        JSON that people can read\n"
	      "  -s, --statistics    counters\n"
	      "  -i, --interval SEC  counters a second, over so many seconds\n"
	      "  -V, --version\n"
	      "  -h, --help\n"
	      "\nOBJECT, each with its own help:\n\n", to);
	for (object = objects; object->name; object++)
		fprintf(to, "  %-10s %s\n", object->name, object->help);
}

static int cmd_help(const char *object, const struct cmd *verbs, FILE *to)
{
	fputs("usage:\n", to);
	for (; verbs->name; verbs++)
		fprintf(to, "  khx %s %s%s%s\n", object, verbs->name,
			*verbs->help ? " " : "", verbs->help);
	return to == stdout ? 0 : KHX_EXIT_USAGE;
}

int cmd_dispatch(const char *object, const struct cmd *verbs, int argc,
		 char **argv)
{
	const struct cmd *verb;

	if (!argc)
		return verbs->fn(0, argv);
	if (!strcmp(argv[0], "help"))
		return cmd_help(object, verbs, stdout);
	for (verb = verbs; verb->name; verb++)
		if (!strcmp(argv[0], verb->name))
			return verb->fn(argc - 1, argv + 1);
	out_error("%s: unknown verb \"%s\"", object, argv[0]);
	return cmd_help(object, verbs, stderr);
}

bool cmd_too_many(int argc, char **argv, int max)
{
	if (argc <= max)
		return false;
	out_error("unexpected \"%s\"", argv[max]);
	return true;
}

bool parse_dev(const char *word, uint32_t *dev)
{
	if (!parse_u32(word, "device", dev))
		return false;
	if (*dev)
		return true;
	out_error("device: numbers start with 1");
	return false;
}

static const struct option khx_long_options[] = {
	{ "json", no_argument, NULL, 'j' },
	{ "pretty", no_argument, NULL, 'p' },
	{ "statistics", no_argument, NULL, 's' },
	{ "interval", required_argument, NULL, 'i' },
	{ "version", no_argument, NULL, 'V' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

/* Returns -1 to go on, else the exit status. */
static int khx_options(int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, "+jpsi:Vh", khx_long_options,
				NULL)) != -1) {
		switch (c) {
		case 'j':
			out_options.json = true;
			break;
		case 'p':
			out_options.json = true;
			out_options.pretty = true;
			break;
		case 's':
			cmd_options.stats = true;
			break;
		case 'i':
			cmd_options.stats = true;
			if (!parse_seconds(optarg, "interval",
					   &cmd_options.interval))
				return KHX_EXIT_USAGE;
			break;
		case 'V':
			puts("khx " KHX_VERSION);
			return 0;
		case 'h':
			khx_usage(stdout);
			return 0;
		default:
			khx_usage(stderr);
			return KHX_EXIT_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	const struct cmd *object;
	int ret;

	ret = khx_options(argc, argv);
	if (ret >= 0)
		return ret;
	argc -= optind;
	argv += optind;
	if (!argc) {
		khx_usage(stderr);
		return KHX_EXIT_USAGE;
	}
	if (!strcmp(argv[0], "help")) {
		khx_usage(stdout);
		return 0;
	}
	for (object = objects; object->name; object++)
		if (!strcmp(argv[0], object->name))
			return object->fn(argc - 1, argv + 1);
	out_error("unknown object \"%s\"", argv[0]);
	khx_usage(stderr);
	return KHX_EXIT_USAGE;
}
