// SPDX-License-Identifier: GPL-2.0
/*
 * A driver that reaches memory by its pages (khx_gup/khx_gup.c), as RDMA and VFIO do:
 * while pages merge, nothing that it writes through a reference of its own is lost;
 * and what it has pinned for long to read it only follows on a nomerge mount.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "khx_gup/khx_gup.h"
#include "khxmem.h"
#include "tap.h"

#define MODULE		"khx_gup"
#define PAGES		((unsigned long)KHX_GUP_PAGES)
#define STORMS		2
/* Of a round: not many, as a page merges once in one. */
#define INCREMENTS	512
/* For a storm; and how often it must have met the scanner, or it goes on. */
#define SECONDS		5
#define ENOUGH		500
#define SECONDS_MAX	100

static void module_load(void)
{
	const char *path = getenv("KHX_GUP");
	int fd;

	if (!path)
		tap_skip_all("no KHX_GUP: see selftests/merge/prepare");
	fd = open(path, O_RDONLY);
	if (fd < 0 || syscall(SYS_finit_module, fd, "", 0))
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

static void module_unload(void)
{
	if (syscall(SYS_delete_module, MODULE, 0))
		tap_bail("rmmod: %s", strerror(errno));
}

static int device_open(void)
{
	int fd = open("/dev/" KHX_GUP_DEVICE, O_RDWR);

	if (fd < 0)
		tap_bail("/dev/" KHX_GUP_DEVICE ": %s", strerror(errno));
	return fd;
}

/* Threads that write one word each of all pages: of two words, four contents. */
struct storm {
	pthread_t thread;
	int fd, error;
	struct khx_gup_storm args;
};

static void *storm_thread(void *arg)
{
	struct storm *storm = arg;

	storm->error = ioctl(storm->fd, KHX_GUP_STORM, &storm->args) ? errno : 0;
	return NULL;
}

/* Words that are not what the storm left, seen by a mapping. */
static unsigned long storm_wrong(const struct storm *storm, const char *alias)
{
	unsigned long i, wrong = 0;

	for (i = 0; i < PAGES; i++)
		wrong += *(volatile const uint32_t *)(alias + i * PAGE +
						      storm->args.offset) !=
			 storm->args.holds[i];
	return wrong;
}

/* All storms once, on pages of zeros. Returns how many increments were lost. */
static unsigned long storms_run(struct storm *storms, const char *map,
				const char *alias, unsigned int *seed)
{
	unsigned long lost = 0;
	int i;

	for (i = 0; i < STORMS; i++) {
		storms[i].args.addr = (unsigned long)map;
		storms[i].args.offset = i * 2048;
		storms[i].args.increments = INCREMENTS;
		storms[i].args.seed = (*seed)++;
		pthread_create(&storms[i].thread, NULL, storm_thread, &storms[i]);
	}
	for (i = 0; i < STORMS; i++) {
		pthread_join(storms[i].thread, NULL);
		if (storms[i].error)
			tap_bail("storm: %s", strerror(storms[i].error));
		lost += storms[i].args.lost;
	}
	for (i = 0; i < STORMS; i++)
		lost += storm_wrong(&storms[i], alias);
	return lost;
}

/*
 * Punching forgets that pages were written as soon as they had been merged: else they
 * would be left alone for longer and longer.
 */
static void check_storm(void)
{
	const long merged = figure("pages_merged"), broken = figure("cow_breaks");
	const long busy = figure("pages_busy");
	int file = khxmem_file(NULL, PAGES), i;
	char *map = khxmem_map(file, PAGES), *alias = khxmem_map(file, PAGES);
	unsigned long lost = 0, increments = 0;
	struct storm storms[STORMS] = {};
	double start = seconds_now(), now;
	unsigned int seed = 1;
	bool enough;

	for (i = 0; i < STORMS; i++)
		storms[i].fd = device_open();
	scan_fast();
	do {
		fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
			  PAGES * PAGE);
		lost += storms_run(storms, map, alias, &seed);
		increments += STORMS * INCREMENTS;
		now = seconds_now() - start;
		enough = figure("pages_merged") - merged > ENOUGH &&
			 figure("cow_breaks") - broken > ENOUGH &&
			 figure("pages_busy") - busy > 0;
	} while (now < SECONDS || (!enough && now < SECONDS_MAX));
	scan_stop();
	tap_diag("%lu increments, %ld merges, %ld breaks, %ld busy, %.1f s",
		 increments, figure("pages_merged") - merged,
		 figure("cow_breaks") - broken, figure("pages_busy") - busy, now);
	tap_is(lost, 0, "no write through a reference is lost");
	tap_ok(enough, "while pages merge and break, or are held");
	for (i = 0; i < STORMS; i++)
		close(storms[i].fd);
	munmap(map, PAGES * PAGE);
	munmap(alias, PAGES * PAGE);
	close(file);
}

static uint64_t pinned_word(int fd)
{
	__u64 word = 0;

	if (ioctl(fd, KHX_GUP_READ, &word))
		tap_bail("read by pin: %s", strerror(errno));
	return word;
}

static void pin_page(int fd, const char *page)
{
	__u64 addr = (unsigned long)page;

	if (ioctl(fd, KHX_GUP_PIN, &addr))
		tap_bail("pin: %s", strerror(errno));
}

static uint64_t first_word(const char *page)
{
	return *(volatile const uint64_t *)page;
}

/* The limit that Documentation/merge.rst tells of, and nothing worse than that. */
static void check_pin_of_merged(void)
{
	int file = khxmem_file(NULL, 2), fd = device_open();
	char *map = khxmem_map(file, 2);
	uint64_t old;

	page_fill(map, 5);
	page_fill(map + PAGE, 5);
	old = first_word(map);
	scan_fast();
	figure_must_reach("pages_sharing", 1, 20);
	scan_stop();
	pin_page(fd, map);
	tap_is(pinned_word(fd), old, "a long-term read pin of a merged page reads it");
	tap_is(figure("pages_sharing"), 1, "which stays merged");
	page_fill(map, 6);
	tap_is(pinned_word(fd), old, "it keeps what the page held when it was written");
	tap_ok(page_holds(map, 6) && page_holds(map + PAGE, 5),
	       "who maps it reads what was written, its equal is untouched");
	page_fill(map + PAGE, 7);
	tap_is(pinned_word(fd), old, "also when nobody else has the copy any more");
	ioctl(fd, KHX_GUP_UNPIN);
	pin_page(fd, map);
	page_fill(map, 5);
	tap_is(pinned_word(fd), old, "one of a private page follows it");
	close(fd);
	munmap(map, 2 * PAGE);
	close(file);
}

static void check_pin_on_nomerge(void)
{
	int file, fd = device_open();
	char *map;

	khxmem_mount("-nomerge", "nomerge");
	file = khxmem_file("-nomerge", 2);
	map = khxmem_map(file, 2);
	pin_page(fd, map);
	page_fill(map, 5);
	page_fill(map + PAGE, 5);
	scan_fast();
	scan_passes(4);
	scan_stop();
	page_fill(map, 6);
	tap_is(pinned_word(fd), first_word(map),
	       "on a nomerge mount a long-term read pin follows the page, a hole first");
	close(fd);
	munmap(map, 2 * PAGE);
	close(file);
	khxmem_umount("-nomerge");
}

int main(void)
{
	khxmem_mount(NULL, NULL);
	module_load();
	tap_plan(2 + 6 + 1);
	check_storm();
	check_pin_of_merged();
	check_pin_on_nomerge();
	khxmem_umount(NULL);
	module_unload();
	return tap_exit();
}
