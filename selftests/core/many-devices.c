// SPDX-License-Identifier: GPL-2.0
/*
 * A thousand devices: a dump has all of them and their queues, each once, and
 * takes less than a second; one that is disturbed says so.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "tap.h"

#define DEVICE	"/dev/khx-net"
#define DEVICES	1000
#define QUEUES	2

static int fds[DEVICES];

struct seen {
	unsigned int n;
	uint32_t last;
	bool ascending;
	bool disturb;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int count_cb(const struct nlmsghdr *nlh, void *data)
{
	struct seen *seen = data;
	uint32_t dev = mnl_attr_get_u32(ctl_attr(nlh, KHX_A_DEV_ID));

	if (dev < seen->last)
		seen->ascending = false;
	seen->last = dev;
	/* Half-way, from within: the dump cannot be over yet. */
	if (++seen->n == 5 && seen->disturb) {
		close(fds[0]);
		fds[0] = -1;
	}
	return MNL_CB_OK;
}

static double dump(struct ctl *ctl, uint8_t cmd, struct seen *seen)
{
	double start = now();

	seen->ascending = true;
	if (ctl_run(ctl, ctl_request(ctl, cmd, NLM_F_DUMP), count_cb, seen))
		tap_diag("dump: %s", ctl->extack);
	return now() - start;
}

static void test_dump(struct ctl *ctl, uint8_t cmd, unsigned int wanted,
		      const char *what)
{
	struct seen seen = { };
	double seconds = dump(ctl, cmd, &seen), again;
	int i;

	/* The shortest, as a machine may stand still. */
	for (i = 0; i < 4; i++) {
		struct seen same = { };

		again = dump(ctl, cmd, &same);
		seconds = again < seconds ? again : seconds;
	}
	tap_is(seen.n, wanted, "a dump has all %s", what);
	tap_ok(seen.ascending, "%s come in order", what);
	tap_ok(!ctl->interrupted, "%s: the dump is consistent", what);
	tap_ok(seconds < 1, "%s: the dump takes less than a second", what);
	tap_diag("%.3f s", seconds);
}

static void open_all(void)
{
	struct rlimit limit = { DEVICES + 64, DEVICES + 64 };
	unsigned int i;

	setrlimit(RLIMIT_NOFILE, &limit);
	for (i = 0; i < DEVICES; i++) {
		fds[i] = open(DEVICE, O_RDWR);
		if (fds[i] < 0 && !i)
			tap_skip_all("%s: %s", DEVICE, strerror(errno));
		if (fds[i] < 0)
			tap_bail("device %u: %s", i, strerror(errno));
	}
}

int main(void)
{
	struct seen seen = { .disturb = true };
	unsigned int i;
	struct ctl ctl;

	open_all();
	tap_plan(10);
	ctl_open(&ctl);
	test_dump(&ctl, KHX_CMD_DEV_GET, DEVICES, "devices");
	test_dump(&ctl, KHX_CMD_QUEUE_GET, DEVICES * QUEUES, "queues");

	dump(&ctl, KHX_CMD_DEV_GET, &seen);
	tap_ok(ctl.interrupted, "a disturbed dump says so");

	for (i = 0; i < DEVICES; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	seen = (struct seen){ };
	dump(&ctl, KHX_CMD_DEV_GET, &seen);
	tap_is(seen.n, 0, "none are left");
	ctl_close(&ctl);
	return tap_exit();
}
