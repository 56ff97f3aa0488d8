// SPDX-License-Identifier: GPL-2.0
/*
 * What one owner does to his files, or his cgroup to him, is not for others to bear.
 * With KHX_LONG=1 also what only an idle machine can tell, and none that is slow
 * (KHX_TIME_SCALE): how long something takes.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khxmem.h"
#include "stopwatch.h"
#include "tap.h"

#define BLOCK		512UL		/* pages of 2 MiB */
#define BLOCKS		8UL
#define MERGED		16384UL
#define EMPTY_FILES	20000
#define MAPPINGS	30000
#define MAPPED		512UL

/* The slowest of them, in ms. */
static long slowest_file(double seconds)
{
	double end = seconds_now() + seconds;
	struct stopwatch watch;
	long slowest = 0, ms;

	while (seconds_now() < end) {
		stopwatch_start(&watch);
		close(khxmem_file("-other", 1));
		ms = stopwatch_ms(&watch);
		slowest = ms > slowest ? ms : slowest;
	}
	return slowest;
}

static uint64_t few_values(unsigned long i)
{
	return 1 + i % 100;
}

/* In the group: pages of 2 MiB, which are to be split. */
static void fill_blocks(int fd)
{
	char *map = khxmem_map(fd, BLOCKS * BLOCK);
	unsigned long i;

	for (i = 0; i < BLOCKS * BLOCK; i++)
		page_fill(map + i * PAGE, few_values(i));
}

static void stay(int fd)
{
	(void)fd;
	pause();
}

/*
 * A cgroup above memory.high puts those to sleep who allocate for it, for two seconds
 * each time. The scanner does so when it splits pages of 2 MiB.
 */
#define MOMENT	1500	/* ms */

static void check_split_above_high(void)
{
	const long equal = BLOCKS * BLOCK - 100;
	struct member member;
	long slowest;
	int fd;

	khxmem_mount("-huge", "huge=always");
	khxmem_mount("-other", NULL);
	fd = khxmem_file("-huge", BLOCKS * BLOCK);
	member_start(&member, fd, fill_blocks, stay);
	tap_is(figure("huge_pages"), BLOCKS, "a guest has pages of 2 MiB");
	write_text(GROUP "/memory.high", "1M");
	scan_fast();
	slowest = slowest_file(4);
	tap_ok(slowest < MOMENT,
	       "while they are split for a cgroup above its memory.high, others' files come and go (%ld ms)",
	       slowest);
	tap_ok(figure_reaches("pages_sharing", equal, 60), "and they merge");
	scan_stop();
	member_end(&member);
	close(fd);
	khxmem_umount("-other");
	khxmem_umount("-huge");
}

#define SMALL	(16 * BLOCK)
#define BIG	(128 * BLOCK)

static void fill_distinct(char *map, unsigned long pages, uint64_t first)
{
	unsigned long i;

	for (i = 0; i < pages; i++)
		page_fill(map + i * PAGE, first + i);
}

static int big;
static char *big_map;

/* In the group, by a child, which is not to keep the big one. */
static void fill_small(int fd)
{
	munmap(big_map, BIG * PAGE);
	close(big);
	fill_distinct(khxmem_map(fd, SMALL), SMALL, 1 + SMALL);
}

static bool small_merges(int fd)
{
	char *map = khxmem_map(fd, SMALL);
	unsigned long i;
	bool merges;

	for (i = 0; i < SMALL; i++)
		page_fill(map + i * PAGE, 1 + i % (SMALL / 2));
	scan_fast();
	merges = figure_reaches("pages_sharing", SMALL / 2, 20);
	scan_passes(1);
	scan_stop();
	munmap(map, SMALL * PAGE);
	return merges;
}

/* A guest of the same domain that does not merge, of as many pages as the big one. */
static int nomerge_file(void)
{
	int fd = khxmem_file("-other", BIG);
	char *map = khxmem_map(fd, BIG);
	unsigned long i;

	for (i = 0; i < BIG; i += BLOCK)
		*(volatile char *)(map + i * PAGE) = 1;
	munmap(map, BIG * PAGE);
	return fd;
}

