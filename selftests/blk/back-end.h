/* SPDX-License-Identifier: GPL-2.0 */
/* A vhost-user back end that a test starts, ends, and starts again. */
#ifndef KHX_SELFTESTS_BLK_BACK_END_H
#define KHX_SELFTESTS_BLK_BACK_END_H

#include <sys/types.h>

struct back_end {
	const char *path;	/* of its socket */
	char **command;
	pid_t pid;		/* 0: does not run */
};

/* Start it unless it runs, and wait until it listens; ends the test if not. */
void back_end_need(struct back_end *back);
void back_end_kill(struct back_end *back, int signal);

#endif
