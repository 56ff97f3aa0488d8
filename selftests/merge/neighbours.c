// SPDX-License-Identifier: GPL-2.0
/* What holds one file's faults up does not hold up those of another. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khxmem.h"
#include "stopwatch.h"
#include "tap.h"

#define BLOCK		512UL		/* pages of 2 MiB */
#define BLOCKS		8UL
#define OTHER_BLOCKS	512UL		/* many more than there are block locks */
#define ZEROS		16UL		/* zero pages of a node, which files share */
#define COPIES		512UL
#define MAPPINGS	10000

/* A cgroup above its memory.high has those sleep who allocate, 2 s each time. */
#define MOMENT		1500	/* ms */

static void punch(int fd, unsigned long index, unsigned long pages)
{
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      index * PAGE, pages * PAGE))
		tap_bail("fallocate: %s", strerror(errno));
}

/* How often the group was found to be so; several times for each sleep. */
static long times_above_high(void)
{
	FILE *file = fopen(GROUP "/memory.events", "r");
	long times = -1;

	if (!file || fscanf(file, "low %*d high %ld", &times) != 1)
		tap_bail("memory.events cannot be read");
	fclose(file);
	return times;
}

/* What the neighbour does again and again; @i counts. */
struct neighbour {
	int fd;
	char *map;
	void (*step)(const struct neighbour *neighbour, unsigned long i);
};

/* Its slowest step, in ms, and how many it did. */
static long slowest_step(const struct neighbour *neighbour, double seconds,
			 unsigned long *steps)
{
	double end = seconds_now() + seconds;
	struct stopwatch watch;
	long slowest = 0, ms;
	unsigned long i;

	for (i = 0; seconds_now() < end; i++) {
		stopwatch_start(&watch);
		neighbour->step(neighbour, i);
		ms = stopwatch_ms(&watch);
		slowest = ms > slowest ? ms : slowest;
	}
	*steps = i;
	return slowest;
}

static void neighbour_start(struct neighbour *neighbour, const char *options,
			    unsigned long pages)
{
	khxmem_mount("-other", options);
	neighbour->fd = khxmem_file("-other", pages);
	neighbour->map = khxmem_map(neighbour->fd, pages);
}

static void neighbour_end(struct neighbour *neighbour, unsigned long pages)
{
	munmap(neighbour->map, pages * PAGE);
	close(neighbour->fd);
	khxmem_umount("-other");
}

static void fill_blocks(int fd)
{
	char *map = khxmem_map(fd, BLOCKS * BLOCK);
	unsigned long i;

	for (i = 0; i < BLOCKS * BLOCK; i++)
		page_fill(map + i * PAGE, 1 + i);
}

/* Each page of 2 MiB is split for it, which takes 511 small ones. */
static void punch_blocks(int fd)
{
	unsigned long i;

	for (i = 0; i < BLOCKS; i++)
		punch(fd, i * BLOCK, 1);
}

/* A page of 2 MiB comes and goes. */
static void step_block(const struct neighbour *neighbour, unsigned long i)
{
	unsigned long index = i % OTHER_BLOCKS * BLOCK;

	neighbour->map[index * PAGE] = 1;
	punch(neighbour->fd, index, BLOCK);
}

/* Above its memory.high, a group's pages are split, and who splits them sleeps. */
static void check_splitting(void)
{
	struct neighbour neighbour = { .step = step_block };
	struct neighbour same = { .step = step_block };
	unsigned long steps, same_steps;
	long slowest, same_slowest, times;
	struct member member;
	int fd;

	khxmem_mount("-huge", "huge=always");
	fd = khxmem_file("-huge", BLOCKS * BLOCK);
	same.fd = khxmem_file("-huge", OTHER_BLOCKS * BLOCK);
	same.map = khxmem_map(same.fd, OTHER_BLOCKS * BLOCK);
	neighbour_start(&neighbour, "huge=always", OTHER_BLOCKS * BLOCK);
	neighbour.map[0] = 1;
	tap_is(figure("huge_pages"), 1, "another mount has pages of 2 MiB");
	member_start(&member, fd, fill_blocks, punch_blocks);
	write_text(GROUP "/memory.high", "1M");
	times = times_above_high();
	member_act(&member);
	/* Each page that is split keeps its block lock for longer than both take. */
	slowest = slowest_step(&neighbour, 2.5, &steps);
	same_slowest = slowest_step(&same, 2.5, &same_steps);
	times = times_above_high() - times;
	tap_ok(times > 0 && slowest < MOMENT,
	       "while pages of 2 MiB are split for a cgroup above its memory.high, another mount's come and go (%lu times, %ld ms)",
	       steps, slowest);
	tap_ok(times > 0 && same_slowest < MOMENT,
	       "and so do those of another file of the mount (%lu times, %ld ms)",
	       same_steps, same_slowest);
	member_end(&member);
	munmap(same.map, OTHER_BLOCKS * BLOCK * PAGE);
	close(same.fd);
	neighbour_end(&neighbour, OTHER_BLOCKS * BLOCK);
	close(fd);
	khxmem_umount("-huge");
}

