// SPDX-License-Identifier: GPL-2.0
/*
 * Each command refuses what it should, whoever asks: missing, foreign, unknown
 * and out-of-range attributes, wrong sizes, no privilege, another network
 * namespace. Then messages at random, which must all be answered.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/vhost.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "tap.h"

#define DEVICE		"/dev/khx-net"
#define RANDOM_MESSAGES	3000

/* Stands for the number of our device. */
#define OURS		0xdddddddd

struct attr {
	uint16_t type;
	uint16_t len;
	uint32_t value;
	const char *text;
};

#define U32(type, value)	{ type, 4, value, NULL }
#define TEXT(type, text)	{ type, sizeof(text), 0, text }

struct request {
	const char *name;
	uint8_t cmd;
	bool dump;
	struct attr attrs[3];
	int wanted;
};

static const struct request requests[] = {
	{ "device", KHX_CMD_DEV_GET, false, { U32(KHX_A_DEV_ID, OURS) }, 0 },
	{ "device without number", KHX_CMD_DEV_GET, false, { }, -EINVAL },
	{ "device 0", KHX_CMD_DEV_GET, false, { U32(KHX_A_DEV_ID, 0) },
	  -ERANGE },
	{ "device that is not there", KHX_CMD_DEV_GET, false,
	  { U32(KHX_A_DEV_ID, 0x7ffffff0) }, -ENODEV },
	{ "device, number too short", KHX_CMD_DEV_GET, false,
	  { { KHX_A_DEV_ID, 2, 1, NULL } }, -EINVAL },
	{ "device, number too long", KHX_CMD_DEV_GET, false,
	  { { KHX_A_DEV_ID, 8, 1, NULL } }, -EINVAL },
	{ "device, foreign attribute", KHX_CMD_DEV_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_POLL_US, 1) }, -EINVAL },
	{ "device, attribute of replies", KHX_CMD_DEV_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_NETNS, 1) }, -EINVAL },
	{ "device, unknown attribute", KHX_CMD_DEV_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MAX + 1, 1) }, -EINVAL },
	{ "all devices", KHX_CMD_DEV_GET, true, { }, 0 },
	{ "all devices, of a number", KHX_CMD_DEV_GET, true,
	  { U32(KHX_A_DEV_ID, OURS) }, -EINVAL },

	{ "queue", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_QUEUE_ID, 1) }, 0 },
	{ "queue without number", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_DEV_ID, OURS) }, -EINVAL },
	{ "queue without device", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_QUEUE_ID, 0) }, -EINVAL },
	{ "queue that is not there", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_QUEUE_ID, 2) }, -ENOENT },
	{ "queue out of range", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_QUEUE_ID, 0xffffffff) },
	  -ERANGE },
	{ "queue, number too long", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), { KHX_A_QUEUE_ID, 8, 0, NULL } },
	  -EINVAL },
	{ "queue, foreign attribute", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_WEIGHT, 100) }, -EINVAL },
	{ "queue, attribute of replies", KHX_CMD_QUEUE_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_STATE, 1) }, -EINVAL },
	{ "all queues, of one number", KHX_CMD_QUEUE_GET, true,
	  { U32(KHX_A_QUEUE_ID, 0) }, -EINVAL },
	{ "all queues", KHX_CMD_QUEUE_GET, true, { }, 0 },
	{ "all queues of a device", KHX_CMD_QUEUE_GET, true,
	  { U32(KHX_A_DEV_ID, OURS) }, 0 },
	{ "all queues of no device", KHX_CMD_QUEUE_GET, true,
	  { U32(KHX_A_DEV_ID, 0x7ffffff0) }, -ENODEV },

	{ "worker", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_WORKER_ID, 0) }, 0 },
	{ "worker that is not there", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_WORKER_ID, 63) }, -ENOENT },
	{ "worker without number", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_DEV_ID, OURS) }, -EINVAL },
	{ "worker without device", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_WORKER_ID, 0) }, -EINVAL },
	{ "worker, number too short", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), { KHX_A_WORKER_ID, 3, 0, NULL } },
	  -EINVAL },
	{ "worker, foreign attribute", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_QUEUE_ID, 0) }, -EINVAL },
	{ "worker, unknown attribute", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MAX + 2, 0) }, -EINVAL },
	{ "all workers of no device", KHX_CMD_WORKER_GET, true,
	  { U32(KHX_A_DEV_ID, 0x7ffffff0) }, -ENODEV },
	{ "all workers, of one number", KHX_CMD_WORKER_GET, true,
	  { U32(KHX_A_WORKER_ID, 0) }, -EINVAL },
	{ "worker out of range", KHX_CMD_WORKER_GET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_WORKER_ID, 64) }, -ERANGE },
	{ "all workers", KHX_CMD_WORKER_GET, true, { }, 0 },

	{ "set nothing", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS) }, 0 },
	{ "set without device", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_POLL_US, 1) }, -EINVAL },
	{ "set poll time", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_POLL_US, 50) }, 0 },
	{ "set poll time, too long", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_POLL_US, 10001) }, -ERANGE },
	{ "set poll time, too short a number", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), { KHX_A_POLL_US, 1, 1, NULL } },
	  -EINVAL },
	{ "set weight, too large", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_WEIGHT, 1001) }, -ERANGE },
	{ "set too many workers", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MODE, KHX_MODE_SHARED),
	    U32(KHX_A_WORKERS, 65) }, -ERANGE },
	{ "set workers without mode", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_WORKERS, 2) }, -EINVAL },
	{ "set a counter", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_STATS, 2) }, -EINVAL },
	{ "set weight, too small", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_WEIGHT, 9) }, -ERANGE },
	{ "set mode queue", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MODE, KHX_MODE_QUEUE) }, 0 },
	{ "set mode custom", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MODE, KHX_MODE_CUSTOM) },
	  -ERANGE },
	{ "set workers of mode device", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MODE, KHX_MODE_DEVICE),
	    U32(KHX_A_WORKERS, 2) }, -EINVAL },
	{ "set no workers", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MODE, KHX_MODE_SHARED),
	    U32(KHX_A_WORKERS, 0) }, -ERANGE },
	{ "set mode shared", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), U32(KHX_A_MODE, KHX_MODE_SHARED),
	    U32(KHX_A_WORKERS, 2) }, 0 },
	{ "set CPUs", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), TEXT(KHX_A_CPUS, "0") }, 0 },
	{ "set CPUs that are no list", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), TEXT(KHX_A_CPUS, "zero") }, -EINVAL },
	{ "set no CPUs", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), TEXT(KHX_A_CPUS, "") }, -EINVAL },
	{ "set CPUs that are not there", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), TEXT(KHX_A_CPUS, "4000") }, -EINVAL },
	{ "set CPUs, text without end", KHX_CMD_WORKER_SET, false,
	  { U32(KHX_A_DEV_ID, OURS), { KHX_A_CPUS, 2, 0, "0000" } },
	  -EINVAL },
	{ "set as a dump", KHX_CMD_WORKER_SET, true,
	  { U32(KHX_A_DEV_ID, OURS) }, -EOPNOTSUPP },

	{ "command of no meaning", KHX_CMD_MAX + 1, false, { }, -EOPNOTSUPP },
	{ "command that is an event", KHX_CMD_DEV_ADD_NTF, false, { },
	  -EOPNOTSUPP },
};

