/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Holds kernel tasks for a while where they return from a function, so that a
 * moment of few instructions is long enough for others. They are not asleep but
 * busy. Needs BPF and kprobes.
 */
#ifndef KHX_SELFTESTS_HOLD_H
#define KHX_SELFTESTS_HOLD_H

#include <stdint.h>

struct hold {
	int map;
	int program;
	int event;
	volatile uint64_t *counts;
};

/*
 * Hold whoever returns @value from @function, a symbol of the kernel.
 * Return: 0 or a negative errno.
 */
int hold_start(struct hold *hold, const char *function, int value);
void hold_stop(struct hold *hold);

/* How many have come that far, and how many have gone on. */
static inline uint64_t hold_began(const struct hold *hold)
{
	return hold->counts[0];
}

static inline uint64_t hold_ended(const struct hold *hold)
{
	return hold->counts[1];
}

#endif