/* A page that others share is read: a hole, or a merged one. */
static void step_read(const struct neighbour *neighbour, unsigned long i)
{
	(void)i;
	madvise(neighbour->map, PAGE, MADV_DONTNEED);
	*(volatile char *)neighbour->map;
}

/* Reads holes that are mapped very often, all by the same zero page, and cuts them. */
static void cut_holes(int fd)
{
	const unsigned long pages = 32 * ZEROS;
	unsigned long i;
	char *map = NULL;

	for (i = 0; i < MAPPINGS; i++)
		map = khxmem_map(fd, pages);
	for (;;) {
		for (i = 0; i < pages; i += ZEROS)
			*(volatile char *)(map + i * PAGE);
		if (ftruncate(fd, 0) || ftruncate(fd, pages * PAGE))
			_exit(1);
	}
}

/*
 * A child has files mapped very often, and threads that do something to one each. After
 * half a second they get what another thread leaves them, which spins, of the
 * millisecond in each second for which their cgroup lets them run.
 */
#define SLOW_THREADS	8

struct slow {
	int fd;
	void (*step)(const struct slow *slow);
	unsigned long nr;	/* of the thread */
};

static void *slow_thread(void *arg)
{
	static const struct sched_param param;
	const struct slow *slow = arg;

	sched_setscheduler(0, SCHED_IDLE, &param);
	for (;;)
		slow->step(slow);
	return NULL;
}

static void be_slow(struct slow *slow, int ready)
{
	pthread_t thread;
	unsigned long i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	group_join();
	for (i = 0; i < MAPPINGS; i++)
		khxmem_map(slow[i % SLOW_THREADS].fd, COPIES);
	run_on(0, 1);
	for (i = 0; i < SLOW_THREADS; i++)
		pthread_create(&thread, NULL, slow_thread, &slow[i]);
	usleep(500000);
	close(ready);
	for (;;)
		;
}

static pid_t slow_start(const int *fds, void (*step)(const struct slow *slow))
{
	struct slow slow[SLOW_THREADS];
	unsigned long i;
	int ready[2];
	char byte;
	pid_t pid;

	for (i = 0; i < SLOW_THREADS; i++)
		slow[i] = (struct slow){ .fd = fds[i], .step = step, .nr = i };
	if (pipe(ready))
		tap_bail("pipe");
	pid = fork();
	if (!pid) {
		close(ready[0]);
		be_slow(slow, ready[1]);
	}
	close(ready[1]);
	read(ready[0], &byte, 1);
	close(ready[0]);
	if (write_text(GROUP "/cpu.max", "1000 1000000"))
		tap_bail("cpu.max cannot be set");
	run_on(0, 0);
	return pid;
}

static void slow_end(pid_t pid)
{
	write_text(GROUP "/cpu.max", "max");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	run_on(0, -1);
}

static void check_mapped_holes(void)
{
	struct neighbour neighbour = { .step = step_read };
	unsigned long alone, steps;
	long slowest;
	pid_t pid;
	int fd;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 32 * ZEROS);
	neighbour_start(&neighbour, NULL, ZEROS);
	/* The zero page of the processor's node, for both. */
	run_on(0, 0);
	slowest_step(&neighbour, 3, &alone);
	pid = fork();
	if (!pid)
		cut_holes(fd);
	run_on(0, 1);	/* if there is one */
	sleep(2);
	slowest = slowest_step(&neighbour, 3, &steps);
	tap_ok(!waitpid(pid, NULL, WNOHANG) && steps > alone / 10,
	       "while holes that are mapped %d times are cut, another mount's are read (%lu times, alone %lu; %ld ms)",
	       MAPPINGS, steps, alone, slowest);
	run_on(0, -1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	neighbour_end(&neighbour, ZEROS);
	close(fd);
	khxmem_umount(NULL);
}