#define N_REQUESTS	(sizeof(requests) / sizeof(requests[0]))

static void put(struct nlmsghdr *nlh, const struct attr *attr, uint32_t ours)
{
	uint32_t value[2] = { attr->value == OURS ? ours : attr->value };

	mnl_attr_put(nlh, attr->type, attr->len,
		     attr->text ? (const void *)attr->text : value);
}

static int run(struct ctl *ctl, const struct request *request, uint32_t ours)
{
	struct nlmsghdr *nlh = ctl_request(ctl, request->cmd,
					   request->dump ? NLM_F_DUMP : 0);
	unsigned int i;

	for (i = 0; i < 3 && request->attrs[i].type; i++)
		put(nlh, &request->attrs[i], ours);
	return ctl_run(ctl, nlh, NULL, NULL);
}

/* Does a refusal say why, and what is out of range or not there, by name? */
static bool is_explained(const struct ctl *ctl, int ret)
{
	switch (ret) {
	case -ERANGE:
	case -ENODEV:
	case -ENOENT:
		return strchr(ctl->extack, ':') && ctl->offset;
	case -EINVAL:
		return ctl->extack[0];
	default:
		return true;
	}
}

static void test_requests(struct ctl *ctl, uint32_t ours)
{
	unsigned int i, unexplained = 0;
	int ret;

	for (i = 0; i < N_REQUESTS; i++) {
		ret = run(ctl, &requests[i], ours);
		tap_is(ret, requests[i].wanted, "%s", requests[i].name);
		if (ctl->extack[0])
			tap_diag("%s", ctl->extack);
		if (!requests[i].dump && !is_explained(ctl, ret)) {
			tap_diag("not explained");
			unexplained++;
		}
	}
	tap_is(unexplained, 0, "every refusal says why, naming the attribute");
}

