// SPDX-License-Identifier: GPL-2.0
/*
 * Figures hold together while a guest exits as fast as it can, whenever they are
 * read, reset, or counting is stopped and started.
 */
#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define ROUNDS		200
#define EXITS		500	/* between two looks at whether it is enough */
#define PORT_ROW	"0x3f8/1 out"

static atomic_bool enough;

/* OUT to one port, over and over; ends with a HLT. */
static void run_once(struct guest *g)
{
	guest_do(g, RUN_OUTB, EXITS, (struct kvm_regs) { .rdx = 0x3f8 });
}

static void *run(void *guest)
{
	while (!atomic_load(&enough))
		run_once(guest);
	return NULL;
}

static pthread_t start(struct guest *g)
{
	pthread_t thread;

	atomic_store(&enough, false);
	pthread_create(&thread, NULL, run, g);
	return thread;
}

static void stop(pthread_t thread)
{
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
}

static const char *io(struct guest *g)
{
	return reason(g, "io", "IO_INSTRUCTION");
}

/* There is one port: others are what a row lacks of its table's total. */
static bool is_torn(struct guest *g)
{
	long long others = exits_figure(g, "ioport", "other any", 0);
	long long time = exits_figure(g, "ioport", "other any", 2);

	if (others || time)
		tap_diag("others %lld, their time %lld", others, time);
	return others || time;
}

/* The guest stands still: what the files say must be the same. */
static void test_sums(struct guest *g, long long untimed)
{
	long long count = exits_figure(g, "exit_reason", io(g), 0);
	long long timed = exits_sum(g, "histogram", 1);
	long long all = exits_sum(g, "exit_reason", 0);

	tap_is(exits_figure(g, "ioport", PORT_ROW, 0), count,
	       "all I/O exits are of that port");
	tap_is(exits_figure(g, "ioport", PORT_ROW, 2),
	       exits_figure(g, "exit_reason", io(g), 1), "so is their time");
	/* The last one of all, a HLT, has had no entry yet. */
	tap_ok(all - timed >= 1 && all - timed <= 1 + untimed,
	       "%lld exits, %lld of them timed", all, timed);
}

static void test_reset(struct guest *g)
{
	pthread_t thread = start(g);
	int torn = 0;

	for (int i = 0; i < ROUNDS; i++) {
		usleep(rand() % 3000);
		torn += is_torn(g);
		exits_reset();
	}
	stop(thread);
	tap_is(torn, 0, "no reading of %d was torn", ROUNDS);
	test_sums(g, 0);
}

/* Only the last exit that was seen may have an entry that was not. */
static void test_enable(struct guest *g)
{
	pthread_t thread;

	exits_enable(false);
	exits_reset();
	thread = start(g);
	for (int i = 0; i < ROUNDS / 2; i++) {
		exits_enable(true);
		usleep(rand() % 3000);
		exits_enable(false);
		usleep(rand() % 3000);
	}
	stop(thread);
	exits_enable(true);
	/* So that its last HLT is seen, and waits for an entry. */
	run_once(g);
	test_sums(g, ROUNDS / 2);
}

int main(void)
{
	struct guest g;

	guest_begin(&g);
	tap_plan(7);
	test_reset(&g);
	test_enable(&g);
	guest_destroy(&g);
	return tap_exit();
}
