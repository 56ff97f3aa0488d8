// SPDX-License-Identifier: GPL-2.0
/*
 * The profit guard slows a scanner that finds nothing, and lets it go again. It
 * says so, which `khx merge monitor` shows.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
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

static int fd;
static char *map;

static bool state_is(const char *wanted)
{
	char state[32] = "";
	FILE *file = fopen("/sys/kernel/khx_merge/state", "r");

	if (file) {
		fscanf(file, "%31s", state);
		fclose(file);
	}
	return !strcmp(state, wanted);
}

/* Keeps all pages changing, none equal to another, while the state is not that. */
static bool churn_until(const char *wanted, unsigned int seconds)
{
	static uint64_t value = 1;
	time_t end = time(NULL) + seconds;

	while (!state_is(wanted)) {
		unsigned long i;

		for (i = 0; i < PAGES; i++)
			*(uint64_t *)(map + i * PAGE) = value++;
		if (time(NULL) > end)
			return false;
	}
	return true;
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

/* There is a line for each pass, too: at most so many before the one wanted. */
static void check_event(FILE *events)
{
	char line[1024];
	int i;

	if (!events) {
		tap_skip("no khx", "the guard is an event");
		return;
	}
	for (i = 0; i < 1000 && fgets(line, sizeof(line), events); i++)
		if (strstr(line, "merge-guard") && strstr(line, "guarded"))
			break;
	tap_ok(strstr(line, "merge-guard"), "which is an event");
}

int main(void)
{
	FILE *events;
	pid_t pid;
	long looks;

	khxmem_mount(NULL, NULL);
	tap_plan(6);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	tap_ok(state_is("stopped"), "the scanner is stopped");
	events = monitor_start(&pid);
	scan_fast();
	setting("profit_guard", 1);
	tap_ok(churn_until("running", 1), "then running");
	tap_ok(churn_until("guarded", 60),
	       "slowed when it saves nothing for its time");
	check_event(events);
	looks = figure("pages_scanned");
	sleep(3);
	looks = figure("pages_scanned") - looks;
	tap_ok(looks < 100 * (long)PAGES, "it hardly scans then (%ld looks)", looks);
	setting("profit_guard", 0);
	tap_ok(churn_until("running", 60), "without the guard it goes on");
	scan_stop();
	if (events) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	setting("profit_guard", 1);
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
	return tap_exit();
}
