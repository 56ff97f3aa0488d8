// SPDX-License-Identifier: GPL-2.0
/*
 * On each processor a thread of the highest priority sleeps for a moment, and counts.
 * While somebody waits for a lock, or for his cgroup, or spins on one processor, they
 * count on; while the whole machine stands still, none does, and its clocks do.
 */
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <time.h>
#include <unistd.h>

#include "khxmem.h"
#include "stopwatch.h"
#include "tap.h"

#define TICK_MS	10

static unsigned long ticks[STOPWATCH_CPUS];
static int cpus;

static void *count(void *arg)
{
	static const struct timespec tick = { .tv_nsec = TICK_MS * 1000000 };
	const struct sched_param first = {
		.sched_priority = sched_get_priority_max(SCHED_FIFO),
	};
	long cpu = (long)arg;

	if (!run_on(0, cpu) || sched_setscheduler(0, SCHED_FIFO, &first))
		tap_bail("no real-time priority");
	for (;;) {
		nanosleep(&tick, NULL);
		__atomic_fetch_add(&ticks[cpu], 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

static void start_counting(void)
{
	pthread_t thread;
	long cpu;

	cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (cpus > STOPWATCH_CPUS)
		cpus = STOPWATCH_CPUS;
	for (cpu = 0; cpu < cpus; cpu++)
		pthread_create(&thread, NULL, count, (void *)cpu);
}

void stopwatch_start(struct stopwatch *watch)
{
	int cpu;

	if (!cpus)
		start_counting();
	for (cpu = 0; cpu < cpus; cpu++)
		watch->ticks[cpu] = __atomic_load_n(&ticks[cpu], __ATOMIC_RELAXED);
}

long stopwatch_ms(const struct stopwatch *watch)
{
	long most = 0, now;
	int cpu;

	for (cpu = 0; cpu < cpus; cpu++) {
		now = __atomic_load_n(&ticks[cpu], __ATOMIC_RELAXED);
		if (now - watch->ticks[cpu] > most)
			most = now - watch->ticks[cpu];
	}
	return most * TICK_MS;
}
