// SPDX-License-Identifier: GPL-2.0
/*
 * Guests that end as soon as they have begun, several at a time: records die
 * while the worker is about to show them, and addresses and names are used again
 * at once. What goes wrong shows in the kernel log.
 */
#include <dirent.h>
#include <linux/kvm.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define PROCESSES	4
#define SECONDS		8
#define GUESTS		5	/* of each, however long it takes */

/* Returns how many guests there were, as an exit status. */
static int make_guests(time_t end)
{
	int guests = 0;
	struct guest g;

	while (time(NULL) < end || guests < GUESTS) {
		guest_create(&g);
		guest_do(&g, RUN_CPUID, 1, (struct kvm_regs) {});
		guest_destroy(&g);
		if (guests < 250)
			guests++;
	}
	return guests;
}

static int directories(void)
{
	DIR *dir = opendir(EXITS_DIR);
	struct dirent *entry;
	int nr = 0;

	while (dir && (entry = readdir(dir)))
		nr += entry->d_type == DT_DIR && entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return nr;
}

static bool all_gone(void)
{
	for (int i = 0; i < 1000 && directories(); i++)
		usleep(10000);
	return !directories();
}

/* The vCPU's file appears, or the test ends. */
static void test_shown(void)
{
	struct guest g;

	guest_create(&g);
	guest_do(&g, RUN_CPUID, 7, (struct kvm_regs) {});
	tap_is(exits_figure(&g, "exit_reason", reason(&g, "cpuid", "CPUID"), 0),
	       7, "one that stays is shown meanwhile");
	guest_destroy(&g);
}

int main(void)
{
	time_t end = time(NULL) + SECONDS;
	int status, failed = 0, guests = 0;

	guest_need();
	tap_plan(4);
	fflush(stdout);
	for (int i = 0; i < PROCESSES; i++)
		if (!fork())
			_exit(make_guests(end));
	sleep(2);
	test_shown();
	while (wait(&status) > 0) {
		failed += !WIFEXITED(status);
		guests += WEXITSTATUS(status);
	}
	tap_is(failed, 0, "every process ends by itself");
	tap_ok(guests >= GUESTS * PROCESSES, "%d guests came and went", guests);
	tap_ok(all_gone(), "their directories go");
	return tap_exit();
}
