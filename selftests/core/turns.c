// SPDX-License-Identifier: GPL-2.0
/*
 * Two transmit queues that one worker serves, both full: they take turns, and a
 * turn is as many packets, or bytes, as the weight says. The trace events of
 * their batches tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ctl.h"
#include "netlib.h"

#define NUM		1024
#define SMALL		60
#define LARGE		3900
#define HEADER		12
#define TRACING		"/sys/kernel/tracing/"

static struct net nets[2];
static uint32_t devs[2];
static char *buffers[2];

static bool trace_write(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_TRUNC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	if (fd >= 0)
		close(fd);
	return ok;
}

/* One worker for both, which runs where we do. */
static void share(struct ctl *ctl, uint32_t dev)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_CMD_WORKER_SET, 0);

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	mnl_attr_put_u32(nlh, KHX_A_MODE, KHX_MODE_SHARED);
	mnl_attr_put_u32(nlh, KHX_A_WORKERS, 1);
	mnl_attr_put_strz(nlh, KHX_A_CPUS, "0");
	if (ctl_run(ctl, nlh, NULL, NULL))
		tap_bail("the worker is not shared: %s", ctl->extack);
}

static void set_weight(struct ctl *ctl, uint32_t dev, uint32_t weight)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_CMD_WORKER_SET, 0);

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	mnl_attr_put_u32(nlh, KHX_A_WEIGHT, weight);
	if (ctl_run(ctl, nlh, NULL, NULL))
		tap_bail("weight: %s", ctl->extack);
}

/* All of a ring, always the same packet; the device does not see it yet. */
static void fill(unsigned int i, unsigned int len)
{
	struct vdev_queue *tx = &nets[i].dev.queues[NET_TX];
	struct vring_buf buf = {
		.addr = vdev_gpa(&nets[i].dev, buffers[i]),
		.len = HEADER + len,
	};
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	unsigned int k;

	net_frame_fill(buffers[i] + HEADER, len, 1);
	for (k = 0; k < NUM; k++)
		vring_add(&tx->ring, &chain, NULL);
}

static void publish(unsigned int i)
{
	struct vdev_queue *tx = &nets[i].dev.queues[NET_TX];

	vring_publish(&tx->ring);
	eventfd_write(tx->kick, 1);
}

static bool drain(unsigned int i)
{
	unsigned int n = 0;
	void *cookie;
	uint32_t len;

	while (n < NUM && vdev_get(&nets[i].dev.queues[NET_TX], &cookie, &len,
				   NET_TIMEOUT_MS))
		n++;
	return n == NUM;
}

/*
 * Was each turn as long as it should be? What one had before the other was there,
 * or after it, does not count.
 */
static bool turns_are(const unsigned int *wanted)
{
	FILE *file = fopen(TRACING "trace", "r");
	unsigned int dev, chains, done[2] = {}, run = 0, turns = 0;
	int now = -1, i;
	char line[512], *at;
	bool ok = file;

	while (ok && fgets(line, sizeof(line), file)) {
		at = strstr(line, "khx_batch: ");
		if (!at || sscanf(at, "khx_batch: dev=%u queue=1 chains=%u",
				  &dev, &chains) != 2)
			continue;
		i = dev == devs[1];
		if (i != now && now >= 0) {
			/* Over, with something left of both. */
			if (done[i] && done[i] < NUM && done[now] < NUM) {
				turns++;
				ok = run == wanted[now];
			}
			if (!ok)
				tap_diag("queue %d: a turn of %u", now, run);
			run = 0;
		}
		now = i;
		run += chains;
		done[i] += chains;
	}
	if (file)
		fclose(file);
	if (turns < 2)
		tap_diag("%u turns: too few to tell", turns);
	return ok && turns >= 2;
}

/* While we do not sleep, the worker does not run. */
static void keep_out(bool on)
{
	struct sched_param param = { .sched_priority = on };

	if (sched_setscheduler(0, on ? SCHED_FIFO : SCHED_OTHER, &param))
		tap_bail("scheduling: %s", strerror(errno));
}

static bool takes_turns(unsigned int len, unsigned int first,
			unsigned int second)
{
	unsigned int i;

	/* It may still look for more of what went before. */
	usleep(100000);
	for (i = 0; i < 2; i++)
		fill(i, len);
	keep_out(true);
	trace_write(TRACING "trace", "");
	for (i = 0; i < 2; i++)
		publish(i);
	keep_out(false);
	return drain(0) && drain(1) &&
	       turns_are((unsigned int[]) { first, second });
}

int main(void)
{
	cpu_set_t cpu = {};
	struct ctl ctl;
	unsigned int i;

	net_require();
	CPU_SET(0, &cpu);
	if (sched_setaffinity(0, sizeof(cpu), &cpu))
		tap_bail("CPU 0: %s", strerror(errno));
	if (!trace_write(TRACING "events/khx/khx_batch/enable", "1"))
		tap_skip_all("no trace events");
	ctl_open(&ctl);
	for (i = 0; i < 2; i++) {
		net_open(&nets[i], VDEV_F(VIRTIO_F_VERSION_1), NUM);
		buffers[i] = vdev_alloc(&nets[i].dev, 8192);
		devs[i] = ctl_last_device(&ctl);
		share(&ctl, devs[i]);
	}
	tap_plan(3);
	tap_ok(takes_turns(SMALL, 256, 256), "256 packets a turn");
	/* As many as half a MiB takes, the last one beyond it. */
	tap_ok(takes_turns(LARGE, (512 << 10) / (HEADER + LARGE) + 1,
			   (512 << 10) / (HEADER + LARGE) + 1),
	       "of large ones, half a MiB a turn");
	set_weight(&ctl, devs[1], 50);
	tap_ok(takes_turns(SMALL, 256, 128), "half the weight, half the turn");

	trace_write(TRACING "events/khx/khx_batch/enable", "0");
	for (i = 0; i < 2; i++)
		net_close(&nets[i]);
	ctl_close(&ctl);
	return tap_exit();
}
