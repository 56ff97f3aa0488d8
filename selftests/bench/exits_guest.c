// SPDX-License-Identifier: GPL-2.0
/*
 * exits_guest cpuid|out COUNT ROUNDS: nanoseconds an exit takes, best of ROUNDS.
 * Under -icount one nanosecond is one instruction of the test host.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "guest.h"

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static double round_of(struct guest *g, enum routine routine, int count)
{
	double start = now();

	guest_do(g, routine, count, (struct kvm_regs) { .rdx = 0x80 });
	return (now() - start) / count;
}

int main(int argc, char **argv)
{
	enum routine routine = RUN_CPUID;
	double best = 0;
	struct guest g;

	if (argc != 4) {
		fprintf(stderr, "usage: exits_guest cpuid|out COUNT ROUNDS\n");
		return 2;
	}
	if (!strcmp(argv[1], "out"))
		routine = RUN_OUTB;
	guest_create(&g);
	round_of(&g, routine, atoi(argv[2]));
	for (int i = 0; i < atoi(argv[3]); i++) {
		double ns = round_of(&g, routine, atoi(argv[2]));

		if (!best || ns < best)
			best = ns;
	}
	printf("%.1f\n", best);
	guest_destroy(&g);
	return 0;
}
