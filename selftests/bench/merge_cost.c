// SPDX-License-Identifier: GPL-2.0
/*
 * merge_cost ksm|khx: what merging costs, on the same memory for both. Prints
 * lines of "NAME VALUE":
 *
 *	merge_cpu_ms	CPU of the scanner until all duplicates of 256 MiB are merged:
 *			half of the pages unique, half of 1024 values
 *	merge_passes	passes that ended until then
 *	idle_cpu_us	CPU of one pass after that, nothing changing
 *	react_passes	passes that ended until 1024 pages that have become equal
 *			were merged, the one under way included
 *	breaks		copy-on-write breaks of 1024 equal pages rewritten once a
 *			second, for 30 seconds
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define PAGES		(256UL << 20 >> 12)
#define VALUES		1024UL
#define THRASHED	1024UL
#define REACTED		1024UL
#define THRASH_SECONDS	30
#define DIR_KHX		"/tmp/khxmem-bench"

static const char *sysfs;
static bool khx;
static int scanner;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long figure(const char *name)
{
	char path[128];
	long value;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", sysfs, name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &value) != 1)
		die(path);
	fclose(file);
	return value;
}

static void setting(const char *name, long value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", sysfs, name);
	file = fopen(path, "w");
	if (!file || fprintf(file, "%ld\n", value) < 0 || fclose(file))
		die(path);
}

static int find_task(const char *name)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	char path[300], comm[32];

	while (proc && (entry = readdir(proc))) {
		FILE *file;

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fscanf(file, "%31s", comm) == 1 && !strcmp(comm, name)) {
			fclose(file);
			closedir(proc);
			return atoi(entry->d_name);
		}
		fclose(file);
	}
	fprintf(stderr, "no %s\n", name);
	exit(1);
}

static uint64_t scanner_ns(void)
{
	char path[64];
	uint64_t ns;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", scanner);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%lu", &ns) != 1)
		die(path);
	fclose(file);
	return ns;
}

static void page_fill(char *page, uint64_t value)
{
	uint64_t *word = (uint64_t *)page;
	size_t i;

	for (i = 0; i < PAGE / sizeof(*word); i++)
		word[i] = value * 0x9e3779b97f4a7c15ULL + i;
}

static char *memory(unsigned long pages)
{
	char *map;
	int fd;

	if (!khx) {
		map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (map == MAP_FAILED || madvise(map, pages * PAGE, MADV_MERGEABLE))
			die("memory");
		return map;
	}
	fd = open(DIR_KHX, O_TMPFILE | O_RDWR, 0600);
	if (fd < 0 || ftruncate(fd, pages * PAGE))
		die("file");
	map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	close(fd);
	return map;
}

/*
 * A whole pass at once, then a short sleep: without it a scanner that is done
 * would go on to burn CPU until we notice.
 */
static void full_speed(void)
{
	setting("pages_to_scan", 100000);
	setting("sleep_millisecs", 20);
	setting("use_zero_pages", 1);
	if (khx) {
		setting("cpu_limit", 100);
		setting("profit_guard", 0);
	} else {
		setting("max_page_sharing", 65536);
	}
}

static void nap(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

static void await_figure(const char *name, long value)
{
	while (figure(name) < value)
		nap(5);
}

static void measure_first(void)
{
	long passes = figure("full_scans");
	uint64_t start = scanner_ns();

	setting("run", 1);
	await_figure("pages_sharing", PAGES / 2 - VALUES);
	printf("merge_cpu_ms %lu\n", (scanner_ns() - start) / 1000000);
	printf("merge_passes %ld\n", figure("full_scans") - passes);
}

static void measure_idle(void)
{
	uint64_t start;
	long passes;

	await_figure("full_scans", figure("full_scans") + 2);
	passes = figure("full_scans");
	start = scanner_ns();
	nap(8000);
	passes = figure("full_scans") - passes;
	printf("idle_cpu_us %lu\n", passes ?
	       (scanner_ns() - start) / 1000 / passes : 0);
}

static void measure_reaction(char *map)
{
	unsigned long i;
	long passes;

	setting("sleep_millisecs", 500);	/* or passes outrun us */
	for (i = 0; i < REACTED; i++)
		page_fill(map + 2 * i * PAGE, 900000);
	passes = figure("full_scans");
	await_figure("pages_sharing", PAGES / 2 - VALUES + REACTED - 1);
	printf("react_passes %ld\n", figure("full_scans") - passes);
}

static void measure_merge(void)
{
	char *map = memory(PAGES);
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE,
			  i % 2 ? 1 + i / 2 % VALUES : 1000000 + i);
	full_speed();
	measure_first();
	measure_idle();
	measure_reaction(map);
	setting("run", 0);
	munmap(map, PAGES * PAGE);
}

static void measure_thrash(void)
{
	char *map = memory(THRASHED);
	unsigned long i;
	long breaks = khx ? figure("cow_breaks") : 0;
	int second;

	full_speed();
	setting("run", 1);
	for (second = 0; second < THRASH_SECONDS; second++) {
		/* KSM does not count: what is merged now is broken now */
		if (!khx)
			breaks += figure("pages_sharing");
		for (i = 0; i < THRASHED; i++)
			page_fill(map + i * PAGE, 1 + second);
		nap(1000);
	}
	if (khx)
		breaks = figure("cow_breaks") - breaks;
	setting("run", 0);
	printf("breaks %ld\n", breaks);
	munmap(map, THRASHED * PAGE);
}

int main(int argc, char **argv)
{
	khx = argc > 1 && !strcmp(argv[1], "khx");
	sysfs = khx ? "/sys/kernel/khx_merge" : "/sys/kernel/mm/ksm";
	scanner = find_task(khx ? "khx_merged" : "ksmd");
	if (khx) {
		mkdir(DIR_KHX, 0700);
		if (mount("khxmem", DIR_KHX, "khxmem", 0, NULL))
			die("mount");
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	setting("run", 2);
	measure_merge();
	setting("run", 2);
	measure_thrash();
	setting("run", 2);
	if (khx)
		umount(DIR_KHX);
	return 0;
}
