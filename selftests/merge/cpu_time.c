// SPDX-License-Identifier: GPL-2.0
/*
 * What the scanner takes of a CPU while all that it looks at keeps changing: what
 * cpu_limit says, and next to nothing when the profit guard slows it, as it finds
 * nothing, or less than that costs. It says so, which `khx merge monitor` shows. And
 * the guard waits until there could be something. With KHX_LONG=1 also that it lets go.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define PAGES 2048UL
#define SECONDS 3

static int fd;
static char *map;
static unsigned long pages = PAGES;	/* that change */
static atomic_bool stop;

static bool state_becomes(const char *wanted, unsigned int seconds)
{
	double end = seconds_now() + seconds;

	while (!state_is(wanted)) {
		if (seconds_now() > end)
			return false;
		usleep(2000);
	}
	return true;
}

/* Keeps all pages changing, none equal to another. */
static void *churn_thread(void *arg)
{
	uint64_t value = 1;
	unsigned long i;

	(void)arg;
	while (!stop)
		for (i = 0; i < pages; i++)
			*(uint64_t *)(map + i * PAGE) = value++;
	return NULL;
}

/*
 * What it takes of a CPU, on average. A round amid which the machine stood still has
 * taken long, and it rests for that: so until the average is between these, but who
 * is never there does not get there in a minute.
 */
static double share(double least, double most)
{
	double start = seconds_now(), seconds, share;
	long before = figure("cpu_ns");

	do {
		sleep(SECONDS);
		seconds = seconds_now() - start;
		share = (figure("cpu_ns") - before) / 1e9 / seconds;
	} while ((share <= least || share >= most) && seconds < 60);
	return share;
}

/* From a whole pass on. */
static double share_of(long limit, double least, double most)
{
	setting("cpu_limit", limit);
	scan_passes(1);
	return share(least, most);
}

static void check_limit(void)
{
	double limited = share_of(10, 0.01, 0.12);
	double free = share_of(100, 3 * limited, 2);

	tap_ok(limited > 0.01 && limited < 0.12,
	       "cpu_limit=10 is a tenth of a CPU (%.3f)", limited);
	tap_ok(free > 3 * limited, "cpu_limit=100 is far more (%.3f)", free);
}

/* Its lines can be read from the file; NULL where there is no khx. */
static FILE *monitor_start(pid_t *pid)
{
	int pipes[2];

	if (system("PATH=$PATH:../../build/tools khx help > /dev/null 2>&1") ||
	    pipe(pipes))
		return NULL;
	*pid = fork();
	if (!*pid) {
		dup2(pipes[1], 1);
		execl("/bin/sh", "sh", "-c", "PATH=$PATH:../../build/tools;"
		      "exec khx -j merge monitor", NULL);
		_exit(1);
	}
	close(pipes[1]);
	return fdopen(pipes[0], "r");
}

/* There is a line for each pass, too. */
static bool guard_is_heard(FILE *events, unsigned int seconds)
{
	double end = seconds_now() + seconds;
	char line[1024];

	while (seconds_now() < end && fgets(line, sizeof(line), events))
		if (strstr(line, "merge-guard") && strstr(line, "guarded"))
			return true;
	return false;
}