/* What has been seen in a big guest's pages of 2 MiB is no burden to a small one. */
static void check_neighbours_size(void)
{
	struct member member;
	int fd, nomerge;
	long charged, empty;

	khxmem_mount("-huge", "huge=always,domain=size");
	khxmem_mount("-other", "huge=always,domain=size,nomerge");
	empty = metadata_at_rest();
	big = khxmem_file("-huge", BIG);
	big_map = khxmem_map(big, BIG);
	fill_distinct(big_map, BIG, 1 + 2 * SMALL);
	fd = khxmem_file("-huge", SMALL);
	member_start(&member, fd, fill_small, stay);
	tap_is(figure("huge_pages"), (SMALL + BIG) / BLOCK,
	       "a small guest has pages of 2 MiB, and a big one");
	charged = read_number(GROUP "/memory.current");
	scan_fast();
	scan_passes(16);
	scan_stop();
	charged = read_number(GROUP "/memory.current") - charged;
	tap_ok(charged < (long)(SMALL * PAGE / 20),
	       "the small one pays for what it has itself (%ld KiB)",
	       charged >> 10);
	tap_diag("%ld KiB are kept of both",
		 (figure("metadata_bytes") - empty) >> 10);
	munmap(big_map, BIG * PAGE);
	close(big);
	tap_ok(figure_falls("metadata_bytes", empty, 20),
	       "when the big one goes, what was kept of it goes with it");
	nomerge = nomerge_file();
	tap_ok(small_merges(fd),
	       "the small one merges then, beside one that is not merged");
	tap_ok(figure_falls("metadata_bytes", empty + SMALL / 2 * 96 - 1, 20),
	       "and nothing is kept of pages of 2 MiB that have been split (%ld KiB)",
	       (figure("metadata_bytes") - empty) >> 10);
	member_end(&member);
	close(nomerge);
	close(fd);
	khxmem_umount("-other");
	khxmem_umount("-huge");
}

static void check_groups(void)
{
	int i;

	if (!group_make()) {
		for (i = 0; i < 3 + 5; i++)
			tap_skip("no memory cgroups", "what a cgroup does to others");
		return;
	}
	check_split_above_high();
	check_neighbours_size();
	rmdir(GROUP);
}

/* MERGED pages of few values, when nearly all of them are merged. */
static char *map_merged(int *fd)
{
	unsigned long i;
	char *map;

	*fd = khxmem_file(NULL, MERGED);
	map = khxmem_map(*fd, MERGED);
	for (i = 0; i < MERGED; i++)
		page_fill(map + i * PAGE, few_values(i));
	scan_fast();
	figure_must_reach("pages_sharing", MERGED - 100, 60);
	return map;
}

static void *unmerge_thread(void *arg)
{
	*(int *)arg = setting("run", 2);
	return NULL;
}

/* How many pages are unmerged, at most, while one file comes and goes elsewhere. */
static long most_unmerged_meanwhile(void)
{
	long now = figure("pages_sharing"), before, most = 0;

	while (now) {
		before = now;
		close(khxmem_file("-other", 1));
		now = figure("pages_sharing");
		most = before - now > most ? before - now : most;
	}
	return most;
}

/*
 * Undoing takes long; who wants to come or go does not wait for all of it. On one
 * processor, for else one of the two may be held up while the other goes on.
 */
static void check_unmerging(void)
{
	int fd, ret = -1;
	pthread_t thread;
	long most;
	char *map;

	khxmem_mount(NULL, NULL);
	khxmem_mount("-other", NULL);
	map = map_merged(&fd);
	run_on(0, 0);
	pthread_create(&thread, NULL, unmerge_thread, &ret);
	most = most_unmerged_meanwhile();
	pthread_join(thread, NULL);
	run_on(0, -1);
	tap_ok(!ret && most > 0 && most < (long)MERGED / 4,
	       "while all is unmerged, files come and go (%ld pages at most for one)",
	       most);
	munmap(map, MERGED * PAGE);
	close(fd);
	khxmem_umount("-other");
	khxmem_umount(NULL);
}

/* Of the mount that @fd is of. */
static long pages_used(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) ? -1 : (long)(st.f_blocks - st.f_bfree);
}

/* A guest may end at any time: what it gives up is not made again behind its back. */
#define ENDING_PAGES	2048UL
#define ENDINGS		20

static void check_unmerging_what_ends(void)
{
	int dir, fd, ret, i, failed = 0;
	pthread_t thread;
	unsigned long j;
	char *map;

	khxmem_mount(NULL, "size=64m");
	dir = open(KHXMEM_DIR, O_RDONLY | O_DIRECTORY);
	for (i = 0; i < ENDINGS; i++) {
		fd = khxmem_file(NULL, ENDING_PAGES);
		map = khxmem_map(fd, ENDING_PAGES);
		for (j = 0; j < ENDING_PAGES; j++)
			page_fill(map + j * PAGE, 7);
		scan_fast();
		figure_must_reach("pages_sharing", ENDING_PAGES - 1, 60);
		pthread_create(&thread, NULL, unmerge_thread, &ret);
		usleep(i * 1000);
		munmap(map, ENDING_PAGES * PAGE);
		close(fd);
		pthread_join(thread, NULL);
		failed += !!ret;
	}
	tap_is(failed, 0, "unmerging copes with files that end");
	tap_is(pages_used(dir), 0, "and they leave no page");
	close(dir);
	khxmem_umount(NULL);
}

