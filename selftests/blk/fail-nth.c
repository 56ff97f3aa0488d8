// SPDX-License-Identifier: GPL-2.0
/*
 * fail-nth PATH RUNS: the kernel lets one allocation, or one copy of user memory,
 * fail, and another one in the next run: all that there are in a run where none
 * does, or RUNS of them, as far apart from each other as can be and from time to
 * time others. First those of the owner, from opening the device to closing it;
 * then those of the worker, in serving two requests.
 *
 * Nothing of it may harm the host: the kernel's log and its scan for leaks say
 * whether it did. Whatever was refused or stopped, has to work the next time.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define NEVER	1000000	/* more than there are in a run */
#define SIZE	32768

/*
 * What the kernel counts. A kind cannot be counted alone: copies of user memory are
 * always.
 */
enum kinds { COPIES = 0, OBJECTS = 1, PAGES = 2 };

/* Requests at a time: data that is pinned, and data that has to be copied. */
#define REQUESTS	2

enum { GOES_ON = 0, REFUSED = 1, NOTHING_FAILED = 2, STUCK = 3 };

static const char *path;
static unsigned int runs_max;

/* What a run has not counted down. */
static unsigned int *left;

static void write_number(const char *file, unsigned int n)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || dprintf(fd, "%u", n) < 0)
		tap_bail("%s", file);
	close(fd);
}