/* @fn in a process of its own that @before has changed. */
static int in_child(int (*before)(void), int (*fn)(uint32_t ours),
		    uint32_t ours)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(before() ? 255 : fn(ours));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

static int leave_netns(void)
{
	return unshare(CLONE_NEWNET);
}

/* Returns the errno of the first of ours that is not as for root, 0: none. */
static int nobody_requests(uint32_t ours)
{
	struct ctl ctl;
	unsigned int i;
	int ret, wrong = 0;

	ctl_open(&ctl);
	for (i = 0; i < N_REQUESTS; i++) {
		ret = run(&ctl, &requests[i], ours);
		if (requests[i].cmd == KHX_CMD_WORKER_SET &&
		    !requests[i].dump) {
			if (ret != -EPERM)
				wrong = 1;
		} else if (requests[i].cmd != KHX_CMD_WORKER_SET &&
			   ret != requests[i].wanted) {
			wrong = 2;
		}
	}
	return wrong;
}

/* Returns 0 if nothing of our device is seen, nor may be changed. */
static int other_netns_requests(uint32_t ours)
{
	struct ctl ctl;
	unsigned int i;

	ctl_open(&ctl);
	for (i = 0; i < N_REQUESTS; i++)
		if (!requests[i].wanted && !requests[i].dump &&
		    run(&ctl, &requests[i], ours) != -ENODEV)
			return 1;
	return ctl_count(&ctl, KHX_CMD_DEV_GET) ||
	       ctl_count(&ctl, KHX_CMD_QUEUE_GET) ||
	       ctl_count(&ctl, KHX_CMD_WORKER_GET) ? 2 : 0;
}

/* The same with a device of its own, which it does see. */
static int own_netns_requests(uint32_t ours)
{
	struct ctl ctl;
	uint32_t own;
	int fd = open(DEVICE, O_RDWR);

	ctl_open(&ctl);
	own = ctl_last_device(&ctl);
	if (fd < 0 || own <= ours || run(&ctl, &requests[0], own) ||
	    ctl_count(&ctl, KHX_CMD_DEV_GET) != 1)
		return 1;
	return run(&ctl, &requests[0], ours) != -ENODEV ? 2 : 0;
}

/* Any bytes in any attribute: an answer is all that is asked for. */
static void test_random(struct ctl *ctl, uint32_t ours)
{
	unsigned char bytes[64];
	struct nlmsghdr *nlh;
	unsigned int i, k, n;
	uint16_t type;
	int ret = 0;

	srandom(1);
	for (i = 0; i < RANDOM_MESSAGES && ret != -EAGAIN; i++) {
		nlh = ctl_request(ctl, random() % (KHX_CMD_MAX + 2),
				  random() % 4 ? 0 : NLM_F_DUMP);
		if (random() % 2)
			mnl_attr_put_u32(nlh, KHX_A_DEV_ID, ours);
		for (n = random() % 4; n; n--) {
			for (k = 0; k < sizeof(bytes); k++)
				bytes[k] = random() % 3 ? 0 : random();
			type = random() % (KHX_A_MAX + 3);
			/* Each switch of the mode costs a grace period. */
			if (type == KHX_A_MODE && random() % 8)
				continue;
			if (!(random() % 8))
				type |= NLA_F_NESTED;
			mnl_attr_put(nlh, type,
				     random() % 2 ? 4 : random() % 64, bytes);
		}
		ret = ctl_run(ctl, nlh, NULL, NULL);
	}
	tap_is(i, RANDOM_MESSAGES, "random messages are answered");
	tap_is(run(ctl, &requests[0], ours), 0, "the device is still there");
}

int main(void)
{
	int fd = open(DEVICE, O_RDWR);
	struct ctl ctl;
	uint32_t ours;

	if (fd < 0)
		tap_skip_all("%s: %s", DEVICE, strerror(errno));
	if (ioctl(fd, VHOST_SET_OWNER))
		tap_bail("no owner: %s", strerror(errno));
	tap_plan(N_REQUESTS + 6);

	ctl_open(&ctl);
	ours = ctl_last_device(&ctl);
	test_requests(&ctl, ours);
	tap_is(in_child(ctl_become_nobody, nobody_requests, ours), 0,
	       "an unprivileged user may look but not change");
	tap_is(in_child(leave_netns, other_netns_requests, ours), 0,
	       "another network namespace does not see the device");
	tap_is(in_child(leave_netns, own_netns_requests, ours), 0,
	       "but one that is opened there");
	test_random(&ctl, ours);
	ctl_close(&ctl);
	close(fd);
	return tap_exit();
}
