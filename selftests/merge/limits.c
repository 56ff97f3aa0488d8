// SPDX-License-Identifier: GPL-2.0
/* What happens when room or memory ends. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define CGROUP "/sys/fs/cgroup"
#define GROUP CGROUP "/khx-merge-test"
#define FILE_PAGES 4096UL
#define WRITTEN 512UL
#define SCATTERED 4096UL
#define MAPPINGS 30000

static void touch_page(void *page)
{
	*(volatile char *)page = 1;
}

/* Pages that are merged keep their room: writing to one never fails for it. */
static void check_merged_room(char *map)
{
	unsigned long i;
	bool done;

	for (i = 0; i < 16; i++)
		page_fill(map + i * PAGE, 7);
	scan_fast();
	done = figure_reaches("pages_sharing", 15, 20);
	scan_stop();
	tap_ok(done, "a full mount merges");
	tap_ok(dies_of(SIGBUS, touch_page, map + 16 * PAGE),
	       "which makes no room for others");
	for (i = 0; i < 16; i++)
		page_fill(map + i * PAGE, i + 1);
	tap_ok(page_holds(map, 1), "and merged pages can still be written");
}

static void check_size(void)
{
	int fd;
	char *map;

	khxmem_mount(NULL, "size=64k");
	fd = khxmem_file(NULL, 17);
	map = khxmem_map(fd, 17);
	tap_ok(fallocate(fd, 0, 0, 17 * PAGE) && errno == ENOSPC,
	       "fallocate of more than the size is ENOSPC");
	tap_ok(dies_of(SIGBUS, touch_page, map + 16 * PAGE),
	       "a fault in a full mount is SIGBUS");
	tap_ok(!dies_of(SIGBUS, touch_page, map), "not for what is there");
	tap_ok(pwrite(fd, "x", 1, 16 * PAGE) < 0 && errno == ENOSPC,
	       "write(2) to a full mount is ENOSPC");
	check_merged_room(map);
	munmap(map, 17 * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

static int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

static long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long value = -1;

	if (!file || fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

static bool group_make(void)
{
	if (access(CGROUP "/cgroup.controllers", F_OK) &&
	    mount("cgroup2", CGROUP, "cgroup2", 0, NULL))
		return false;
	write_text(CGROUP "/cgroup.subtree_control", "+memory");
	mkdir(GROUP, 0755);
	return !access(GROUP "/memory.max", W_OK);
}

static uint64_t group_value(unsigned long i)
{
	return 1 + i % 100;
}

/* In the group: fill the file's pages, from start to end. */
static void fill_in_group(void *arg)
{
	int fd = *(int *)arg;
	unsigned long i;
	char *map;

	if (write_text(GROUP "/cgroup.procs", "0"))
		_exit(3);
	map = khxmem_map(fd, FILE_PAGES);
	for (i = 0; i < FILE_PAGES; i++)
		page_fill(map + i * PAGE, group_value(i));
}

static void *fill_thread(void *arg)
{
	fill_in_group(arg);
	return NULL;
}

/* Several threads meet the limit at the same pages, whose locks they wait for. */
static void fill_by_threads(void *arg)
{
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, fill_thread, arg);
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

/* Someone outside of the group uses the file that the group filled. */
static bool usable(int fd)
{
	char *map = khxmem_map(fd, FILE_PAGES);
	unsigned long i;

	for (i = 0; i < FILE_PAGES; i++)
		page_fill(map + i * PAGE, 5);
	for (i = 0; i < FILE_PAGES; i++)
		if (!page_holds(map + i * PAGE, 5))
			break;
	munmap(map, FILE_PAGES * PAGE);
	return i == FILE_PAGES;
}

static void check_group_limit(void)
{
	int fd;

	write_text(GROUP "/memory.max", "8M");
	fd = khxmem_file(NULL, FILE_PAGES);
	tap_ok(dies_of(SIGKILL, fill_in_group, &fd),
	       "a task that reaches its group's limit is killed");
	close(fd);
	fd = khxmem_file(NULL, FILE_PAGES);
	tap_ok(dies_of(SIGKILL, fill_by_threads, &fd),
	       "so is one whose threads do");
	tap_ok(usable(fd), "others go on with the same file");
	close(fd);
	write_text(GROUP "/memory.max", "max");
}

/* In the group: fill, then stay, so that the memory is in use. */
static void fill_and_stay(void *arg)
{
	fill_in_group(arg);
	pause();
}

/* Unmerging needs memory; that there is none is no reason to kill anyone. */
static void check_unmerge_limit(void)
{
	int fd = khxmem_file(NULL, FILE_PAGES), status;
	pid_t pid = fork();
	char *map;

	if (!pid) {
		fill_and_stay(&fd);
		_exit(0);
	}
	scan_fast();
	figure_reaches("pages_sharing", FILE_PAGES - 100, 60);
	scan_stop();
	write_text(GROUP "/memory.max", "8M");
	tap_is(setting("run", 2), -ENOMEM,
	       "unmerging beyond the group's limit is ENOMEM");
	tap_is(waitpid(pid, &status, WNOHANG), 0, "and kills nobody");
	map = khxmem_map(fd, FILE_PAGES);
	tap_is(pages_wrong(map, FILE_PAGES, group_value), 0, "nothing is lost");
	write_text(GROUP "/memory.max", "max");
	tap_is(setting("run", 2), 0, "with more memory it succeeds");
	tap_is(figure("pages_sharing") +
	       pages_wrong(map, FILE_PAGES, group_value), 0,
	       "and all is as it was");
	munmap(map, FILE_PAGES * PAGE);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	close(fd);
}

/* In the group: write(2) only, each of the contents twice. */
static void write_in_group(void *arg)
{
	static char page[PAGE];
	unsigned long i;

	if (write_text(GROUP "/cgroup.procs", "0"))
		_exit(3);
	for (i = 0; i < 2 * WRITTEN; i++) {
		page_fill(page, 1 + i % WRITTEN);
		if (pwrite(*(int *)arg, page, PAGE, i * PAGE) != PAGE)
			_exit(4);
	}
}

/* In the group: one zero page in each 2 MiB. */
static void scatter_in_group(void *arg)
{
	unsigned long i;

	if (write_text(GROUP "/cgroup.procs", "0"))
		_exit(3);
	for (i = 0; i < SCATTERED; i++)
		if (fallocate(*(int *)arg, FALLOC_FL_KEEP_SIZE, i << 21, PAGE))
			_exit(4);
}

static void check_charged_for(void (*fn)(void *), unsigned long pages,
			      const char *what, long merges, long bytes)
{
	int fd = khxmem_file(NULL, pages);
	long current;

	dies_of(0, fn, &fd);
	merges += figure("pages_merged");
	scan_fast();
	figure_reaches("pages_merged", merges, 60);
	scan_stop();
	current = read_number(GROUP "/memory.current");
	tap_ok(current >= bytes, "%s (%ld of %ld bytes)", what, current, bytes);
	close(fd);
}

/* In the group: maps the file, tells where, and stays. */
static pid_t map_in_group(int fd, char **map)
{
	int pipes[2];
	pid_t pid;

	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		if (write_text(GROUP "/cgroup.procs", "0"))
			_exit(3);
		*map = khxmem_map(fd, SCATTERED * 512);
		write(pipes[1], map, sizeof(*map));
		pause();
		_exit(0);
	}
	read(pipes[0], map, sizeof(*map));
	close(pipes[0]);
	close(pipes[1]);
	return pid;
}

/*
 * Faults that somebody else has for the task, as KVM's worker does when a page is
 * not there at once: here by /proc/PID/mem, from outside of the group.
 */
static void check_faults_of_others(void)
{
	long before, nodes, pages;
	unsigned long i;
	char *map, byte;
	int fd, mem;
	char path[64];
	pid_t pid;

	fd = khxmem_file(NULL, SCATTERED * 512);
	pid = map_in_group(fd, &map);
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR);
	before = read_number(GROUP "/memory.current");
	for (i = 0; i < SCATTERED; i++)
		pread(mem, &byte, 1, (off_t)(unsigned long)(map + (i << 21)));
	nodes = read_number(GROUP "/memory.current") - before;
	for (i = 0; i < SCATTERED; i++)
		pwrite(mem, "x", 1, (off_t)(unsigned long)(map + (i << 21)));
	pages = read_number(GROUP "/memory.current") - before - nodes;
	tap_ok(nodes >= (long)SCATTERED * 576 * 3 / 4,
	       "who maps a file pays for its index, whoever reads it (%ld bytes)",
	       nodes);
	tap_ok(pages >= (long)(SCATTERED * PAGE) * 3 / 4,
	       "and for its pages, whoever writes them (%ld bytes)", pages);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(mem);
	close(fd);
}

static void check_cgroup(void)
{
	int fd, i;

	if (!group_make()) {
		for (i = 0; i < 14; i++)
			tap_skip("no memory cgroups", "what is charged to whom");
		return;
	}
	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, FILE_PAGES);
	dies_of(0, fill_in_group, &fd);
	tap_ok(read_number(GROUP "/memory.current") > (long)(FILE_PAGES * PAGE),
	       "pages are charged to the group of the task that faults");
	scan_fast();
	figure_reaches("pages_sharing", FILE_PAGES - 100, 30);
	scan_stop();
	tap_ok(read_number(GROUP "/memory.current") < (long)(1024 * PAGE),
	       "merging gives the charge back");
	tap_diag("memory.current %ld", read_number(GROUP "/memory.current"));
	close(fd);
	check_group_limit();
	check_unmerge_limit();
	check_charged_for(write_in_group, 2 * WRITTEN,
			  "copies of what was only written are charged",
			  2 * WRITTEN, WRITTEN * PAGE);
	check_charged_for(scatter_in_group, SCATTERED * 512,
			  "and so is what is remembered of merges",
			  SCATTERED, SCATTERED * 2048 * 3 / 4);
	check_faults_of_others();
	khxmem_umount(NULL);
	rmdir(GROUP);
}

