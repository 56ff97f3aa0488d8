// SPDX-License-Identifier: GPL-2.0
/*
 * huge=always: what has no equal stays in pages of 2 MiB, mapped as such; those of
 * which enough is shared are split, and no byte changes.
 */
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
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define BLOCK	512UL		/* pages of 2 MiB */
#define BLOCKS	8UL
#define PAGES	(BLOCKS * BLOCK)

static int fd;
static char *map;

static char *page_at(unsigned long index)
{
	return map + index * PAGE;
}

static void set_up(const char *options)
{
	khxmem_mount(NULL, options);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
}

static void tear_down(void)
{
	scan_stop();
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

static unsigned long blocks(void)
{
	struct stat st;

	return fstat(fd, &st) ? 0 : st.st_blocks / (PAGE / 512);
}

static unsigned long mount_used(void)
{
	struct statfs st;

	return fstatfs(fd, &st) ? 0 : st.f_blocks - st.f_bfree;
}

static uint64_t unique_value(unsigned long i)
{
	return 1000000 + i;
}

static void fill_unique(void)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		page_fill(page_at(i), unique_value(i));
}

static long pmd_mapped_kib(void)
{
	return smaps_kib("ShmemPmdMapped") + smaps_kib("FilePmdMapped");
}

static int punch(unsigned long first, unsigned long pages)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 first * PAGE, pages * PAGE);
}

static void check_mapped(void)
{
	unsigned long i, wrong = 0;
	char got[8];

	set_up("huge=always");
	*(volatile char *)map = 1;
	tap_is(figure("huge_pages"), 1, "one write brings a page of 2 MiB");
	tap_is(blocks(), BLOCK, "du counts all of it");
	tap_is(mount_used(), BLOCK, "and so does df");
	for (i = 0; i < BLOCKS; i++)
		wrong += *(volatile char *)page_at(i * BLOCK + 7);
	tap_is(wrong, 0, "the rest is zeros");
	tap_is(figure("huge_pages"), BLOCKS, "a read brings one too");
	fill_unique();
	tap_is(pages_wrong(map, PAGES, unique_value), 0, "they keep what is written");
	tap_is(pmd_mapped_kib(), (long)(PAGES * PAGE >> 10),
	       "page tables map them as 2 MiB");

	tap_ok(pread(fd, got, 8, 5 * PAGE + 8) == 8 &&
	       !memcmp(got, page_at(5) + 8, 8), "read(2) finds its place");
	tap_ok(pwrite(fd, "khx-huge", 8, 700 * PAGE + 16) == 8 &&
	       !memcmp("khx-huge", page_at(700) + 16, 8), "and so does write(2)");
	page_fill(page_at(700), unique_value(700));

	scan_fast();
	scan_passes(40);
	tap_is(figure("huge_pages"), BLOCKS, "what has no equal stays huge");
	tap_is(pmd_mapped_kib(), (long)(PAGES * PAGE >> 10), "and is mapped so");
	scan_stop();
	for (i = 0; i < BLOCK / 8; i++)
		page_fill(page_at(i), 1);
	scan_fast();
	scan_passes(40);
	tap_is(figure("huge_pages"), BLOCKS, "and so does what shares only little");
	tear_down();
	tap_is(figure("huge_pages"), 0, "the closed file leaves none");
}

/* A third of each block is equal to another's. */
static uint64_t third_value(unsigned long i)
{
	return i % 3 ? 1000000 + i : 1 + i % BLOCK;
}

static void check_split(void)
{
	const unsigned long equal = PAGES / 3 - BLOCK;
	unsigned long i;

	set_up("huge=always");
	for (i = 0; i < PAGES; i++)
		page_fill(page_at(i), third_value(i));
	scan_fast();
	tap_ok(figure_falls("huge_pages", 0, 60), "what shares a third is split");
	tap_ok(figure_reaches("pages_sharing", equal, 60),
	       "and merges (%ld of %lu or more)", figure("pages_sharing"), equal);
	tap_is(pages_wrong(map, PAGES, third_value), 0, "and reads as before");
	tap_is(blocks(), PAGES, "du counts what it did");
	tear_down();
}

static void check_zeros(void)
{
	unsigned long i, wrong = 0;

	set_up("huge=always");
	for (i = 0; i < BLOCKS; i++)
		page_fill(page_at(i * BLOCK + i), 7 + i);
	page_fill(page_at(3 * BLOCK + 3), 0);
	scan_fast();
	tap_ok(figure_falls("huge_pages", 0, 60), "what is zeros mostly is split");
	tap_is(blocks(), BLOCKS - 1, "only the rest is kept");
	for (i = 0; i < BLOCKS; i++)
		wrong += !page_holds(page_at(i * BLOCK + i), i == 3 ? 0 : 7 + i);
	tap_is(wrong, 0, "and reads as before");
	scan_stop();
	page_fill(page_at(3 * BLOCK), 1);
	tap_is(figure("huge_pages"), 1, "all zeros are given back, and come huge again");
	tear_down();
}

