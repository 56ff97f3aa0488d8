// SPDX-License-Identifier: GPL-2.0
/* What merges, what does not, what it saves, and what a write does to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/statfs.h>
#include <time.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define PAGES	4096UL
#define VALUES	1024UL

static uint64_t shared_value(unsigned long i)
{
	return 1 + i % VALUES;
}

static uint64_t same_value(unsigned long i)
{
	return 1 + i / PAGES;
}

static uint64_t own_value(unsigned long i)
{
	return 1 + i;
}

static uint64_t written_value(unsigned long i)
{
	return i % 2 ? 1 + i % VALUES : 1000000 + i;
}

static void fill(char *map, unsigned long pages, uint64_t (*value)(unsigned long))
{
	unsigned long i;

	for (i = 0; i < pages; i++)
		page_fill(map + i * PAGE, value(i));
}

/* Proportional share of memory of this process, in KiB. */
static void check_two_files(void)
{
	int a, b;
	char *ma, *mb;
	long before, after;

	khxmem_mount(NULL, NULL);
	a = khxmem_file(NULL, PAGES);
	b = khxmem_file(NULL, PAGES);
	ma = khxmem_map(a, PAGES);
	mb = khxmem_map(b, PAGES);
	fill(ma, PAGES, shared_value);
	fill(mb, PAGES, shared_value);
	before = smaps_kib("Pss");

	scan_fast();
	tap_ok(figure_reaches("pages_sharing", 2 * PAGES - VALUES, 30),
	       "equal pages of two files merge");
	tap_is(figure("pages_shared"), VALUES, "into one copy each");
	tap_is(pages_wrong(ma, PAGES, shared_value) +
	       pages_wrong(mb, PAGES, shared_value), 0, "and read as before");
	after = smaps_kib("Pss");
	tap_ok(before - after > (long)(2 * PAGES - VALUES) * 4 * 9 / 10,
	       "the process has less memory (PSS %ld to %ld KiB)", before, after);
	scan_stop();

	fill(ma, PAGES, written_value);
	tap_is(pages_wrong(ma, PAGES, written_value), 0, "writes are seen");
	tap_is(pages_wrong(mb, PAGES, shared_value), 0,
	       "and only where they were made");
	tap_ok(figure("cow_breaks") >= (long)PAGES, "they broke the sharing");

	tap_is(setting("run", 2), 0, "run=2 unmerges");
	tap_is(figure("pages_shared") + figure("pages_sharing"), 0, "everything");
	tap_is(pages_wrong(ma, PAGES, written_value) +
	       pages_wrong(mb, PAGES, shared_value), 0, "and changes nothing");
	munmap(ma, PAGES * PAGE);
	munmap(mb, PAGES * PAGE);
	close(a);
	close(b);
	tap_is(figure("pages_volatile") + figure("pages_unshared"), 0,
	       "closed files leave nothing");
	khxmem_umount(NULL);
}