/* The slowest of creations and ends of files in another mount, in ms. */
static long slowest_file(unsigned int seconds)
{
	struct timespec start, now;
	long slowest = 0, end, ms;

	clock_gettime(CLOCK_MONOTONIC, &start);
	end = start.tv_sec + seconds;
	while (start.tv_sec < end) {
		close(khxmem_file("-other", 1));
		clock_gettime(CLOCK_MONOTONIC, &now);
		ms = (now.tv_sec - start.tv_sec) * 1000 +
		     (now.tv_nsec - start.tv_nsec) / 1000000;
		slowest = ms > slowest ? ms : slowest;
		start = now;
	}
	return slowest;
}

/* A file whose pages are unmapped one by one, each time from very many mappings. */
static void check_many_mappings(void)
{
	const unsigned long pages = 512;
	long slowest;
	unsigned long i;
	char *first, *map;
	int fd;

	khxmem_mount(NULL, NULL);
	khxmem_mount("-other", NULL);
	fd = khxmem_file(NULL, pages);
	/* One stretch, so that one munmap() ends them all. */
	first = mmap(NULL, MAPPINGS * pages * PAGE, PROT_NONE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	map = first;
	for (i = 0; i < MAPPINGS; i++)
		mmap(first + i * pages * PAGE, pages * PAGE,
		     PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0);
	for (i = 0; i < pages; i += 2)
		page_fill(map + i * PAGE, 1000 + i);
	scan_fast();
	slowest = slowest_file(10);
	scan_stop();
	tap_ok(slowest < 2000,
	       "a file mapped %d times does not hold others up (%ld ms)",
	       MAPPINGS, slowest);
	munmap(first, MAPPINGS * pages * PAGE);
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

/* Writes pages that were all one, and returns how long that took, in ms. */
static long time_to_break(unsigned int sharers)
{
	const unsigned long pages = 32768;
	struct timespec start, end;
	unsigned long i;
	char *map;
	int fd;

	fd = khxmem_file(NULL, pages);
	map = khxmem_map(fd, pages);
	for (i = 0; i < pages; i++)
		page_fill(map + i * PAGE, 7);
	setting("max_page_sharing", sharers);
	scan_fast();
	figure_reaches("pages_sharing", pages - pages / sharers - 1, 60);
	scan_stop();
	setting("max_page_sharing", 65536);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (i = 0; i < pages; i++)
		touch_page(map + i * PAGE);
	clock_gettime(CLOCK_MONOTONIC, &end);
	munmap(map, pages * PAGE);
	close(fd);
	return (end.tv_sec - start.tv_sec) * 1000 +
	       (end.tv_nsec - start.tv_nsec) / 1000000;
}

/* A copy leaves its equals in no more time when there are very many. */
static void check_many_copies(void)
{
	long one, many;

	khxmem_mount(NULL, NULL);
	one = time_to_break(65536);
	many = time_to_break(2);
	tap_ok(many < 3 * one,
	       "16384 equal copies break as one does (%ld ms, %ld ms)", many, one);
	khxmem_umount(NULL);
}

int main(void)
{
	/* It takes time itself, which others on a busy machine take, too. */
	bool quiet = getenv("KHX_LONG");

	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(4 + 3 + 2 + 3 + 5 + 2 + 2 + 1 + 2 * quiet);
	check_size();
	check_cgroup();
	check_empty_files();
	if (quiet) {
		check_many_mappings();
		check_many_copies();
	}
	return tap_exit();
}
