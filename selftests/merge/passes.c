// SPDX-License-Identifier: GPL-2.0
/*
 * Passes over all files end, and the next one comes, whatever is done to files; and
 * mounts end while the scanner is at them.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define EQUAL	64UL
#define COMING	1024UL	/* pages of a file, of which a pass takes 100 in 20 ms */

static atomic_bool coming;

/* Always two files, neither of which lives as long as the scanner needs for it. */
static void *come_and_go(void *arg)
{
	int fds[2] = { khxmem_file("-other", 1), khxmem_file("-other", 1) };
	uint64_t value = 1;
	unsigned long i;
	int fd, n;

	(void)arg;
	for (n = 0; coming; n = !n) {
		fd = khxmem_file("-other", COMING);
		for (i = 0; i < COMING; i++, value++)
			pwrite(fd, &value, sizeof(value), i * PAGE);
		close(fds[n]);
		fds[n] = fd;
		usleep(20000);
	}
	close(fds[0]);
	close(fds[1]);
	return NULL;
}

static void scan_slowly(void)
{
	scan_fast();
	setting("pages_to_scan", 100);
	setting("sleep_millisecs", 20);
}

static void fill_equal(char *map, unsigned long pages)
{
	unsigned long i;

	for (i = 0; i < pages; i++)
		page_fill(map + i * PAGE, 7);
}

static void check_coming_files(void)
{
	pthread_t thread;
	char *map;
	int fd;

	khxmem_mount(NULL, NULL);
	khxmem_mount("-other", NULL);
	coming = true;
	pthread_create(&thread, NULL, come_and_go, NULL);
	scan_slowly();
	usleep(300000);		/* the scanner is at one of them */
	fd = khxmem_file(NULL, EQUAL);
	map = khxmem_map(fd, EQUAL);
	fill_equal(map, EQUAL);
	tap_ok(figure_reaches("pages_sharing", EQUAL - 1, 10),
	       "pages merge while others' files come and go faster than they are scanned");
	munmap(map, EQUAL * PAGE);
	close(fd);
	tap_ok(figure_reaches("full_scans", figure("full_scans") + 4, 10),
	       "passes end where there is nothing else, too");
	coming = false;
	pthread_join(thread, NULL);
	scan_stop();
	khxmem_umount("-other");
	khxmem_umount(NULL);
}

#define MERGED	4096UL
#define PAIRS	4UL		/* that come at a time */
#define TIMES	250UL

/* Four pairs more each 20 ms: there is something to merge in each pass. */
static void bring_pairs(char *map)
{
	unsigned long i;

	for (i = 0; i < TIMES * 2 * PAIRS; i++) {
		page_fill(map + i * PAGE, 100 + i / 2);
		if (i % (2 * PAIRS) == 0)
			usleep(20000);
	}
}

/* All was unmerged, which is not as if it had been written. */
static void check_unmerging(void)
{
	long breaks, passes;
	char *map;
	int fd;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, MERGED + TIMES * 2 * PAIRS);
	map = khxmem_map(fd, MERGED + TIMES * 2 * PAIRS);
	fill_equal(map, MERGED);
	scan_fast();
	figure_must_reach("pages_sharing", MERGED - 1, 60);
	breaks = figure("cow_breaks");
	setting("run", 2);
	tap_is(figure("cow_breaks"), breaks, "unmerging breaks no merge");
	setting("sleep_millisecs", 20);
	setting("run", 1);
	figure_must_reach("pages_sharing", MERGED - 1, 60);
	passes = figure("full_scans");
	bring_pairs(map + MERGED * PAGE);
	passes = figure("full_scans") - passes;
	tap_ok(passes >= 25, "nor does the scanner wait for it afterwards (%ld passes)",
	       passes);
	scan_stop();
	munmap(map, (MERGED + TIMES * 2 * PAIRS) * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

/* One with a name, which nobody has open: the mount alone keeps it. */
static void named_file(const char *name)
{
	char path[64], *map;
	int fd;

	snprintf(path, sizeof(path), KHXMEM_DIR "/%s", name);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	ftruncate(fd, EQUAL * PAGE);
	map = khxmem_map(fd, EQUAL);
	fill_equal(map, EQUAL);
	munmap(map, EQUAL * PAGE);
	close(fd);
}

#define MOUNTS	100

/*
 * The kernel's log would tell of a file that the scanner keeps. Mounts last from
 * nothing to 20 ms, in which there is time to merge: on a slow machine, more often.
 */
static void check_mounts(void)
{
	long merged = figure("pages_merged");
	int i, busy = 0;

	scan_fast();
	for (i = 0; i < MOUNTS || (figure("pages_merged") - merged < (long)EQUAL &&
				   i < 10 * MOUNTS); i++) {
		khxmem_mount(NULL, NULL);
		named_file("1");
		named_file("2");
		usleep(i % 21 * 1000);
		if (umount(KHXMEM_DIR)) {
			busy++;
			scan_stop();
			khxmem_umount(NULL);
			scan_fast();
		}
	}
	merged = figure("pages_merged") - merged;
	tap_is(busy, 0, "no mount is busy for the scanner's sake");
	tap_ok(merged >= (long)EQUAL, "which is at work in %d of them (%ld merges)", i,
	       merged);
	tap_is(figure("pages_shared") + figure("pages_unshared") +
	       figure("pages_volatile"), 0, "and they leave no page");
	scan_stop();
}

int main(void)
{
	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(2 + 2 + 3);
	check_coming_files();
	check_unmerging();
	check_mounts();
	return tap_exit();
}