static void check_reaction(void)
{
	int fd;
	char *map;
	long start;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	scan_fast();
	scan_passes(1);
	scan_stop();
	fill(map, PAGES, shared_value);
	start = figure("full_scans");
	setting("sleep_millisecs", 500);	/* or passes outrun us */
	setting("run", 1);
	tap_ok(figure_reaches("pages_sharing", PAGES - VALUES, 20) &&
	       figure("full_scans") - start <= 3,
	       "equal pages merge within two whole passes");
	scan_stop();
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

#define GROUP_PAGES 64UL

/* Pairs at @group of @map, which equal nothing else. */
static void fill_pairs(char *map, unsigned long group)
{
	unsigned long first = group * GROUP_PAGES, i;

	for (i = first; i < first + GROUP_PAGES; i++)
		page_fill(map + i * PAGE, 1000000 + i / 2);
}

/*
 * While as much is written as is merged, passes are further and further apart; they
 * come soon again for what stays.
 */
static void check_churn(void)
{
	double start, apart = 0;
	unsigned long pass, i;
	int fd;
	char *map;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	scan_fast();
	setting("sleep_millisecs", 20);
	for (pass = 0; pass < 30 && apart < 1.5; pass++) {
		start = seconds_now();
		fill_pairs(map, pass);
		/* By now those are merged. */
		for (i = 0; pass >= 4 && i < GROUP_PAGES; i++)
			page_fill(map + ((pass - 4) * GROUP_PAGES + i) * PAGE,
				  2000000 + pass * GROUP_PAGES + i);
		figure_must_reach("full_scans", figure("full_scans") + 1, 20);
		apart = seconds_now() - start;
	}
	/* At rest they are a second apart. */
	tap_ok(apart >= 1.5,
	       "passes come later while all is written again (%.1f s after %lu)",
	       apart, pass);
	fill(map + PAGES / 2 * PAGE, PAGES / 2, shared_value);
	tap_ok(figure_reaches("pages_sharing", PAGES / 2 - VALUES, 20),
	       "what stays is merged soon");
	scan_stop();
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

/* A page like all others of @base but for one word, which index @i chooses. */
static void alike_fill(char *page, uint64_t base, unsigned long i)
{
	page_fill(page, base);
	((uint64_t *)page)[i % WORDS]++;
}

/*
 * Whatever the scanner tells pages apart by, it has to find the one word that is
 * different, wherever that is; and the one page that is equal.
 */
static void check_alike(uint64_t base, const char *name)
{
	static char want[PAGE] __attribute__((aligned(8)));
	unsigned long i, wrong = 0;
	int fd;
	char *map;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 2 * WORDS);
	map = khxmem_map(fd, 2 * WORDS);
	for (i = 0; i < 2 * WORDS; i++)
		alike_fill(map + i * PAGE, base, i);
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", WORDS, 30),
	       "pages that differ in one word from %s find their equal", name);
	scan_passes(2);
	scan_stop();
	tap_is(figure("pages_sharing"), WORDS, "and no other page");
	for (i = 0; i < 2 * WORDS; i++) {
		alike_fill(want, base, i);
		wrong += !!memcmp(map + i * PAGE, want, PAGE);
	}
	tap_is(wrong, 0, "and read as before");
	munmap(map, 2 * WORDS * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

static uint64_t zero_value(unsigned long i)
{
	(void)i;
	return 0;
}

static void check_zero(void)
{
	struct statfs before, after;
	int fd;
	char *map;

	khxmem_mount(NULL, "size=64m");
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	statfs(KHXMEM_DIR, &before);
	fill(map, PAGES, zero_value);
	scan_fast();
	tap_ok(figure_reaches("zero_pages", PAGES, 20), "zero pages are given back");
	scan_stop();
	statfs(KHXMEM_DIR, &after);
	tap_is(after.f_bfree, before.f_bfree, "and take no room");
	tap_is(pages_wrong(map, PAGES, zero_value), 0, "they read as zeros");
	page_fill(map, 5);
	page_fill(map + PAGE, 6);
	tap_is(figure("zero_pages"), PAGES - 2, "a write takes them out");
	fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 10 * PAGE);
	tap_is(figure("zero_pages"), PAGES - 10, "and so does a hole");
	setting("use_zero_pages", 0);
	fill(map, PAGES, zero_value);
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", PAGES / 2, 40),
	       "without use_zero_pages they merge as others do");
	scan_stop();
	setting("use_zero_pages", 1);
	munmap(map, PAGES * PAGE);
	close(fd);
	tap_is(figure("zero_pages"), 0, "a closed file has none");
	khxmem_umount(NULL);
}

/* How many pages of two files, one in each mount, are saved. */
static long saved_between(const char *one, const char *two)
{
	int a, b;
	char *ma, *mb;
	long saved;

	khxmem_mount("-1", one);
	khxmem_mount("-2", two);
	a = khxmem_file("-1", VALUES);
	b = khxmem_file("-2", VALUES);
	ma = khxmem_map(a, VALUES);
	mb = khxmem_map(b, VALUES);
	fill(ma, VALUES, shared_value);
	fill(mb, VALUES, shared_value);
	scan_fast();
	scan_passes(4);
	saved = figure("pages_sharing");
	scan_stop();
	munmap(ma, VALUES * PAGE);
	munmap(mb, VALUES * PAGE);
	close(a);
	close(b);
	khxmem_umount("-2");
	khxmem_umount("-1");
	return saved;
}

