// SPDX-License-Identifier: GPL-2.0
/*
 * What WORKER_SET promises: CPUs hold for later workers too, what is refused
 * changes nothing, and a queue of the least weight is served all the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "ctl.h"
#include "netlib.h"
#include "worker.h"

#define NUM		1024
#define LEN		100
#define FEATURES	(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_INDIRECT_DESC))

/* More descriptors than a run of the least weight may read, 819. */
#define SEGMENTS	1000
#define SEGMENT		16

/* Threads of a user. */
#define LIMIT		12

struct seen {
	uint32_t mode;
	char cpus[64];
};

static int seen_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *mode = ctl_attr(nlh, KHX_A_MODE);
	const struct nlattr *cpus = ctl_attr(nlh, KHX_A_CPUS);
	struct seen *seen = data;

	if (mode)
		seen->mode = mnl_attr_get_u32(mode);
	if (cpus)
		snprintf(seen->cpus, sizeof(seen->cpus), "%s",
			 mnl_attr_get_str(cpus));
	return MNL_CB_OK;
}

static struct seen look(struct ctl *ctl, uint32_t dev, uint32_t worker)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_CMD_WORKER_GET, 0);
	struct seen seen = {};

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	mnl_attr_put_u32(nlh, KHX_A_WORKER_ID, worker);
	ctl_run(ctl, nlh, seen_cb, &seen);
	return seen;
}

/* Settings that are 0 or NULL stay as they are. */
static int set(struct ctl *ctl, uint32_t dev, uint32_t mode, const char *cpus,
	       uint32_t weight)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_CMD_WORKER_SET, 0);

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	if (mode)
		mnl_attr_put_u32(nlh, KHX_A_MODE, mode);
	if (cpus)
		mnl_attr_put_strz(nlh, KHX_A_CPUS, cpus);
	if (weight)
		mnl_attr_put_u32(nlh, KHX_A_WEIGHT, weight);
	return ctl_run(ctl, nlh, NULL, NULL);
}

static void test_cpus(struct net *net, struct ctl *ctl, uint32_t dev)
{
	struct vhost_worker_state state = {};
	struct seen seen;

	tap_is(set(ctl, dev, 0, "0", 0), 0, "workers are to run on CPU 0");
	if (ioctl(net->dev.fd, VHOST_NEW_WORKER, &state))
		tap_bail("no worker: %s", strerror(errno));
	seen = look(ctl, dev, state.worker_id);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		tap_ok(!strcmp(seen.cpus, "0"), "a later one does: \"%s\"",
		       seen.cpus);
	else
		tap_skip("one CPU", "a later one does");
	ioctl(net->dev.fd, VHOST_FREE_WORKER, &state);
}

static void test_refused(struct ctl *ctl, uint32_t dev)
{
	tap_is(set(ctl, dev, KHX_MODE_QUEUE, "zero", 0), -EINVAL,
	       "a mode with CPUs that are none is refused");
	tap_is(look(ctl, dev, 0).mode, KHX_MODE_DEVICE, "and not set");
}

/* A user's device, who may have LIMIT threads; it is closed when @end is. */
static void own_as_user(int ready, int end)
{
	struct rlimit limit = { .rlim_cur = LIMIT, .rlim_max = LIMIT };
	int fd = open(NET_DEVICE, O_RDWR | O_CLOEXEC);
	char byte = 0;

	if (fd < 0 || setrlimit(RLIMIT_NPROC, &limit) || setuid(65534) ||
	    ioctl(fd, VHOST_SET_OWNER) || write(ready, &byte, 1) != 1)
		_exit(1);
	_exit(read(end, &byte, 1));
}

static int set_shared(struct ctl *ctl, uint32_t dev, uint32_t workers)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_CMD_WORKER_SET, 0);

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, dev);
	mnl_attr_put_u32(nlh, KHX_A_MODE, KHX_MODE_SHARED);
	mnl_attr_put_u32(nlh, KHX_A_WORKERS, workers);
	return ctl_run(ctl, nlh, NULL, NULL);
}

/* Is it served by so many shared workers? */
static bool is_shared(struct ctl *ctl, uint32_t dev, unsigned int workers)
{
	return look(ctl, dev, workers - 1).mode == KHX_MODE_SHARED &&
	       !look(ctl, dev, workers).cpus[0];
}

static void test_number(struct ctl *ctl)
{
	int ready[2], end[2];
	uint32_t dev;
	char byte;

	if (pipe(ready) || pipe(end))
		tap_bail("pipe");
	if (!fork()) {
		close(end[1]);
		own_as_user(ready[1], end[0]);
	}
	close(end[0]);
	if (read(ready[0], &byte, 1) != 1)
		tap_bail("no owner");
	dev = ctl_last_device(ctl);
	tap_is(set_shared(ctl, dev, 2), 0, "two shared workers");
	tap_is(set_shared(ctl, dev, LIMIT + 1), -EAGAIN,
	       "more than the owner may have are refused");
	tap_ok(strstr(ctl->extack, "the owner may have no more threads"),
	       "and why is said: \"%s\"", ctl->extack);
	tap_ok(is_shared(ctl, dev, 2), "there are two, as before");
	tap_is(set_shared(ctl, dev, 3), 0, "another number");
	tap_ok(is_shared(ctl, dev, 3), "takes their place");
	close(end[1]);
	wait(NULL);
}

/* A buffer whose fetch alone is all that a run may do. */
static void test_weight(struct net *net, struct ctl *ctl, uint32_t dev)
{
	struct vdev_queue *queue = &net->dev.queues[NET_RX];
	char *memory = vdev_alloc(&net->dev, SEGMENTS * SEGMENT);
	char *table = vdev_alloc(&net->dev, SEGMENTS * 16);
	struct vring_buf bufs[SEGMENTS];
	struct vring_chain chain = {
		.bufs = bufs, .nr_in = SEGMENTS,
		.table = table, .table_addr = vdev_gpa(&net->dev, table),
	};
	char frame[LEN];
	unsigned int i;
	uint32_t len;
	void *cookie;

	for (i = 0; i < SEGMENTS; i++)
		bufs[i] = (struct vring_buf) {
			vdev_gpa(&net->dev, memory + SEGMENT * i), SEGMENT,
		};

	tap_is(set(ctl, dev, 0, NULL, 10), 0, "the least weight is set");
	vring_add(&queue->ring, &chain, NULL);
	vdev_publish(queue);
	net_frame_fill(frame, LEN, 1);
	net_host_send(net, frame, LEN);
	tap_ok(vdev_get(queue, &cookie, &len, NET_TIMEOUT_MS) &&
	       len == net->hdr_len + LEN &&
	       net_frame_ok(memory + net->hdr_len, LEN, 1),
	       "a packet comes in a buffer of %u segments", SEGMENTS);
}

int main(void)
{
	struct ctl ctl;
	struct net net;
	uint32_t dev;

	net_require();
	net_open(&net, FEATURES, NUM);
	ctl_open(&ctl);
	dev = ctl_last_device(&ctl);
	tap_plan(12);

	test_cpus(&net, &ctl, dev);
	test_refused(&ctl, dev);
	test_number(&ctl);
	test_weight(&net, &ctl, dev);

	ctl_close(&ctl);
	net_close(&net);
	return tap_exit();
}
