// SPDX-License-Identifier: GPL-2.0
/*
 * torture [SECONDS [starved]]: everything at once, and no byte may be wrong. 20
 * seconds, or ten minutes with KHX_LONG=1. A starved scanner is not expected to have
 * the memory to split pages of 2 MiB.
 *
 *	writers	rewrite and verify pages of their own with one of few contents,
 *		by either mapping or by read(2)
 *	counter	increments words of pages that are equal to many others, and
 *		checks them through another mapping
 *	puncher	punches holes into pages of its own and writes them again
 *	forker	forks children that read everything
 *	kernel	has the kernel write pages of its own (/proc/self/mem), and hold
 *		them for a while (vmsplice)
 *	cutter	truncates another file of the same contents, and writes it again
 *	racer	writes one page through two mappings, one after the other, while
 *		another thread punches it out: no later write is lost alone
 *	huge	has two threads rewrite and verify a file of 2 MiB pages while the
 *		scanner splits them; then another, as split ones stay so, and
 *		punch it, too, which splits pages at once
 *	knobs	changes settings, unmerges, runs again
 *
 * while the scanner runs at full speed.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define WRITERS		4
#define PER_WRITER	256UL
#define COUNTERS	64UL
#define PUNCHED		256UL
#define KERNELS		128UL
#define CUT		128UL
#define CONTENTS	4
#define HUGE_PAGES	(3 * 512UL)
#define HUGE_WRITERS	2

#define FIRST_COUNTER	(WRITERS * PER_WRITER)
#define FIRST_PUNCHED	(FIRST_COUNTER + COUNTERS)
#define FIRST_KERNELS	(FIRST_PUNCHED + PUNCHED)
#define RACED		(FIRST_KERNELS + KERNELS)
#define PAGES		(RACED + 1)

static char *map, *alias;
static int fd;
static atomic_bool stop;
static atomic_ulong errors, rewrites, increments, holes, holds, cuts;
static atomic_ulong blocks, splits, punched;

static char *page_of(char *base, unsigned long index)
{
	return base + index * PAGE;
}

static void check(bool good)
{
	if (!good)
		errors++;
}

static bool reads(unsigned long index, uint64_t value)
{
	char page[PAGE];

	return pread(fd, page, PAGE, index * PAGE) == PAGE &&
	       page_holds(page, value);
}

static void *writer_thread(void *arg)
{
	unsigned long first = (unsigned long)arg * PER_WRITER;
	unsigned int seed = first;
	uint64_t holds[PER_WRITER] = {};

	while (!stop) {
		unsigned long i = rand_r(&seed) % PER_WRITER;

		check(page_holds(page_of(rand_r(&seed) % 2 ? map : alias,
					 first + i), holds[i]));
		if (rand_r(&seed) % 4 == 0)
			check(reads(first + i, holds[i]));
		if (rand_r(&seed) % 2)
			continue;
		holds[i] = rand_r(&seed) % CONTENTS;	/* 0 is a zero page */
		page_fill(page_of(map, first + i), holds[i]);
		check(page_holds(page_of(alias, first + i), holds[i]));
		rewrites++;
		if (rand_r(&seed) % 64 == 0)
			madvise(page_of(map, first), PER_WRITER * PAGE,
				MADV_DONTNEED);
	}
	return NULL;
}

/* Counters of all pages stay within one of each other: equal pages abound. */
static void *counter_thread(void *arg)
{
	uint64_t count = 0;
	unsigned long i;

	(void)arg;
	while (!stop) {
		count++;
		for (i = 0; i < COUNTERS; i++) {
			volatile uint64_t *word =
				(void *)page_of(map, FIRST_COUNTER + i);

			(*word)++;
			check(*(volatile uint64_t *)
			      page_of(alias, FIRST_COUNTER + i) == count);
			increments++;
		}
		if (count % 16 == 0)
			usleep(20000);
	}
	return NULL;
}

static void *puncher_thread(void *arg)
{
	unsigned int seed = 4711;

	(void)arg;
	while (!stop) {
		unsigned long i = FIRST_PUNCHED + rand_r(&seed) % (PUNCHED - 16);
		unsigned long n = 1 + rand_r(&seed) % 16, k;

		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  i * PAGE, n * PAGE);
		for (k = 0; k < n; k++) {
			check(page_holds(page_of(alias, i + k), 0));
			page_fill(page_of(map, i + k), 1 + k % 3);
			check(page_holds(page_of(alias, i + k), 1 + k % 3));
		}
		holes++;
	}
	return NULL;
}

static void *forker_thread(void *arg)
{
	(void)arg;
	while (!stop) {
		pid_t pid = fork();

		if (!pid) {
			volatile char sum = 0;
			unsigned long i;

			for (i = 0; i < PAGES; i++)
				sum += *page_of(map, i);
			_exit(0);
		}
		if (pid > 0)
			waitpid(pid, NULL, 0);
		usleep(50000);
	}
	return NULL;
}

