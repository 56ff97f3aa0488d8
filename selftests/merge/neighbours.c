// SPDX-License-Identifier: GPL-2.0
/* What holds one mount's faults up does not hold up those of another. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khxmem.h"
#include "stopwatch.h"
#include "tap.h"

#define BLOCK		512UL		/* pages of 2 MiB */
#define BLOCKS		8UL
#define OTHER_BLOCKS	512UL		/* as many as have any of the block locks */
#define ZEROS		16UL		/* zero pages of a node, which files share */
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
	struct member member;
	long slowest, times;
	unsigned long steps;
	int fd;

	khxmem_mount("-huge", "huge=always");
	fd = khxmem_file("-huge", BLOCKS * BLOCK);
	neighbour_start(&neighbour, "huge=always", OTHER_BLOCKS * BLOCK);
	neighbour.map[0] = 1;
	tap_is(figure("huge_pages"), 1, "another mount has pages of 2 MiB");
	member_start(&member, fd, fill_blocks, punch_blocks);
	write_text(GROUP "/memory.high", "1M");
	times = times_above_high();
	member_act(&member);
	slowest = slowest_step(&neighbour, 5, &steps);
	times = times_above_high() - times;
	tap_ok(times > 0 && slowest < MOMENT,
	       "while pages of 2 MiB are split for a cgroup above its memory.high, others' come and go (%lu times, %ld ms)",
	       steps, slowest);
	member_end(&member);
	neighbour_end(&neighbour, OTHER_BLOCKS * BLOCK);
	close(fd);
	khxmem_umount("-huge");
}

/* A hole is read. */
static void step_hole(const struct neighbour *neighbour, unsigned long i)
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

static void check_mapped_holes(void)
{
	struct neighbour neighbour = { .step = step_hole };
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

int main(void)
{
	int i;

	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(2 + 1);
	if (group_make()) {
		check_splitting();
		rmdir(GROUP);
	} else {
		for (i = 0; i < 2; i++)
			tap_skip("no memory cgroups", "what a cgroup does to others");
	}
	check_mapped_holes();
	return tap_exit();
}
