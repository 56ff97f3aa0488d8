// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "hog.h"
#include "khxmem.h"
#include "tap.h"

#define HOG_NICE	-10	/* as much as ten others each */

/* The last one sleeps a bit: when it wakes up, it is taken for the more urgent. */
static void hog_run(bool sleeps, unsigned int seconds)
{
	static const struct timespec bit = { .tv_nsec = 1000000 };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_TIMERSLACK, 1);
	alarm(seconds);
	if (!run_on(0, 0) || setpriority(PRIO_PROCESS, 0, HOG_NICE))
		_exit(1);
	for (;;)
		if (sleeps)
			nanosleep(&bit, NULL);
}

bool hog_start(struct hog *hog, unsigned int seconds)
{
	int i;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return false;
	fflush(stdout);
	for (i = 0; i <= HOGS; i++) {
		hog->pids[i] = fork();
		if (hog->pids[i] < 0)
			tap_bail("fork: %s", strerror(errno));
		if (!hog->pids[i])
			hog_run(i == HOGS, seconds);
	}
	return true;
}

void hog_end(struct hog *hog)
{
	int i;

	for (i = 0; i <= HOGS; i++) {
		kill(hog->pids[i], SIGKILL);
		waitpid(hog->pids[i], NULL, 0);
	}
}

void hog_starve(pid_t tid)
{
	const struct sched_param none = { .sched_priority = 0 };

	if (!run_on(tid, 0) || sched_setscheduler(tid, SCHED_IDLE, &none))
		tap_bail("no least priority: %s", strerror(errno));
}