static void check_domains(void)
{
	tap_is(saved_between(NULL, NULL), 0, "mounts do not merge with each other");
	tap_is(saved_between("domain=a", "domain=b"), 0, "nor do two domains");
	tap_is(saved_between("domain=a", "domain=a"), VALUES,
	       "mounts of one domain do");
	tap_is(saved_between("domain=a", "domain=a,nomerge"), 0,
	       "but not with a nomerge mount");
}

static void check_max_sharing(void)
{
	int fd, i;
	char *map;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 1000);
	map = khxmem_map(fd, 1000);
	for (i = 0; i < 1000; i++)
		page_fill(map + i * PAGE, 3);
	setting("max_page_sharing", 100);
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", 990, 20) &&
	       figure("pages_shared") == 10,
	       "a copy has at most max_page_sharing sharers");
	scan_stop();
	setting("max_page_sharing", 65536);
	munmap(map, 1000 * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

/* Who gives up frames by merging shall not know what comes to lie in them. */
static void check_frames(void)
{
	const unsigned long pairs = 64;
	int fd;
	uint64_t given[2 * pairs];
	unsigned long i, k, again = 0;
	char *map;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 2 * pairs);
	map = khxmem_map(fd, 2 * pairs);
	for (i = 0; i < 2 * pairs; i++) {
		page_fill(map + i * PAGE, 1 + i / 2);
		given[i] = frame_of(map + i * PAGE);
	}
	scan_fast();
	figure_must_reach("pages_sharing", pairs, 20);
	scan_stop();
	for (i = 0; i < 2 * pairs; i += 2) {
		uint64_t frame = frame_of(map + i * PAGE);

		for (k = 0; k < 2 * pairs; k++)
			again += frame == given[k];
	}
	tap_ok(given[0] && again < pairs / 4,
	       "few copies lie in frames just given up (%lu of %lu)", again,
	       pairs);
	munmap(map, 2 * pairs * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/*
 * Pages are written once a second: merging them again and again is no use. Nor is all
 * of it worth what the scanner takes, and there is time for the profit guard to see it.
 */
static void check_backoff(void)
{
	int fd, i, second;
	char *map;
	long breaks;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 256);
	map = khxmem_map(fd, 256);
	breaks = figure("cow_breaks");
	scan_fast();
	for (second = 0; second < 20; second++) {
		for (i = 0; i < 256; i++)
			page_fill(map + i * PAGE, 1 + second);
		sleep_ms(1000);
	}
	breaks = figure("cow_breaks") - breaks;
	tap_ok(breaks >= 256, "pages that are written again were merged first");
	tap_ok(breaks <= 3 * 256, "but not after each write (%ld breaks)", breaks);
	tap_ok(figure_reaches("pages_sharing", 255, 40),
	       "they merge when they are left alone");
	tap_ok(state_is("running"), "and without the guard nothing slows the scanner");
	scan_stop();
	munmap(map, 256 * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

/* Pages of @map that page tables map: those of khxmem are in no page cache. */
static unsigned long mapped(char *map, unsigned long pages)
{
	unsigned char vec[256];
	unsigned long i, n = 0;

	if (mincore(map, pages * PAGE, vec))
		tap_bail("mincore: %s", strerror(errno));
	for (i = 0; i < pages; i++)
		n += vec[i] & 1;
	return n;
}

static int scanner_state(void)
{
	FILE *file = popen("cut -d ' ' -f 3 /proc/$(pgrep -x khx_merged)/stat", "r");
	int state = file ? fgetc(file) : EOF;

	if (file)
		pclose(file);
	if (state == EOF)
		tap_bail("khx_merged is not there");
	return state;
}

/* With pauses of an hour: until it has done what it was woken for. */
static void scanner_rests(void)
{
	while (scanner_state() != 'S')
		;
}

/* Another setting wakes it for one pass. */
static void one_pass(unsigned int number)
{
	setting("pages_to_scan", 50000 + number);
	scanner_rests();
}

/* Who writes a merged page has had a fault for it: the next look is none, too. */
static void check_broken(void)
{
	unsigned long i;
	int fd;
	char *map;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 256);
	map = khxmem_map(fd, 256);
	for (i = 0; i < 256; i++)
		page_fill(map + i * PAGE, 1);
	scan_fast();
	figure_must_reach("pages_sharing", 255, 40);
	setting("sleep_millisecs", 3600000);
	scanner_rests();
	fill(map, 256, own_value);
	one_pass(1);
	tap_is(mapped(map, 256), 256, "merges that were broken stay mapped");
	one_pass(2);
	tap_is(mapped(map, 256), 0, "until they do not change");
	scan_stop();
	munmap(map, 256 * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

/* Each has a note of 32 bytes, 4 in a history, and 8 or more in a hash table. */
#define KEPT	(32 + 4 + 8)
/* Of a node that makes copies, but for those that it has at rest, too. */
#define FRAMES	((512 - 64) * PAGE)

static void check_metadata(void)
{
	long empty;
	int fd;
	char *map;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	empty = metadata_at_rest();
	fill(map, PAGES, same_value);
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", PAGES - 1, 20) &&
	       figure("metadata_bytes") >= empty + (long)FRAMES / 2,
	       "frames that lie ready for copies are counted");
	setting("sleep_millisecs", 1);
	tap_ok(figure_falls("metadata_bytes", empty + (long)FRAMES / 2, 20),
	       "and given back when there is nothing to merge");
	scan_stop();
	fill(map, PAGES, own_value);
	scan_fast();
	tap_ok(figure_reaches("pages_unshared", PAGES, 20) &&
	       figure_reaches("metadata_bytes", empty + KEPT * PAGES, 20),
	       "so is all that is kept of pages");
	scan_stop();
	munmap(map, PAGES * PAGE);
	close(fd);
	tap_ok(figure_falls("metadata_bytes", empty, 20),
	       "and goes with them");
	khxmem_umount(NULL);
}

static void check_quiet(void)
{
	int fd;
	char *map;
	unsigned long i;
	long looks;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, 1 + i);
	scan_fast();
	tap_ok(figure_reaches("pages_unshared", PAGES, 20),
	       "pages without an equal are found so");
	looks = figure("pages_scanned");
	scan_passes(5);
	tap_is(figure("pages_scanned"), looks, "and not hashed again");
	page_fill(map + 7 * PAGE, 8);
	page_fill(map + 9 * PAGE, 11);	/* as page 10 */
	tap_ok(figure_reaches("pages_sharing", 1, 20),
	       "until they are written: one that became equal merges");
	tap_ok(page_holds(map + 9 * PAGE, 11) && page_holds(map + 7 * PAGE, 8),
	       "with what was written");
	scan_stop();
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

static double read_all(const char *map, unsigned long pages)
{
	struct timespec a, b;
	volatile char sink;
	unsigned long i;

	clock_gettime(CLOCK_MONOTONIC, &a);
	for (i = 0; i < pages; i++)
		sink = map[i * PAGE];
	clock_gettime(CLOCK_MONOTONIC, &b);
	(void)sink;
	return (b.tv_sec - a.tv_sec) * 1e9 + b.tv_nsec - a.tv_nsec;
}

static uint64_t strict_value(unsigned long i)
{
	return i < 256 ? 1 + i / 2 : 0;
}

static uint64_t strict_next_value(unsigned long i)
{
	return strict_value(i + 1);
}

/* How long a merge is recent, and some. */
#define RECENT	70

static void check_strict_later(char *map)
{
	fill(map, 512, strict_value);
	scan_fast();
	figure_must_reach("pages_sharing", 128, 60);
	figure_must_reach("zero_pages", 256, 60);
	scan_stop();
	sleep(RECENT);
	read_all(map, 512);
	tap_is(figure("pages_sharing") + figure("zero_pages"), 128 + 256,
	       "but not one of more than a minute ago");
}

static void check_strict(void)
{
	bool slow = getenv("KHX_LONG");
	char page[PAGE];
	unsigned long i;
	char *map;
	int fd;

	khxmem_mount(NULL, "strict");
	fd = khxmem_file(NULL, 512);
	map = khxmem_map(fd, 512);
	for (i = 0; i < 512; i++)
		page_fill(map + i * PAGE, strict_value(i));
	scan_fast();
	figure_must_reach("pages_sharing", 128, 20);
	figure_must_reach("zero_pages", 256, 20);
	scan_stop();
	for (i = 0; i < 512; i++)
		if (pread(fd, page, PAGE, i * PAGE) != (ssize_t)PAGE ||
		    !page_holds(page, strict_value(i)))
			break;
	tap_is(i + figure("pages_sharing") + figure("zero_pages"), 512 + 128 + 256,
	       "read(2) on a strict mount breaks nothing");
	page_fill(map, 7);
	tap_ok(page_holds(map, 7) && figure("pages_sharing") == 127,
	       "a write breaks one merge");
	read_all(map, 512);
	tap_is(figure("pages_sharing") + figure("zero_pages"), 0,
	       "and a read of mapped memory a recent one");
	tap_is(pages_wrong(map + PAGE, 511, strict_next_value), 0, "changing nothing");
	if (slow)
		check_strict_later(map);
	munmap(map, 512 * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

/* What the log will have from now on. */
static int log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);

	if (log < 0 || lseek(log, 0, SEEK_END) < 0)
		tap_bail("/dev/kmsg: %s", strerror(errno));
	return log;
}

static bool log_has(int log, const char *text)
{
	char line[2048];
	bool found = false;
	ssize_t len;

	while (!found && (len = read(log, line, sizeof(line) - 1)) > 0) {
		line[len] = '\0';
		found = strstr(line, text);
	}
	return found;
}

/* What may not be, and what the log then says, as sysfs has no words for it. */
static const struct range {
	const char *name;
	long value;
	const char *range;
	int error;
} ranges[] = {
	{ "run", 3, "run: 0 to 2", -ERANGE },
	{ "pages_to_scan", 1048577, "pages_to_scan: 1 to 1048576", -ERANGE },
	{ "pages_to_scan", -1, "pages_to_scan: 1 to 1048576", -EINVAL },
	{ "sleep_millisecs", 3600001, "sleep_millisecs: 0 to 3600000", -ERANGE },
	{ "cpu_limit", 101, "cpu_limit: 1 to 100", -ERANGE },
	{ "max_page_sharing", 1048577, "max_page_sharing: 2 to 1048576", -ERANGE },
	{ "use_zero_pages", 2, "use_zero_pages: 0 or 1", -ERANGE },
	{ "merge_across_nodes", 2, "merge_across_nodes: 0 or 1", -ERANGE },
	{ "profit_guard", 2, "profit_guard: 0 or 1", -ERANGE },
};

#define N_RANGES (sizeof(ranges) / sizeof(*ranges))

static void check_range(const struct range *range)
{
	int log = log_open();
	long before = figure(range->name);

	tap_ok(setting(range->name, range->value) == range->error &&
	       figure(range->name) == before && log_has(log, range->range),
	       "%s=%ld is refused, and the log has the range", range->name,
	       range->value);
	close(log);
}

static void check_settings(void)
{
	unsigned int i;

	for (i = 0; i < N_RANGES; i++)
		check_range(&ranges[i]);
	tap_is(setting("cpu_limit", 0), -ERANGE, "cpu_limit=0 is refused");
	tap_is(setting("max_page_sharing", 1), -ERANGE,
	       "max_page_sharing=1 is refused");
	tap_is(setting("pages_to_scan", 0), -ERANGE, "pages_to_scan=0 is refused");
	tap_is(setting("merge_across_nodes", 0), 0, "merge_across_nodes=0");
	tap_is(saved_between("domain=a", "domain=a"), VALUES,
	       "pages of one node merge all the same");
	tap_is(setting("merge_across_nodes", 1), 0, "merge_across_nodes=1");
}

int main(void)
{
	bool slow = getenv("KHX_LONG");

	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(11 + 1 + 2 + 6 + 7 + 4 + 1 + 1 + 4 + 2 + 4 + 4 + 4 + slow + N_RANGES + 6);
	check_two_files();
	check_reaction();
	check_churn();
	check_alike(42, "all others");
	check_alike(0, "zeros");
	check_zero();
	check_domains();
	check_max_sharing();
	check_frames();
	check_backoff();
	check_broken();
	check_metadata();
	check_quiet();
	check_strict();
	check_settings();
	return tap_exit();
}