/* What the pipe kept is the page of then or of now, never a mixture. */
static void hold_page(unsigned long index, int *pipes, uint64_t old, uint64_t new)
{
	static char got[PAGE];
	struct iovec iov = { page_of(map, index), PAGE };

	if (vmsplice(pipes[1], &iov, 1, 0) != PAGE)
		return;
	page_fill(page_of(map, index), new);
	check(page_holds(page_of(alias, index), new));
	check(read(pipes[0], got, PAGE) == PAGE);
	check(page_holds(got, old) || page_holds(got, new));
	holds++;
}

static void *kernel_thread(void *arg)
{
	int mem = open("/proc/self/mem", O_RDWR), pipes[2];
	static char page[PAGE];
	unsigned int seed = 99;

	(void)arg;
	if (pipe(pipes))
		return NULL;
	while (!stop) {
		unsigned long i = FIRST_KERNELS + rand_r(&seed) % KERNELS;
		uint64_t value = rand_r(&seed) % CONTENTS;

		page_fill(page, value);
		check(pwrite(mem, page, PAGE,
			     (off_t)(unsigned long)page_of(map, i)) == PAGE);
		check(page_holds(page_of(alias, i), value));
		if (rand_r(&seed) % 8 == 0)
			hold_page(i, pipes, value, rand_r(&seed) % CONTENTS);
		if (rand_r(&seed) % 64 == 0)
			usleep(10000);
	}
	close(mem);
	return NULL;
}

static void *cutter_thread(void *arg)
{
	int file = khxmem_file(NULL, CUT);
	char *own = khxmem_map(file, CUT);
	unsigned int seed = 12;

	(void)arg;
	while (!stop) {
		unsigned long keep = rand_r(&seed) % CUT, i;

		for (i = 0; i < CUT; i++)
			page_fill(own + i * PAGE, i % CONTENTS);
		usleep(rand_r(&seed) % 20000);
		check(!ftruncate(file, keep * PAGE));
		check(!ftruncate(file, CUT * PAGE));
		for (i = 0; i < CUT; i++)
			check(page_holds(own + i * PAGE,
					 i < keep ? i % CONTENTS : 0));
		cuts++;
	}
	munmap(own, CUT * PAGE);
	close(file);
	return NULL;
}

static void *racer_thread(void *arg)
{
	volatile uint64_t *a = (void *)page_of(map, RACED);
	volatile uint64_t *b = (void *)page_of(alias, RACED);
	uint64_t value = 0, first, second;

	(void)arg;
	while (!stop) {
		value++;
		b[2] = value;	/* maps what is there */
		a[0] = value;
		b[1] = value;
		first = a[0];
		second = a[1];
		check(first != value || second == value || a[0] != value);
	}
	return NULL;
}

static void *race_puncher_thread(void *arg)
{
	(void)arg;
	while (!stop)
		fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  RACED * PAGE, PAGE);
	return NULL;
}

static struct huge_file {
	char *map, *alias;
	int fd;
	atomic_bool stop;
	bool punch;
} huge;

/* Each has every HUGE_WRITERSth page: they meet in all blocks. */
static void *huge_writer(void *arg)
{
	static uint64_t holds[HUGE_PAGES];
	const unsigned long first = (unsigned long)arg;
	unsigned int seed = first + time(NULL);
	unsigned long i;

	for (i = first; i < HUGE_PAGES; i += HUGE_WRITERS)
		holds[i] = 0;
	while (!huge.stop) {
		i = rand_r(&seed) % (HUGE_PAGES / HUGE_WRITERS) * HUGE_WRITERS +
		    first;
		check(page_holds(page_of(rand_r(&seed) % 2 ? huge.map :
					 huge.alias, i), holds[i]));
		holds[i] = rand_r(&seed) % CONTENTS;
		if (huge.punch && !holds[i] && rand_r(&seed) % 32 == 0)
			fallocate(huge.fd,
				  FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  i * PAGE, PAGE);
		else
			page_fill(page_of(huge.map, i), holds[i]);
		check(page_holds(page_of(huge.alias, i), holds[i]));
		rewrites++;
	}
	for (i = first; i < HUGE_PAGES; i += HUGE_WRITERS)
		check(page_holds(page_of(huge.map, i), holds[i]));
	return NULL;
}

static void huge_open(void)
{
	huge.fd = khxmem_file("-huge", HUGE_PAGES);
	huge.map = khxmem_map(huge.fd, HUGE_PAGES);
	huge.alias = khxmem_map(huge.fd, HUGE_PAGES);
	huge.stop = false;
}

