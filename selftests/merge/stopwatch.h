/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How long something takes that must not take long, on a machine which may itself
 * stand still: a test host that runs in an emulator, on processors that others use.
 */
#ifndef STOPWATCH_H
#define STOPWATCH_H

#define STOPWATCH_CPUS	8

struct stopwatch {
	long ticks[STOPWATCH_CPUS];
};

void stopwatch_start(struct stopwatch *watch);
/*
 * Milliseconds since then in which a processor was there: the most that any of them
 * has seen. To 10 ms, and never too many.
 */
long stopwatch_ms(const struct stopwatch *watch);

#endif
