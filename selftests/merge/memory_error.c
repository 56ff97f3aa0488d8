// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that has gone bad, by MADV_HWPOISON. The kernel cannot take a page of
 * khxmem from those who map it; but nobody must get it who did not have it, and
 * it must not spread.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define PAGES	16UL
#define BLOCK	512UL	/* pages of 2 MiB */

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

static void read_page(void *page)
{
	*(volatile char *)page;
}

static void write_page(void *page)
{
	*(volatile char *)page = 1;
}

/* 16 equal pages. */
static void merge_all(char *map)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, 5);
	scan_fast();
	if (!figure_reaches("pages_sharing", PAGES - 1, 20))
		tap_bail("pages do not merge");
	scan_stop();
	for (i = 0; i < PAGES; i++)
		read_page(map + i * PAGE);
}

/* The kernel writes for us, as a signal would end the test. */
static bool kernel_may_write(void *page)
{
	int zero = open("/dev/zero", O_RDONLY);
	bool written = read(zero, page, 8) == 8;

	close(zero);
	return written;
}

/* @map has the pages, @other maps them too but has had no faults yet. */
static void check_merged(int fd, char *map, char *other)
{
	char byte;

	tap_expect_splat("Memory failure");
	if (madvise(map, PAGE, MADV_HWPOISON) && errno == EINVAL)
		tap_skip_all("no CONFIG_MEMORY_FAILURE");
	tap_ok(1, "the memory of a merged copy goes bad");
	tap_ok(dies_of(SIGBUS, read_page, other + PAGE),
	       "who did not have it gets SIGBUS, if he reads");
	tap_ok(dies_of(SIGBUS, write_page, other + 2 * PAGE), "and if he writes");
	tap_ok(!kernel_may_write(map + 3 * PAGE),
	       "who has it gets no copy of it by writing");
	tap_ok(pread(fd, &byte, 1, 3 * PAGE) < 0 && errno == EIO,
	       "read(2) is EIO");
	tap_ok(pwrite(fd, "x", 1, 3 * PAGE) < 0 && errno == EIO,
	       "and so is write(2)");
	tap_is(setting("run", 2), 0, "unmerging passes it by");
	tap_is(ftruncate(fd, 0) ?: ftruncate(fd, PAGES * PAGE), 0,
	       "it is given up");
	page_fill(map + PAGE, 6);
	tap_ok(page_holds(other + PAGE, 6), "and new memory takes its place");
}

static void check_private(int fd, char *map)
{
	long sharing;

	merge_all(map);
	page_fill(map, 5);	/* its own again, equal to the others' copy */
	madvise(map, PAGE, MADV_HWPOISON);
	sharing = figure("pages_sharing");
	scan_fast();
	scan_passes(4);
	scan_stop();
	tap_is(figure("pages_sharing"), sharing, "a bad private page is not merged");
	tap_ok(pwrite(fd, "x", 1, 0) < 0 && errno == EIO, "nor written by write(2)");
	tap_ok(page_holds(map + PAGE, 5), "its equals are well");
	tap_expect_splat(NULL);
}

/* The zero page of one file's hole goes bad: it is everyone's, and has copies. */
static void check_zero(char *map)
{
	char *neighbour;
	int fd;

	khxmem_mount("-other", NULL);
	fd = khxmem_file("-other", PAGES);
	neighbour = khxmem_map(fd, PAGES);
	read_page(map);
	tap_expect_splat("Memory failure");
	madvise(map, PAGE, MADV_HWPOISON);
	tap_ok(!dies_of(SIGBUS, read_page, neighbour), "a bad zero page is no one else's");
	tap_ok(!dies_of(SIGBUS, write_page, neighbour), "nor in the way of a write");
	tap_expect_splat(NULL);
	munmap(neighbour, PAGES * PAGE);
	close(fd);
	khxmem_umount("-other");
}