/* Punches what the child shares with all others, page by page. */
static void step_punch(const struct slow *slow)
{
	unsigned long i;

	for (i = 0; i < COPIES; i++)
		punch(slow->fd, i, 1);
}

static int equal_file(void)
{
	int fd = khxmem_file(NULL, COPIES);
	char *map = khxmem_map(fd, COPIES);
	unsigned long i;

	for (i = 0; i < COPIES; i++)
		page_fill(map + i * PAGE, 1);
	munmap(map, COPIES * PAGE);
	return fd;
}

/* Their pages are merged with the neighbour's. */
static void check_slow_puncher(void)
{
	struct neighbour neighbour = { .step = step_read };
	int fds[SLOW_THREADS], i;
	unsigned long steps;
	long slowest;
	pid_t pid;

	khxmem_mount(NULL, "domain=slow");
	for (i = 0; i < SLOW_THREADS; i++)
		fds[i] = equal_file();
	neighbour_start(&neighbour, "domain=slow", 1);
	page_fill(neighbour.map, 1);
	scan_fast();
	figure_must_reach("pages_sharing", SLOW_THREADS * COPIES, 60);
	scan_stop();
	step_read(&neighbour, 0);	/* or the copy need not be unmapped */
	pid = slow_start(fds, step_punch);
	slowest = slowest_step(&neighbour, 4, &steps);
	tap_ok(slowest < MOMENT && figure("pages_sharing") > 0,
	       "while who is let run seldom punches merged pages, a neighbour reads the same one (%lu times, %ld ms)",
	       steps, slowest);
	slow_end(pid);
	for (i = 0; i < SLOW_THREADS; i++)
		close(fds[i]);
	neighbour_end(&neighbour, 1);
	khxmem_umount(NULL);
}

/* Some walk all of the mappings, others wait for them to map the file once more. */
static void step_map(const struct slow *slow)
{
	if (slow->nr % 2)
		punch(slow->fd, 0, 1);
	else
		munmap(khxmem_map(slow->fd, COPIES), COPIES * PAGE);
}

/* A file comes and goes, for which the scanner has to let go of its lock. */
static void step_file(const struct neighbour *neighbour, unsigned long i)
{
	(void)neighbour;
	(void)i;
	close(khxmem_file("-other", 1));
}

static void check_slow_owner(void)
{
	struct neighbour neighbour = { .step = step_file };
	unsigned long i, steps;
	long slowest, passes;
	int fds[SLOW_THREADS], fd;
	char *map;
	pid_t pid;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, COPIES);
	map = khxmem_map(fd, COPIES);
	for (i = 0; i < COPIES; i++)
		page_fill(map + i * PAGE, 1 + i / 2);
	neighbour_start(&neighbour, NULL, 1);
	for (i = 0; i < SLOW_THREADS; i++)
		fds[i] = fd;
	pid = slow_start(fds, step_map);
	passes = figure("full_scans");
	scan_fast();
	slowest = slowest_step(&neighbour, 4, &steps);
	passes = figure("full_scans") - passes;
	tap_ok(slowest < MOMENT && passes > 0,
	       "nobody waits for who is let run seldom and maps a file that the scanner is at (%lu times, %ld ms; %ld passes)",
	       steps, slowest, passes);
	slow_end(pid);
	tap_ok(figure_reaches("pages_sharing", COPIES / 2 - 1, 20),
	       "and it merges when he has gone");
	scan_stop();
	munmap(map, COPIES * PAGE);
	neighbour_end(&neighbour, 1);
	close(fd);
	khxmem_umount(NULL);
}

int main(void)
{
	int i;

	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(1 + 3 + 1 + 2);
	check_mapped_holes();
	if (group_make()) {
		check_splitting();
		check_slow_puncher();
		check_slow_owner();
		rmdir(GROUP);
	} else {
		for (i = 0; i < 3 + 1 + 2; i++)
			tap_skip("no cgroups", "what a cgroup does to others");
	}
	return tap_exit();
}