static void huge_close(void)
{
	munmap(huge.map, HUGE_PAGES * PAGE);
	munmap(huge.alias, HUGE_PAGES * PAGE);
	close(huge.fd);
}

/* Pages of 2 MiB, once all of the file has been touched. */
static long huge_blocks(void)
{
	unsigned long i;

	for (i = 0; i < HUGE_PAGES; i += 512)
		*(volatile char *)page_of(huge.map, i) = 0;
	return figure("huge_pages");
}

/* Two seconds, and until the scanner has split one if nobody else does. */
static void huge_write(long had)
{
	pthread_t writers[HUGE_WRITERS];
	unsigned long i;

	for (i = 0; i < HUGE_WRITERS; i++)
		pthread_create(&writers[i], NULL, huge_writer, (void *)i);
	sleep(2);
	for (i = 0; i < 20 && !stop && figure("huge_pages") == had; i++)
		sleep(1);
	huge.stop = true;
	for (i = 0; i < HUGE_WRITERS; i++)
		pthread_join(writers[i], NULL);
}

static void *huge_thread(void *arg)
{
	long had, split;

	(void)arg;
	for (; !stop; huge.punch = !huge.punch) {
		huge_open();
		had = huge_blocks();
		huge_write(had);
		split = had - figure("huge_pages");
		blocks += had;
		*(huge.punch ? &punched : &splits) += split;
		huge_close();
	}
	return NULL;
}

static void *knobs_thread(void *arg)
{
	unsigned int seed = 1;

	(void)arg;
	while (!stop) {
		setting("use_zero_pages", rand_r(&seed) % 2);
		setting("max_page_sharing", 2 + rand_r(&seed) % 100);
		usleep(300000);
		if (rand_r(&seed) % 8 == 0) {
			setting("run", 2);
			setting("run", 1);
		}
	}
	return NULL;
}

static long merged, broken;

/* What has happened since the start, or without it, until now. */
static void look_at_figures(void)
{
	merged = figure("pages_merged") - merged;
	broken = figure("cow_breaks") - broken;
}

static bool starved;

/* Each has had its turn. */
static bool all_were_busy(void)
{
	return rewrites && increments && holes && holds && cuts && blocks &&
	       punched && (splits || starved);
}

static bool is_enough(void)
{
	return figure("pages_merged") - merged > 1000 &&
	       figure("cow_breaks") - broken > 100 && all_were_busy();
}

/* A slow machine gets ten times as long to merge and break what it should. */
static void wait_for_enough(unsigned int seconds)
{
	unsigned int i;

	sleep(seconds);
	for (i = 0; i < 9 * seconds && !is_enough(); i++)
		sleep(1);
}

static void run_all(unsigned int seconds)
{
	void *(*others[])(void *) = {
		counter_thread, puncher_thread, forker_thread, kernel_thread,
		cutter_thread, racer_thread, race_puncher_thread, huge_thread,
		knobs_thread,
	};
	const unsigned long more = sizeof(others) / sizeof(*others);
	pthread_t threads[WRITERS + more];
	unsigned long i;

	for (i = 0; i < WRITERS; i++)
		pthread_create(&threads[i], NULL, writer_thread, (void *)i);
	for (i = 0; i < more; i++)
		pthread_create(&threads[WRITERS + i], NULL, others[i], NULL);
	wait_for_enough(seconds);
	stop = true;
	for (i = 0; i < WRITERS + more; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	unsigned int seconds = getenv("KHX_LONG") ? 600 : 20;

	if (argc > 1)
		seconds = atoi(argv[1]);
	starved = argc > 2;
	khxmem_mount(NULL, NULL);
	khxmem_mount("-huge", "huge=always");
	tap_plan(4);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	alias = khxmem_map(fd, PAGES);
	look_at_figures();
	scan_fast();
	run_all(seconds);
	scan_stop();

	look_at_figures();
	tap_diag("%lu rewrites, %lu increments, %lu holes, %lu holds, %lu cuts",
		 rewrites, increments, holes, holds, cuts);
	tap_diag("of %lu pages of 2 MiB, %lu were split by the scanner, %lu by punching",
		 blocks, splits, punched);
	tap_diag("%ld merges, %ld breaks", merged, broken);
	tap_is(errors, 0, "no byte was wrong in %u seconds or more", seconds);
	tap_ok(merged > 1000 && broken > 100, "while pages merged and broke");
	tap_ok(all_were_busy(), "and nobody was idle");
	setting("use_zero_pages", 1);
	setting("max_page_sharing", 65536);
	munmap(map, PAGES * PAGE);
	munmap(alias, PAGES * PAGE);
	close(fd);
	tap_is(figure("pages_sharing") + figure("pages_shared") +
	       figure("zero_pages"), 0, "nothing is left");
	khxmem_umount("-huge");
	khxmem_umount(NULL);
	return tap_exit();
}