static void check_guard(void)
{
	static const char *const heard = "when it saves nothing, an event says so";
	double guarded;
	FILE *events;
	pid_t pid;

	events = monitor_start(&pid);
	setting("profit_guard", 1);
	if (events)
		tap_ok(guard_is_heard(events, 60), heard);
	else
		tap_skip("no khx", heard);
	tap_ok(state_becomes("guarded", 60), "it is slowed");
	guarded = share(-1, 0.1);
	tap_ok(guarded < 0.1, "and hardly does anything (%.3f of a CPU)", guarded);
	setting("pages_to_scan", 255);
	tap_ok(state_becomes("running", 60),
	       "with other settings it may try again");
	if (events) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

#define SAVING	4096UL	/* pages, worth 200 ms of each window: a hundredth of a CPU */

/* More is saved than is kept, but each window costs more than that is worth. */
static void check_price(void)
{
	int saving = khxmem_file(NULL, SAVING);
	char *equal = khxmem_map(saving, SAVING);
	unsigned long i;

	for (i = 0; i < SAVING; i++)
		page_fill(equal + i * PAGE, 1);
	setting("profit_guard", 0);
	figure_must_reach("pages_sharing", SAVING - 1, 60);
	setting("profit_guard", 1);
	tap_ok(state_becomes("guarded", 60) && figure("general_profit") > 0,
	       "what saves too little for its CPU time is slowed, too");
	setting("profit_guard", 0);
	tap_ok(state_becomes("running", 60), "but not without the guard");
	munmap(equal, SAVING * PAGE);
	close(saving);
}

#define HUGE_PAGES	(8 * 512UL)

static char *huge_map(int *huge_fd)
{
	unsigned long i;
	char *huge;

	*huge_fd = khxmem_file("-huge", HUGE_PAGES);
	huge = khxmem_map(*huge_fd, HUGE_PAGES);
	for (i = 0; i < HUGE_PAGES; i++)
		page_fill(huge + i * PAGE, 1 + i);
	return huge;
}

/*
 * Of two guests on 2 MiB pages nothing merges in the first eight passes, here 20 s:
 * each of those pages is looked at in every eighth, twice, and then split.
 */
static void check_huge(void)
{
	int fds[2];
	char *maps[2];
	int i;

	khxmem_mount("-huge", "huge=always");
	for (i = 0; i < 2; i++)
		maps[i] = huge_map(&fds[i]);
	if (figure("huge_pages") != 16)
		tap_bail("no pages of 2 MiB");
	scan_fast();
	setting("sleep_millisecs", 2500);
	setting("profit_guard", 1);
	for (i = 0; i < 1200 && !state_is("guarded") &&
	     !figure("pages_sharing"); i++)
		usleep(100000);
	tap_ok(figure("pages_sharing") && !state_is("guarded"),
	       "pages of 2 MiB get their time to be split");
	scan_stop();
	for (i = 0; i < 2; i++) {
		munmap(maps[i], HUGE_PAGES * PAGE);
		close(fds[i]);
	}
	khxmem_umount("-huge");
}

#define MANY	32768UL
#define EQUAL	8192UL

/* What is saved is less than what all that changes costs, and more than what rest does. */
static void check_rest(void)
{
	pthread_t churner;
	unsigned long i;
	char *equal;

	pages = MANY;
	fd = khxmem_file(NULL, MANY + EQUAL);
	map = khxmem_map(fd, MANY + EQUAL);
	equal = map + MANY * PAGE;
	for (i = 0; i < EQUAL; i++)
		page_fill(equal + i * PAGE, 1);
	stop = false;
	pthread_create(&churner, NULL, churn_thread, NULL);
	scan_fast();
	setting("sleep_millisecs", 20);
	setting("profit_guard", 1);
	tap_ok(state_becomes("guarded", 60) && figure("pages_sharing"),
	       "what saves too little for what it costs is slowed");
	stop = true;
	pthread_join(churner, NULL);
	tap_ok(state_becomes("running", 120),
	       "and is not any more when it costs less");
	scan_stop();
	munmap(map, (MANY + EQUAL) * PAGE);
	close(fd);
}

int main(void)
{
	pthread_t churner;
	bool slow = getenv("KHX_LONG");

	khxmem_mount(NULL, NULL);
	tap_plan(2 + 2 + 4 + 2 + 1 + 2 * slow);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	tap_ok(state_is("stopped"), "the scanner is stopped");
	pthread_create(&churner, NULL, churn_thread, NULL);
	scan_fast();
	/* Or it works for long, and then rests for very long. */
	setting("pages_to_scan", 256);
	tap_ok(state_becomes("running", 60), "then running");
	check_limit();
	check_guard();
	check_price();
	scan_stop();
	stop = true;
	pthread_join(churner, NULL);
	munmap(map, PAGES * PAGE);
	close(fd);
	check_huge();
	if (slow)
		check_rest();
	khxmem_umount(NULL);
	return tap_exit();
}
