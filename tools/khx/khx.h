/* SPDX-License-Identifier: GPL-2.0 */
/* The objects and verbs of the khx tool; each object has a file of its name. */
#ifndef KHX_TOOLS_KHX_H
#define KHX_TOOLS_KHX_H

#include <stdbool.h>
#include <stdint.h>

/* Exit status; 0 is success. */
#define KHX_EXIT_FAILURE	1
#define KHX_EXIT_USAGE		2

/**
 * struct cmd - a word of the command line, and what it does
 * @name: the word; of a verb, the first one of an object is its default
 * @fn: runs it with the words after it; returns the exit status
 * @help: arguments for a verb, a sentence for an object
 */
struct cmd {
	const char *name;
	int (*fn)(int argc, char **argv);
	const char *help;
};

/* Options before the object. */
struct cmd_options {
	bool stats;		/* -s */
	double interval;	/* -i, seconds; 0: totals instead of rates */
};

extern struct cmd_options cmd_options;

/* Run one of @verbs, which ends with an empty one. */
int cmd_dispatch(const char *object, const struct cmd *verbs, int argc,
		 char **argv);

/* More words than @max: say so. */
bool cmd_too_many(int argc, char **argv, int max);

/* The word DEV. */
bool parse_dev(const char *word, uint32_t *dev);

/* What an object tells of the events of its family, if that is there. */
struct nl_source;
void merge_events_source(struct nl_source *source);
void exits_events_source(struct nl_source *source);

/* Objects. */
int cmd_dev(int argc, char **argv);
int cmd_queue(int argc, char **argv);
int cmd_worker(int argc, char **argv);
int cmd_merge(int argc, char **argv);
int cmd_monitor(int argc, char **argv);
int cmd_exits(int argc, char **argv);
int cmd_link(int argc, char **argv);

#endif /* KHX_TOOLS_KHX_H */
