// SPDX-License-Identifier: GPL-2.0
/*
 * A full mount is ENOSPC or SIGBUS for whoever wants more, never for what is there,
 * also where a remount has made it full; a full cgroup is a matter of its own tasks.
 * And a host without memory has none for who unmerges.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define FILE_PAGES 4096UL
#define WRITTEN 512UL
#define SCATTERED 4096UL
#define HOLES 3000

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

/* In pages: how many there are, and how many are left. */
static bool room_is(unsigned long size, unsigned long left)
{
	struct statfs fs;

	return !statfs(KHXMEM_DIR, &fs) && fs.f_blocks == size &&
	       fs.f_bfree == left && fs.f_bavail == left;
}

static int resize(const char *options)
{
	return mount("khxmem", KHXMEM_DIR, "khxmem", MS_REMOUNT, options) ?
		-errno : 0;
}

/* Below what is there, and to no limit at all. */
static void check_resize(void)
{
	struct statfs fs;
	char *map;
	int fd;

	khxmem_mount(NULL, "size=64k");
	fd = khxmem_file(NULL, 17);
	map = khxmem_map(fd, 17);
	if (fallocate(fd, 0, 0, 12 * PAGE))
		tap_bail("fallocate: %s", strerror(errno));
	tap_is(resize("size=32k"), 0, "a mount can be made smaller than what is there");
	tap_ok(room_is(8, 0), "it is full then");
	tap_ok(!dies_of(SIGBUS, touch_page, map + 11 * PAGE), "what is there stays");
	tap_ok(dies_of(SIGBUS, touch_page, map + 12 * PAGE), "and gets no more");
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 5 * PAGE);
	tap_ok(room_is(8, 1) && !dies_of(SIGBUS, touch_page, map + 12 * PAGE) &&
	       room_is(8, 0), "until there is less than may be");
	tap_is(resize("size=0"), 0, "or no limit at all");
	tap_ok(!dies_of(SIGBUS, touch_page, map) && !statfs(KHXMEM_DIR, &fs) &&
	       fs.f_blocks > 64UL << 20 >> 12 && fs.f_blocks - fs.f_bfree == 9,
	       "which the host has");
	munmap(map, 17 * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

static unsigned int arrived;

/* Two threads go on from here at the same time. */
static void meet(void)
{
	unsigned int both = (__atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST) | 1) + 1;

	while ((int)(__atomic_load_n(&arrived, __ATOMIC_SEQ_CST) - both) < 0)
		sched_yield();
}

struct hole {
	int fd;
	char *map;
};

static void touch_holes(const struct hole *hole, bool first)
{
	int i;

	for (i = 0; i < HOLES; i++) {
		meet();
		touch_page(hole->map);
		meet();
		if (first)
			fallocate(hole->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				  0, PAGE);
	}
}

static void *touch_thread(void *arg)
{
	touch_holes(arg, false);
	return NULL;
}

static void touch_together(void *arg)
{
	pthread_t thread;

	pthread_create(&thread, NULL, touch_thread, arg);
	touch_holes(arg, true);
	pthread_join(thread, NULL);
}