/* What is left to be counted down, 0: it has come to pass. */
static unsigned int read_number(const char *file)
{
	char text[16] = "";
	int fd = open(file, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		tap_bail("%s", file);
	close(fd);
	return atoi(text);
}

static void set_up(const char *kind, const char *setting, unsigned int value)
{
	char file[128];

	snprintf(file, sizeof(file), "/sys/kernel/debug/%s/%s", kind, setting);
	write_number(file, value);
}

/* Only what our tasks do is to fail, silently, whether it could wait or not. */
static void set_up_faults(void)
{
	static const char *const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	unsigned int i;

	for (i = 0; i < 3; i++)
		set_up(kinds[i], "verbose", 0);
	set_up("failslab", "ignore-gfp-wait", 0);
	set_up("fail_page_alloc", "ignore-gfp-wait", 0);
	/* Nor those of user memory are spared. */
	set_up("fail_page_alloc", "ignore-gfp-highmem", 0);
}

static void set_kinds(unsigned int kinds)
{
	/* Only of caches that somebody has named, and nobody has. */
	set_up("failslab", "cache-filter", !(kinds & OBJECTS));
	/* Only those of more than there is memory. */
	set_up("fail_page_alloc", "min-order", kinds & PAGES ? 0 : 30);
}

static int do_flush(struct disk *disk)
{
	return disk_rw(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
}

static int run_owner(unsigned int n)
{
	struct disk_options options = {};
	const char *file = "/proc/thread-self/fail-nth";
	struct disk disk;

	write_number(file, n);
	disk_open(&disk, path, &options);
	if (do_flush(&disk))
		return STUCK;
	disk_halt(&disk);
	close(disk.fd);
	*left = read_number(file);
	return *left ? NOTHING_FAILED : GOES_ON;
}

static bool is_done(struct disk *disk, const struct disk_request *reqs, int ms)
{
	while (!reqs[0].done || !reqs[1].done)
		if (!disk_reap(disk, 0, ms))
			return false;
	return true;
}

/*
 * Requests with an injected fault; then the ring anew. Where not even a status could
 * be written the queue has stopped for good, and said so.
 */
static int do_faulty(struct disk *disk, unsigned int n)
{
	struct disk_request reqs[REQUESTS] = {
		{ .data = disk->memory + DISK_DATA },
		/* Nor is the table with its pieces in the ring. */
		{ .data = disk->memory + DISK_DATA + SIZE + 1, .cut = SIZE / 8,
		  .indirect = true },
	};
	char file[64];
	unsigned int i;
	bool failed;

	snprintf(file, sizeof(file), "/proc/%d/fail-nth", disk_worker(disk));
	for (i = 0; i < REQUESTS; i++) {
		reqs[i].type = VIRTIO_BLK_T_IN;
		reqs[i].len = SIZE;
		if (disk_submit(disk, 0, &reqs[i]))
			return STUCK;
	}
	write_number(file, n);
	disk_kick(disk, 0);
	is_done(disk, reqs, 300);
	*left = read_number(file);
	write_number(file, 0);
	if (*left)
		return *reqs[0].status || *reqs[1].status ? STUCK :
							    NOTHING_FAILED;

	disk_halt(disk);
	disk_run(disk);
	disk_kick(disk, 0);
	failed = disk_has_failed(disk, 0, 0);
	if (!is_done(disk, reqs, failed ? 300 : 20000) && !failed)
		return STUCK;
	return failed || *reqs[0].status || *reqs[1].status ? REFUSED : GOES_ON;
}

/* And another disk on another ring. */
static int run_worker(unsigned int n)
{
	struct disk_options options = {};
	struct disk disk;
	int ret;

	disk_open(&disk, path, &options);
	ret = do_faulty(&disk, n);
	disk_close(&disk);
	if (ret == STUCK)
		return ret;
	disk_open(&disk, path, &options);
	if (do_flush(&disk))
		return STUCK;
	disk_close(&disk);
	return ret;
}

static int run_child(int (*run)(unsigned int n), unsigned int n)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		/* What it has to say when it gives up is no result of ours. */
		if (!freopen("/dev/null", "w", stdout))
			_exit(STUCK);
		_exit(run(n));
	}
	if (waitpid(pid, &status, 0) != pid)
		tap_bail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static unsigned int count_places(int (*run)(unsigned int n), unsigned int kinds)
{
	set_kinds(kinds);
	if (run_child(run, NEVER) != NOTHING_FAILED)
		tap_bail("a run in which nothing fails does");
	return NEVER - *left;
}

/* Of each kind there are some, or it is not the one at work where they are counted. */
static void test_kinds(const char *who, int (*run)(unsigned int n))
{
	unsigned int copies = count_places(run, COPIES);
	unsigned int objects = count_places(run, OBJECTS);
	unsigned int pages = count_places(run, PAGES);

	tap_diag("%s: %u copies, with objects %u, with pages %u", who, copies,
		 objects, pages);
	tap_ok(copies, "%s: copies of user memory can fail", who);
	tap_ok(objects > copies, "%s: so can allocations of objects", who);
	tap_ok(pages > copies, "%s: and of pages", who);
}

/* Returns how many were told to whoever asked. */
static unsigned int test_places(const char *who, int (*run)(unsigned int n))
{
	unsigned int places = count_places(run, OBJECTS | PAGES);
	unsigned int n, tried = 0, refused = 0, strange = 0, nothing = 0;
	unsigned int step = 1 + places / runs_max;
	int ret;

	for (n = 1 + rand() % step; n <= places; n += step) {
		tried++;
		ret = run_child(run, n);
		refused += ret == REFUSED;
		nothing += ret == NOTHING_FAILED;
		if (ret == STUCK || ret < 0) {
			tap_diag("%s, %u: %d", who, n, ret);
			strange++;
		}
	}
	tap_diag("%s: %u of %u places, %u refused, %u not met", who, tried,
		 places, refused, nothing);
	/* A run may take a way that is shorter than that of the one counted. */
	tap_ok(2 * nothing < tried, "%s: most of the places tried are met", who);
	tap_is(strange, 0, "%s: fails or goes on, and nothing else", who);
	return refused;
}

int main(int argc, char **argv)
{
	if (argc != 3)
		tap_bail("usage: fail-nth PATH RUNS");
	path = argv[1];
	runs_max = atoi(argv[2]);
	if (access("/proc/self/fail-nth", W_OK))
		tap_skip_all("this kernel injects no faults");
	left = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (left == MAP_FAILED)
		tap_bail("no memory");
	srand(time(NULL));
	set_up_faults();
	tap_plan(12);
	test_kinds("owner", run_owner);
	test_places("owner", run_owner);
	test_kinds("worker", run_worker);
	tap_ok(test_places("worker", run_worker), "and some of that is told");
	tap_is(run_owner(0), GOES_ON, "a disk works as ever");
	return tap_exit();
}
