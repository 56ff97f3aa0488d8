// SPDX-License-Identifier: GPL-2.0
/* What happens when room or memory ends. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define CGROUP "/sys/fs/cgroup"
#define GROUP CGROUP "/khx-merge-test"

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

/* In the group: fill @pages pages of the file, from start to end. */
static void fill_in_group(void *arg)
{
	int fd = *(int *)arg;
	unsigned long i, pages = 4096;
	char *map;

	if (write_text(GROUP "/cgroup.procs", "0"))
		_exit(3);
	map = khxmem_map(fd, pages);
	for (i = 0; i < pages; i++)
		page_fill(map + i * PAGE, 1 + i % 100);
}

static void check_cgroup(void)
{
	int fd;

	if (!group_make()) {
		tap_skip("no memory cgroups", "pages are charged");
		tap_skip("no memory cgroups", "merging gives the charge back");
		tap_skip("no memory cgroups", "the group's limit kills its task");
		return;
	}
	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 4096);
	dies_of(0, fill_in_group, &fd);
	tap_ok(read_number(GROUP "/memory.current") > (long)(4096 * PAGE),
	       "pages are charged to the group of the task that faults");
	scan_fast();
	figure_reaches("pages_sharing", 3996, 30);
	scan_stop();
	tap_ok(read_number(GROUP "/memory.current") < (long)(1024 * PAGE),
	       "merging gives the charge back");
	tap_diag("memory.current %ld", read_number(GROUP "/memory.current"));
	close(fd);

	write_text(GROUP "/memory.max", "8M");
	fd = khxmem_file(NULL, 4096);
	tap_ok(dies_of(SIGKILL, fill_in_group, &fd),
	       "a task that reaches its group's limit is killed");
	close(fd);
	khxmem_umount(NULL);
	rmdir(GROUP);
}

int main(void)
{
	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(4 + 3 + 3);
	check_size();
	check_cgroup();
	return tap_exit();
}
