/* SPDX-License-Identifier: GPL-2.0 */
/*
 * TAP (KTAP) output for tests written in C.
 *
 *	int main(void)
 *	{
 *		tap_plan(2);
 *		tap_ok(ring_is_empty(), "a new ring is empty");
 *		tap_skip("no second NUMA node", "the far node is used");
 *		return tap_exit();
 *	}
 *
 * Every result is flushed at once, so that nothing is lost when a later step
 * takes the machine down.
 */
#ifndef KHX_TAP_H
#define KHX_TAP_H

#include <stdbool.h>

#define TAP_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
/* That of stdnoreturn.h is unknown to who checks us without system headers. */
#define TAP_NORETURN __attribute__((noreturn))

/* Exit statuses of a test program, those of kselftest. */
#define TAP_PASS 0
#define TAP_FAIL 1
#define TAP_SKIP 4

/* How many results will follow; call it once, before the first of them. */
void tap_plan(unsigned int count);

/* One result.  Returns @passed, to go on only where that makes sense. */
bool tap_ok(bool passed, const char *name, ...) TAP_PRINTF(2, 3);

/* Like tap_ok(), and prints both values when they differ. */
bool tap_is(long long got, long long wanted, const char *name, ...)
	TAP_PRINTF(3, 4);

/* One result that could not be had on this machine, and why. */
void tap_skip(const char *reason, const char *name, ...) TAP_PRINTF(2, 3);

/* A line for the reader. */
void tap_diag(const char *text, ...) TAP_PRINTF(1, 2);

/* Nothing of this program can run here. */
TAP_NORETURN void tap_skip_all(const char *reason, ...) TAP_PRINTF(1, 2);

/* The test cannot go on: that is a failure. */
TAP_NORETURN void tap_bail(const char *reason, ...) TAP_PRINTF(1, 2);

/*
 * The kernel will print a line that matches @regex (extended, as in awk), and
 * the test wants that; NULL ends it.  Without it the line fails the test.
 */
void tap_expect_splat(const char *regex);

/* Exit status of the program; a plan that was not kept is a failure. */
int tap_exit(void);

#endif