/* A page of 2 MiB, all zeros but one: it would be split. */
static void check_huge(void)
{
	long looks;
	char *map;
	int fd;

	khxmem_mount("-huge", "huge=always");
	fd = khxmem_file("-huge", BLOCK);
	map = khxmem_map(fd, BLOCK);
	page_fill(map, 7);
	if (figure("huge_pages") != 1)
		tap_bail("no page of 2 MiB");
	tap_expect_splat("Memory failure");
	madvise(map + 300 * PAGE, PAGE, MADV_HWPOISON);
	scan_fast();
	scan_passes(16);
	looks = figure("pages_scanned");
	scan_passes(16);
	scan_stop();
	tap_is(figure("pages_scanned"), looks,
	       "a page of 2 MiB with a bad part is not read");
	tap_is(figure("huge_pages"), 1, "nor split");
	tap_ok(pwrite(fd, "x", 1, 300 * PAGE) < 0 && errno == EIO,
	       "nor is the bad part written by write(2)");
	tap_ok(page_holds(map, 7), "the rest is well");
	tap_expect_splat(NULL);
	munmap(map, BLOCK * PAGE);
	close(fd);
	khxmem_umount("-huge");
}

#define PAIRS	3000UL

/* Bits of /proc/kpageflags. */
#define KPF_SWAPBACKED	14
#define KPF_HWPOISON	19

static uint64_t word_of(const char *path, unsigned long i)
{
	int file = open(path, O_RDONLY);
	uint64_t word = 0;

	pread(file, &word, sizeof(word), i * sizeof(word));
	close(file);
	return word;
}

static bool frame_is(uint64_t frame, int flag)
{
	return word_of("/proc/kpageflags", frame) & 1ULL << flag;
}

static bool frame_goes_bad(uint64_t frame)
{
	char text[32];

	snprintf(text, sizeof(text), "0x%lx", (unsigned long)(frame * PAGE));
	/* It fails, for nobody uses the frame; but it is marked. */
	write_text("/sys/devices/system/memory/hard_offline_page", text);
	return frame_is(frame, KPF_HWPOISON);
}

static void merge_pairs(char *map, unsigned long first, unsigned long pairs)
{
	long merged = figure("pages_merged");
	unsigned long i;

	for (i = 0; i < 2 * pairs; i++)
		page_fill(map + (first + i) * PAGE, 1000 + first + i / 2);
	scan_fast();
	figure_must_reach("pages_merged", merged + 2 * pairs, 60);
	scan_stop();
}

/*
 * Frames given up wait to be a copy's: that of the second page of a pair goes bad there.
 * Then six times as many copies are made as wait, each in one of them, by chance.
 */
static void check_waiting(void)
{
	static const char *const name = "what goes bad before it is used is not used";
	unsigned long i, wrong = 0;
	uint64_t frame;
	char page[PAGE];
	char *map;
	int fd;

	khxmem_mount("-other", NULL);
	fd = khxmem_file("-other", 2 + 2 * PAIRS);
	map = khxmem_map(fd, 2 + 2 * PAIRS);
	page_fill(map + PAGE, 1000);
	frame = frame_of(map + PAGE);
	merge_pairs(map, 0, 1);
	tap_expect_splat("Memory failure");
	if (!frame_is(frame, KPF_SWAPBACKED) || !frame_goes_bad(frame)) {
		tap_skip("no frame can be made bad", name);
	} else {
		merge_pairs(map, 2, PAIRS);
		for (i = 2; i < 2 + 2 * PAIRS; i++)
			wrong += pread(fd, page, PAGE, i * PAGE) != PAGE ||
				 !page_holds(page, 1002 + (i - 2) / 2);
		tap_is(wrong, 0, name);
	}
	tap_expect_splat(NULL);
	munmap(map, (2 + 2 * PAIRS) * PAGE);
	close(fd);
	khxmem_umount("-other");
}

int main(void)
{
	char *map, *other;
	int fd;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	other = khxmem_map(fd, PAGES);
	merge_all(map);
	tap_plan(9 + 3 + 2 + 4 + 1);
	check_merged(fd, map, other);
	check_private(fd, map);
	ftruncate(fd, 0);
	ftruncate(fd, PAGES * PAGE);
	check_zero(map);
	check_huge();
	check_waiting();
	munmap(other, PAGES * PAGE);
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
	return tap_exit();
}
