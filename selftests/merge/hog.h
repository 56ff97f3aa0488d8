/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tasks that keep a processor to themselves: who is of the least priority there gets
 * it for a moment, and then not for seconds, wherever in the kernel he may be.
 */
#ifndef HOG_H
#define HOG_H

#include <stdbool.h>
#include <sys/types.h>

#define HOGS	4

struct hog {
	pid_t pids[HOGS + 1];
};

/* On processor 0, for so long at most; false if there is no other for the test. */
bool hog_start(struct hog *hog, unsigned int seconds);
void hog_end(struct hog *hog);

/* The thread @tid, 0 for this one, is of the least priority there from here on. */
void hog_starve(pid_t tid);

#endif