/* The last page that there is room for is one, whoever touches it. */
static void check_last_room(void)
{
	struct hole hole;

	khxmem_mount(NULL, "size=4k");
	hole.fd = khxmem_file(NULL, 1);
	hole.map = khxmem_map(hole.fd, 1);
	tap_ok(!dies_of(SIGBUS, touch_together, &hole),
	       "two who touch one page at the same time need room for one");
	munmap(hole.map, PAGE);
	close(hole.fd);
	khxmem_umount(NULL);
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

	group_join();
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

#define EQUAL	64UL

/* Outside of the group: pages that equal nothing of its 100 copies. */
static int equal_file(void)
{
	int fd = khxmem_file(NULL, EQUAL);
	char *map = khxmem_map(fd, EQUAL);
	unsigned long i;

	for (i = 0; i < EQUAL; i++)
		page_fill(map + i * PAGE, 4711);
	munmap(map, EQUAL * PAGE);
	return fd;
}

/* Unmerging needs memory; that there is none is no reason to kill anyone. */
static void check_unmerge_limit(void)
{
	int before = equal_file(), fd = khxmem_file(NULL, FILE_PAGES), status;
	int after = equal_file();
	pid_t pid = fork();
	char *map;

	if (!pid) {
		fill_and_stay(&fd);
		_exit(0);
	}
	scan_fast();
	figure_must_reach("pages_sharing", FILE_PAGES - 100 + 2 * EQUAL - 1, 60);
	scan_stop();
	write_text(GROUP "/memory.max", "8M");
	tap_is(setting("run", 2), -ENOMEM,
	       "unmerging beyond the group's limit is ENOMEM");
	tap_is(figure("pages_shared"), 100, "but done for those outside of it");
	close(before);
	close(after);
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

	group_join();
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

	group_join();
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
	figure_must_reach("pages_merged", merges, 60);
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
		group_join();
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
	figure_must_reach("pages_sharing", FILE_PAGES - 100, 30);
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

#define FAILING		"/sys/kernel/debug/fail_page_alloc/"

/* Of tasks that are to fail, each allocation of a page does, whatever it may wait for. */
static bool set_failing(const char *probability)
{
	static const char *const knobs[][2] = {
		{ "task-filter", "Y" }, { "ignore-gfp-wait", "N" },
		{ "ignore-gfp-highmem", "N" }, { "min-order", "0" },
		{ "verbose", "0" }, { "space", "0" }, { "interval", "1" },
		{ "times", "1000000" },
	};
	char path[64];
	unsigned int i;

	if (access(FAILING, F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	for (i = 0; i < sizeof(knobs) / sizeof(*knobs); i++) {
		snprintf(path, sizeof(path), FAILING "%s", knobs[i][0]);
		if (write_text(path, knobs[i][1]))
			return false;
	}
	return !write_text(FAILING "probability", probability);
}

/* By a child, which needs no page for anything else. */
static int unmerge_without_memory(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		int fail = open("/proc/self/make-it-fail", O_WRONLY);
		int run = open("/sys/kernel/khx_merge/run", O_WRONLY), ret;

		if (mlockall(MCL_CURRENT) || write(fail, "1", 1) != 1)
			_exit(0);
		ret = write(run, "2", 1) == 1 ? 0 : errno;
		pwrite(fail, "0", 1, 0);
		_exit(ret);
	}
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
}

static void check_host_limit(void)
{
	static const char *const names[] = {
		"unmerging is ENOMEM where the host has no memory",
		"nothing is lost", "with memory it succeeds", "and all is as it was",
	};
	unsigned int i;
	int fd, ret = 0;
	char *map;

	if (!set_failing("0")) {
		for (i = 0; i < 4; i++)
			tap_skip("this kernel injects no faults", "%s", names[i]);
		return;
	}
	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, FILE_PAGES);
	map = khxmem_map(fd, FILE_PAGES);
	for (i = 0; i < FILE_PAGES; i++)
		page_fill(map + i * PAGE, group_value(i));
	scan_fast();
	figure_must_reach("pages_sharing", FILE_PAGES - 100, 60);
	scan_stop();
	set_failing("100");
	/* What comes before it may need a page, too: once more. */
	for (i = 0; i < 20 && figure("run") != 2; i++)
		ret = unmerge_without_memory();
	set_failing("0");
	tap_ok(ret == -ENOMEM && figure("run") == 2, "%s (%d)", names[0], ret);
	tap_is(figure("pages_shared") - 100 + pages_wrong(map, FILE_PAGES, group_value),
	       0, "%s", names[1]);
	tap_is(setting("run", 2), 0, "%s", names[2]);
	tap_is(figure("pages_shared") + pages_wrong(map, FILE_PAGES, group_value), 0,
	       "%s", names[3]);
	munmap(map, FILE_PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

int main(void)
{
	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(4 + 3 + 7 + 1 + 2 + 3 + 6 + 2 + 2 + 4);
	check_size();
	check_resize();
	check_last_room();
	check_cgroup();
	check_host_limit();
	return tap_exit();
}
