// SPDX-License-Identifier: GPL-2.0
/*
 * A worker belongs to its owner's cgroup: its CPU time is counted there and
 * obeys the limit that is set there, and it does not outlive the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "netlib.h"

#define ROOT		"/sys/fs/cgroup"
#define GROUP		ROOT "/khx-owner"
#define NUM		256
#define LEN		1000
#define STRIDE		2048
#define FEATURES	(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_EVENT_IDX))

/* A fifth of one CPU, and what a measurement may show of it. */
#define LIMIT		"20000 100000"
#define LIMIT_SEEN	0.3

/**
 * struct usage - times, in seconds
 * @wall: of the clock
 * @group: CPU time of the cgroup
 * @own: of this thread
 * @worker: of the device's worker
 * @throttled: periods in which the limit was reached
 */
struct usage {
	double wall;
	double group;
	double own;
	double worker;
	long throttled;
};

static bool put_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok;

	if (fd < 0)
		return false;
	ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
	close(fd);
	return ok;
}

static bool join(const char *group)
{
	char path[128], pid[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(pid, sizeof(pid), "%d", getpid());
	return put_file(path, pid);
}

static long cpu_stat(const char *name)
{
	FILE *file = fopen(GROUP "/cpu.stat", "r");
	char key[64];
	long value;

	if (!file)
		tap_bail("cpu.stat: %s", strerror(errno));
	while (fscanf(file, "%63s %ld", key, &value) == 2)
		if (!strcmp(key, name)) {
			fclose(file);
			return value;
		}
	fclose(file);
	return 0;
}

static double seconds(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static struct usage usage_now(struct net *net)
{
	return (struct usage) {
		.wall = seconds(CLOCK_MONOTONIC),
		.group = cpu_stat("usage_usec") / 1e6,
		.own = seconds(CLOCK_THREAD_CPUTIME_ID),
		.worker = net_worker_ns(net) / 1e9,
		.throttled = cpu_stat("nr_throttled"),
	};
}

static void offer(struct net *net, char *buffer)
{
	struct vring_buf buf = {
		.addr = vdev_gpa(&net->dev, buffer),
		.len = net->hdr_len + LEN,
	};
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };

	if (vring_add(&net->dev.queues[NET_TX].ring, &chain, buffer))
		tap_bail("the ring has no room");
}

/*
 * Transmit for so long, with a ring that is full all the time: nearly all the
 * work is the worker's. Returns what that cost.
 */
static struct usage flood(struct net *net, char *buffers, double wall)
{
	struct vdev_queue *queue = &net->dev.queues[NET_TX];
	struct usage start = usage_now(net), end;
	unsigned int i;
	void *buffer;
	uint32_t len;

	for (i = 0; i < NUM; i++)
		offer(net, buffers + i * STRIDE);
	vdev_publish(queue);
	while (seconds(CLOCK_MONOTONIC) - start.wall < wall) {
		for (i = 0; i < NUM / 2; i++) {
			if (!vdev_get(queue, &buffer, &len, NET_TIMEOUT_MS))
				tap_bail("the device does not answer");
			offer(net, buffer);
		}
		vdev_publish(queue);
	}
	for (i = 0; i < NUM; i++)
		vdev_get(queue, &buffer, &len, NET_TIMEOUT_MS);

	end = usage_now(net);
	return (struct usage) {
		.wall = end.wall - start.wall,
		.group = end.group - start.group,
		.own = end.own - start.own,
		.worker = end.worker - start.worker,
		.throttled = end.throttled - start.throttled,
	};
}

static void show(const struct usage *usage)
{
	tap_diag("in %.2f s: group %.2f s, worker %.2f s, owner %.2f s, throttled %ld times",
		 usage->wall, usage->group, usage->worker, usage->own,
		 usage->throttled);
}

static void test_counted(struct net *net, char *buffers)
{
	struct usage usage = flood(net, buffers, 2);
	double all = usage.worker + usage.own;

	show(&usage);
	tap_ok(usage.worker > all / 4, "the worker has work");
	tap_ok(usage.group > 0.9 * all,
	       "the worker's CPU time is counted in its owner's cgroup");
}

static void test_limited(struct net *net, char *buffers)
{
	struct usage usage;

	if (!put_file(GROUP "/cpu.max", LIMIT)) {
		tap_skip("no cpu.max", "the worker obeys cpu.max");
		return;
	}
	usage = flood(net, buffers, 3);
	show(&usage);
	tap_ok(usage.throttled &&
	       usage.worker + usage.own < LIMIT_SEEN * usage.wall,
	       "the worker obeys cpu.max");
	put_file(GROUP "/cpu.max", "max");
}

static bool group_removed(void)
{
	int i;

	/* A thread that has ended leaves its cgroup a moment later. */
	for (i = 0; i < 50; i++) {
		if (!rmdir(GROUP))
			return true;
		usleep(100000);
	}
	return false;
}

int main(void)
{
	struct net net;
	char *buffers;

	net_require();
	if (mkdir(GROUP, 0755) || access(GROUP "/cpu.stat", R_OK) ||
	    access(GROUP "/cgroup.procs", W_OK))
		tap_skip_all("no cgroup v2 at " ROOT);
	tap_plan(4);
	if (!join(GROUP))
		tap_bail("cannot join " GROUP ": %s", strerror(errno));
	net_open(&net, FEATURES, NUM);
	buffers = vdev_alloc(&net.dev, NUM * STRIDE);

	test_counted(&net, buffers);
	test_limited(&net, buffers);
	net_close(&net);
	join(ROOT);
	tap_ok(group_removed(), "nothing is left in the cgroup after close");
	return tap_exit();
}
