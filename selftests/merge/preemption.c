// SPDX-License-Identifier: GPL-2.0
/*
 * A task of real-time priority takes the scanner's processor from it at any moment,
 * and reads the pages that it is at. What it waits for by spinning it would keep from
 * ever coming; but for the kernel, which stops such tasks after most of a second.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <time.h>
#include <unistd.h>

#include "khxmem.h"
#include "stopwatch.h"
#include "tap.h"

#define DEBUGFS	"/sys/kernel/debug"
#define PREEMPT	DEBUGFS "/sched/preempt"
#define PAGES	64UL
#define SECONDS	8
#define SPUN	500	/* ms */

static int fd;
static atomic_bool stop;

/* Has the kernel preempted wherever it may be; @old is how it was. */
static bool preempt_fully(char *old, size_t size)
{
	char line[64] = "", *start, *end;
	FILE *file;

	if (access(PREEMPT, F_OK))
		mount("none", DEBUGFS, "debugfs", 0, NULL);
	file = fopen(PREEMPT, "r");
	if (!file || !fgets(line, sizeof(line), file))
		return false;
	fclose(file);
	start = strchr(line, '(');
	end = start ? strchr(start, ')') : NULL;
	if (!end)
		return false;
	*end = '\0';
	snprintf(old, size, "%s", start + 1);
	return !write_text(PREEMPT, "full");
}

static void sleep_us(long us)
{
	struct timespec time = { .tv_nsec = us * 1000 };

	nanosleep(&time, NULL);
}

/* Returns how long it took at most to read all pages, in ms. */
static void *reader_thread(void *arg)
{
	const struct sched_param first = { .sched_priority = 1 };
	struct stopwatch watch;
	long slowest = 0, ms;
	unsigned int seed = 1;
	unsigned long i;
	char byte;

	(void)arg;
	if (!run_on(0, 0) || sched_setscheduler(0, SCHED_FIFO, &first))
		tap_bail("no real-time priority: %s", strerror(errno));
	while (!stop) {
		stopwatch_start(&watch);
		for (i = 0; i < PAGES; i++)
			pread(fd, &byte, 1, i * PAGE);
		ms = stopwatch_ms(&watch);
		slowest = ms > slowest ? ms : slowest;
		sleep_us(300 + rand_r(&seed) % 500);
	}
	return (void *)slowest;
}

/* Each page is looked at twice, and then forgotten; returns how often all were. */
static long look_and_forget(unsigned int seconds)
{
	double end = seconds_now() + seconds;
	long times = 0;

	for (; seconds_now() < end; times++) {
		setting("run", 1);
		if (!figure_reaches("pages_unshared", PAGES, 60))
			break;
		setting("run", 2);
	}
	return times;
}

static void check_reader(void)
{
	pid_t scanner = scanner_pid();
	pthread_t reader;
	void *slowest;
	unsigned long i;
	long times;
	char *map;

	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, 1 + i);
	if (!run_on(scanner, 0))
		tap_bail("the scanner's processor: %s", strerror(errno));
	scan_fast();
	pthread_create(&reader, NULL, reader_thread, NULL);
	times = look_and_forget(SECONDS);
	stop = true;
	pthread_join(reader, &slowest);
	scan_stop();
	run_on(scanner, -1);
	tap_ok(times > 10 && (long)slowest < SPUN,
	       "who preempts the scanner does not spin for it (%ld ms, %ld times %lu pages)",
	       (long)slowest, times, 2 * PAGES);
	munmap(map, PAGES * PAGE);
	close(fd);
}

int main(void)
{
	char old[32];

	khxmem_mount(NULL, NULL);
	if (!preempt_fully(old, sizeof(old))) {
		khxmem_umount(NULL);
		tap_skip_all("this kernel's preemption cannot be set");
	}
	tap_plan(1);
	check_reader();
	write_text(PREEMPT, old);
	khxmem_umount(NULL);
	return tap_exit();
}