static void check_punch(void)
{
	set_up("huge=always");
	fill_unique();
	tap_is(punch(BLOCK, BLOCK), 0, "2 MiB are punched out");
	tap_is(blocks(), PAGES - BLOCK, "they are given back");
	tap_ok(page_holds(page_at(BLOCK), 0) &&
	       figure("huge_pages") == (long)BLOCKS, "and come huge again");
	tap_is(punch(2 * BLOCK + 5, 3), 0, "three pages are punched out");
	tap_is(blocks(), PAGES - 3, "they are given back too");
	tap_is(figure("huge_pages"), BLOCKS - 1, "their page of 2 MiB is split");
	tap_ok(page_holds(page_at(2 * BLOCK + 4), unique_value(2 * BLOCK + 4)) &&
	       page_holds(page_at(2 * BLOCK + 5), 0) &&
	       page_holds(page_at(2 * BLOCK + 7), 0) &&
	       page_holds(page_at(2 * BLOCK + 8), unique_value(2 * BLOCK + 8)),
	       "their neighbours are what they were");
	tear_down();
}

/* A pipe holds one page of the block, as a device would. */
static void check_pinned(void)
{
	struct iovec iov;
	int pipes[2];
	char *got = malloc(PAGE);

	set_up("huge=always");
	fill_unique();
	iov = (struct iovec){ page_at(9), PAGE };
	if (pipe(pipes) || vmsplice(pipes[1], &iov, 1, 0) != PAGE)
		tap_bail("vmsplice: %s", strerror(errno));
	tap_is(punch(4, 2), 0, "pages beside a pinned one are punched out");
	tap_ok(page_holds(page_at(4), 0) && page_holds(page_at(5), 0) &&
	       page_holds(page_at(6), unique_value(6)), "they read as zeros");
	tap_is(blocks(), PAGES, "but cannot be given back");
	tap_ok(ftruncate(fd, 100 * PAGE) && errno == EBUSY,
	       "the file cannot end inside of it");
	page_fill(page_at(9), 5);
	tap_ok(read(pipes[0], got, PAGE) == PAGE && page_holds(got, 5),
	       "the pipe sees what is written meanwhile");
	close(pipes[0]);
	close(pipes[1]);
	tap_is(ftruncate(fd, 100 * PAGE), 0, "afterwards it can");
	tap_is(blocks(), 98, "and what was punched is given back");
	free(got);
	tear_down();
}

static void touch(void *page)
{
	*(volatile char *)page = 1;
}

static void check_truncate(void)
{
	unsigned long i, wrong = 0;

	set_up("huge=always");
	fill_unique();
	tap_is(ftruncate(fd, (BLOCK + 8) * PAGE), 0, "the file is cut");
	tap_is(blocks(), BLOCK + 8, "what was cut is given back");
	tap_ok(dies_of(SIGBUS, touch, page_at(BLOCK + 8)),
	       "beyond the end there is SIGBUS");
	tap_is(pages_wrong(map, BLOCK + 8, unique_value), 0,
	       "the rest is what it was");
	tap_is(ftruncate(fd, PAGES * PAGE), 0, "it grows again");
	for (i = BLOCK + 8; i < PAGES; i++)
		wrong += !page_holds(page_at(i), 0);
	tap_is(wrong, 0, "by zeros");
	tear_down();
}

/* Room for one page of 2 MiB and three small ones. */
static void check_room(void)
{
	set_up("huge=always,size=2060k");
	touch(map);
	touch(page_at(BLOCK));
	touch(page_at(BLOCK + 1));
	touch(page_at(2 * BLOCK));
	tap_is(figure("huge_pages"), 1, "where 2 MiB do not fit, small pages do");
	tap_is(mount_used(), BLOCK + 3, "up to the last");
	tap_ok(dies_of(SIGBUS, touch, page_at(3 * BLOCK)), "a full mount is SIGBUS");
	tear_down();
}

static void *punch_thread(void *arg)
{
	unsigned long i;

	for (i = 0; i < BLOCKS; i++)
		punch(i * BLOCK, 1);
	*(volatile bool *)arg = true;
	return NULL;
}

/* The copies are there before the page of 2 MiB goes: that takes no room twice. */
static void check_split_room(void)
{
	volatile bool done = false;
	int other, refused = 0;
	pthread_t thread;
	long writes;

	set_up("huge=always,size=17M");
	fill_unique();
	other = khxmem_file(NULL, 1);
	pthread_create(&thread, NULL, punch_thread, (void *)&done);
	for (writes = 0; !done; writes++) {
		refused += pwrite(other, "x", 1, 0) != 1;
		ftruncate(other, 0);
		ftruncate(other, PAGE);
	}
	pthread_join(thread, NULL);
	tap_is(figure("huge_pages"), 0, "a page is punched out of each block");
	tap_ok(!refused, "and who has room meanwhile finds it (%ld writes, %d refused)",
	       writes, refused);
	close(other);
	tear_down();
}

static void check_nomerge(void)
{
	set_up("huge=always,nomerge");
	touch(map);
	scan_fast();
	scan_passes(40);
	tap_is(figure("huge_pages"), 1, "nomerge: zeros stay");
	tear_down();
}

int main(void)
{
	tap_plan(47);
	check_mapped();
	check_split();
	check_zeros();
	check_punch();
	check_pinned();
	check_truncate();
	check_room();
	check_split_room();
	check_nomerge();
	return tap_exit();
}