/* Told to unmerge, a process is killed when a quarter is done. */
static void unmerge_some(void)
{
	pid_t pid = fork();

	if (!pid) {
		setting("run", 2);
		_exit(0);
	}
	while (figure("pages_sharing") > (long)MERGED * 3 / 4 &&
	       !waitpid(pid, NULL, WNOHANG))
		;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Then all merges again: the next time begins with the first page, too. */
static void check_unmerging_again(void)
{
	char *map;
	int fd;

	khxmem_mount(NULL, NULL);
	map = map_merged(&fd);
	unmerge_some();
	tap_diag("unmerging was killed at %ld", figure("pages_sharing"));
	scan_fast();
	figure_must_reach("pages_sharing", MERGED - 100, 60);
	tap_is(setting("run", 2) ?: figure("pages_shared"), 0,
	       "unmerging unmerges all, also after one that was killed");
	munmap(map, MERGED * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

/* The pages of a file go up and up: new ones above, the old ones are punched out. */
#define PIECE	(1024 * PAGE)
#define PIECES	4

static volatile bool growing;

/* No page like another. */
static void write_piece(int fd, unsigned long at)
{
	static char piece[PIECE];
	unsigned long i;

	for (i = 0; i < PIECE; i += PAGE)
		*(unsigned long *)(piece + i) = 1 + at + i;
	pwrite(fd, piece, PIECE, at);
}

static void *grow_thread(void *arg)
{
	int fd = *(int *)arg;
	unsigned long at;

	for (at = 0; growing; at += PIECE) {
		write_piece(fd, at);
		if (at >= PIECES * PIECE)
			fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  at - PIECES * PIECE, PIECE);
	}
	return NULL;
}

/* More slowly than any machine makes pages. */
static void scan_slowly(void)
{
	setting("pages_to_scan", 100);
	setting("sleep_millisecs", 20);
	setting("cpu_limit", 10);
	setting("profit_guard", 0);
	setting("run", 1);
}

/* The scanner does not follow it for ever. */
static void check_growing_file(void)
{
	const unsigned long equal = 256;
	pthread_t thread;
	unsigned long i;
	int fd, other;
	char *map;

	khxmem_mount(NULL, NULL);
	khxmem_mount("-other", NULL);
	fd = khxmem_file(NULL, 1);
	growing = true;
	pthread_create(&thread, NULL, grow_thread, &fd);
	other = khxmem_file("-other", equal);
	map = khxmem_map(other, equal);
	scan_slowly();
	usleep(500000);	/* the scanner is at the first file */
	for (i = 0; i < equal; i++)
		page_fill(map + i * PAGE, 7);
	tap_ok(figure_reaches("pages_sharing", equal - 1, 10),
	       "pages merge while another file grows faster than the scanner goes");
	scan_stop();
	growing = false;
	pthread_join(thread, NULL);
	munmap(map, equal * PAGE);
	close(other);
	close(fd);
	khxmem_umount("-other");
	khxmem_umount(NULL);
}

/* Files without pages are not for nothing: a pass over many is in many parts. */
static void check_empty_files(void)
{
	int fds[100], i;
	long passes;

	khxmem_mount(NULL, NULL);
	for (i = 0; i < 100; i++)
		fds[i] = khxmem_file(NULL, 1);
	scan_fast();
	setting("pages_to_scan", 10);
	setting("sleep_millisecs", 300);
	passes = figure("full_scans");
	sleep(4);
	passes = figure("full_scans") - passes;
	scan_stop();
	tap_ok(passes <= 2, "empty files take their turn, too (%ld passes)", passes);
	for (i = 0; i < 100; i++)
		close(fds[i]);
	khxmem_umount(NULL);
}

static void name_file(char *name, int i)
{
	snprintf(name, 64, KHXMEM_DIR "/%d", i);
}

/* It goes from one to the next, and does not begin anew with each. */
static void check_unmerging_empty_files(void)
{
	char name[64];
	double start;
	int i;

	khxmem_mount(NULL, NULL);
	for (i = 0; i < EMPTY_FILES; i++) {
		name_file(name, i);
		close(open(name, O_CREAT | O_RDWR, 0600));
	}
	start = seconds_now();
	setting("run", 2);
	start = seconds_now() - start;
	tap_ok(start < 1, "unmerging %d empty files takes no time (%.3f s)",
	       EMPTY_FILES, start);
	for (i = 0; i < EMPTY_FILES; i++) {
		name_file(name, i);
		unlink(name);
	}
	khxmem_umount(NULL);
}

/* Every second page, so that each is unmapped by itself. */
static void fill_scattered(char *map)
{
	unsigned long i;

	for (i = 0; i < MAPPED; i += 2)
		page_fill(map + i * PAGE, 1000 + i);
}

/* The candidates of @map, looked at again, are what all of another file equals. */
static char *equal_scattered(char *map)
{
	volatile char sum = 0;
	unsigned long i;
	char *equal;
	int fd;

	figure_must_reach("pages_unshared", MAPPED / 2, 60);
	scan_stop();
	fd = khxmem_file(NULL, MAPPED / 2);
	equal = khxmem_map(fd, MAPPED / 2);
	for (i = 0; i < MAPPED / 2; i++) {
		sum += map[2 * i * PAGE];
		page_fill(equal + i * PAGE, 1000 + 2 * i);
	}
	close(fd);
	return equal;
}

/* A file whose pages are unmapped one by one, each time from very many mappings. */
static void check_many_mappings(void)
{
	char *first, *equal;
	pthread_t thread;
	int fd, i, ret = -1;
	long slowest;

	khxmem_mount(NULL, NULL);
	khxmem_mount("-other", NULL);
	fd = khxmem_file(NULL, MAPPED);
	/* One stretch, so that one munmap() ends them all. */
	first = mmap(NULL, MAPPINGS * MAPPED * PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	for (i = 0; i < MAPPINGS; i++)
		mmap(first + i * MAPPED * PAGE, MAPPED * PAGE,
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	fill_scattered(first);
	scan_fast();
	slowest = slowest_file(10);
	tap_ok(slowest < 2000,
	       "a file mapped %d times does not hold others up (%ld ms)",
	       MAPPINGS, slowest);
	equal = equal_scattered(first);
	scan_fast();
	slowest = slowest_file(10);
	scan_stop();
	tap_ok(slowest < 2000 && figure("pages_sharing") > 0,
	       "nor one that merges with it (%ld ms)", slowest);
	pthread_create(&thread, NULL, unmerge_thread, &ret);
	slowest = slowest_file(5);
	/* What is mapped no more is unmerged in no time. */
	munmap(first, MAPPINGS * MAPPED * PAGE);
	pthread_join(thread, NULL);
	tap_ok(slowest < 2000 && !ret,
	       "nor when they are unmerged (%ld ms)", slowest);
	munmap(equal, MAPPED / 2 * PAGE);
	close(fd);
	khxmem_umount("-other");
	khxmem_umount(NULL);
}

/* Gives up pages that were all one, and returns how long that took, in ms. */
static long time_to_give_up(unsigned int sharers)
{
	const unsigned long pages = 32768;
	unsigned long i;
	double start;
	char *map;
	int fd;

	fd = khxmem_file(NULL, pages);
	map = khxmem_map(fd, pages);
	for (i = 0; i < pages; i++)
		page_fill(map + i * PAGE, 7);
	setting("max_page_sharing", sharers);
	scan_fast();
	figure_must_reach("pages_sharing", pages - pages / sharers - 1, 60);
	scan_stop();
	setting("max_page_sharing", 65536);
	munmap(map, pages * PAGE);
	start = seconds_now();
	close(fd);
	return (seconds_now() - start) * 1000;
}

/* A copy leaves its equals in no more time when there are very many. */
static void check_many_copies(void)
{
	long one, many;

	khxmem_mount(NULL, NULL);
	one = time_to_give_up(65536);
	many = time_to_give_up(2);
	tap_ok(many < 3 * one,
	       "16384 equal copies are given up as one is (%ld ms, %ld ms)",
	       many, one);
	khxmem_umount(NULL);
}

int main(void)
{
	bool quiet = getenv("KHX_LONG") && !getenv("KHX_TIME_SCALE");

	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(3 + 5 + 5 + 6 * quiet);
	check_groups();
	check_unmerging();
	check_unmerging_what_ends();
	check_unmerging_again();
	check_empty_files();
	if (quiet) {
		check_growing_file();
		check_unmerging_empty_files();
		check_many_mappings();
		check_many_copies();
	}
	return tap_exit();
}
