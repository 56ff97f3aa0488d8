// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink family khx_exits: what each command refuses, whoever asks; what
 * the settings do, on a guest that exits a known number of times; thresholds;
 * and messages at random, after which all of that still works.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/khx_exits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "guest.h"
#include "request.h"
#include "tap.h"

#define RANDOM_MESSAGES	4000

#define NEST(type)		EMPTY(NLA_F_NESTED | (type))

/* A nest with one attribute of its own. */
#define PID_NEST(type, pid)	{ NLA_F_NESTED | KHX_EXITS_A_PIDS, 8, \
				  8ULL | (uint64_t)(type) << 16 | \
				  (uint64_t)(pid) << 32, NULL }

#define NAME_48 "123456789012345678901234567890123456789012345678"

static const struct request requests[] = {
	{ "status", KHX_EXITS_CMD_STATUS_GET, false, false, { }, 0 },
	{ "status with an attribute", KHX_EXITS_CMD_STATUS_GET, false, false,
	  { U8(KHX_EXITS_A_ENABLED, 1) }, -EINVAL },
	{ "set nothing", KHX_EXITS_CMD_STATUS_SET, false, true, { }, -EINVAL },
	{ "enable", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { U8(KHX_EXITS_A_ENABLED, 1) }, 0 },
	{ "enable 2", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { U8(KHX_EXITS_A_ENABLED, 2) }, -ERANGE },
	{ "enable, too long", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { U32(KHX_EXITS_A_ENABLED, 1) }, -EINVAL },
	{ "set what is only read", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { U8(KHX_EXITS_A_ATTACHED, 1) }, -EINVAL },
	{ "filter: no process", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { NEST(KHX_EXITS_A_PIDS) }, 0 },
	{ "filter: process 0", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { PID_NEST(KHX_EXITS_A_PID, 0) }, -ERANGE },
	{ "filter: process -1", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { PID_NEST(KHX_EXITS_A_PID, 0xffffffff) }, -ERANGE },
	{ "filter: no PID in it", KHX_EXITS_CMD_STATUS_SET, false, true,
	  { PID_NEST(KHX_EXITS_A_VCPU, 1) }, -EINVAL },
	{ "reset", KHX_EXITS_CMD_RESET, false, true, { }, 0 },
	{ "reset of no VM", KHX_EXITS_CMD_RESET, false, true,
	  { TEXT(KHX_EXITS_A_VM, "1-1") }, -ENOENT },
	{ "reset, name in the wrong attribute", KHX_EXITS_CMD_RESET, false,
	  true, { TEXT(KHX_EXITS_A_NAME, "1-1") }, -EINVAL },
	{ "reset, name too long", KHX_EXITS_CMD_RESET, false, true,
	  { TEXT(KHX_EXITS_A_VM, NAME_48) }, -EINVAL },
	{ "reset, name without end", KHX_EXITS_CMD_RESET, false, true,
	  { { KHX_EXITS_A_VM, 3, 0, "1-1" } }, -EINVAL },
	{ "vCPUs", KHX_EXITS_CMD_VCPU_GET, true, true, { }, 0 },
	{ "vCPUs of no VM", KHX_EXITS_CMD_VCPU_GET, true, true,
	  { TEXT(KHX_EXITS_A_VM, "1-1") }, 0 },
	{ "vCPUs, not as a dump", KHX_EXITS_CMD_VCPU_GET, false, false, { },
	  -EOPNOTSUPP },
	{ "reasons", KHX_EXITS_CMD_REASON_GET, true, true, { }, 0 },
	{ "reasons by pid", KHX_EXITS_CMD_REASON_GET, true, false,
	  { U32(KHX_EXITS_A_PID, 1) }, -EINVAL },
	{ "tables", KHX_EXITS_CMD_TABLE_GET, true, true, { }, 0 },
	{ "threshold without rate", KHX_EXITS_CMD_THRESHOLD_ADD, false, true,
	  { TEXT(KHX_EXITS_A_NAME, "x") }, -EINVAL },
	{ "threshold without name", KHX_EXITS_CMD_THRESHOLD_ADD, false, true,
	  { U64(KHX_EXITS_A_RATE, 1) }, -EINVAL },
	{ "threshold of nothing", KHX_EXITS_CMD_THRESHOLD_ADD, false, true,
	  { TEXT(KHX_EXITS_A_NAME, ""), U64(KHX_EXITS_A_RATE, 1) }, -EINVAL },
	{ "threshold, name too long", KHX_EXITS_CMD_THRESHOLD_ADD, false, true,
	  { TEXT(KHX_EXITS_A_NAME, NAME_48), U64(KHX_EXITS_A_RATE, 1) },
	  -EINVAL },
	{ "threshold", KHX_EXITS_CMD_THRESHOLD_ADD, false, true,
	  { TEXT(KHX_EXITS_A_NAME, "x"), U64(KHX_EXITS_A_RATE, 1) }, 0 },
	{ "threshold again", KHX_EXITS_CMD_THRESHOLD_ADD, false, true,
	  { TEXT(KHX_EXITS_A_NAME, "x"), U64(KHX_EXITS_A_RATE, 2) }, -EEXIST },
	{ "thresholds", KHX_EXITS_CMD_THRESHOLD_GET, true, false, { }, 0 },
	{ "no threshold", KHX_EXITS_CMD_THRESHOLD_DEL, false, true,
	  { TEXT(KHX_EXITS_A_NAME, "x") }, 0 },
	{ "no threshold again", KHX_EXITS_CMD_THRESHOLD_DEL, false, true,
	  { TEXT(KHX_EXITS_A_NAME, "x") }, -ENOENT },
	{ "command of no meaning", KHX_EXITS_CMD_MAX + 1, false, false, { },
	  -EOPNOTSUPP },
	{ "command that is an event", KHX_EXITS_CMD_VM_NEW, false, false, { },
	  -EOPNOTSUPP },
};

#define N_REQUESTS	(sizeof(requests) / sizeof(requests[0]))

static int nobody_requests(void)
{
	if (setgid(65534) || setuid(65534))
		return 1;
	return requests_powerless(KHX_EXITS_GENL_NAME, requests, N_REQUESTS);
}

static void test_nobody(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(nobody_requests());
	waitpid(pid, &status, 0);
	tap_is(status, 0, "others change nothing and see no figures");
}

static int set_filter(struct ctl *ctl, const uint32_t *pids, int nr)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_EXITS_CMD_STATUS_SET, 0);
	struct nlattr *nest = mnl_attr_nest_start(nlh, KHX_EXITS_A_PIDS);

	for (int i = 0; i < nr; i++)
		mnl_attr_put_u32(nlh, KHX_EXITS_A_PID, pids[i]);
	mnl_attr_nest_end(nlh, nest);
	return ctl_run(ctl, nlh, NULL, NULL);
}

static int set_enabled(struct ctl *ctl, bool enabled)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_EXITS_CMD_STATUS_SET, 0);

	mnl_attr_put_u8(nlh, KHX_EXITS_A_ENABLED, enabled);
	return ctl_run(ctl, nlh, NULL, NULL);
}

/* What ten CPUID exits add to the count of them. */
static long long ten_more(struct guest *g)
{
	const char *name = reason(g, "cpuid", "CPUID");
	long long before = exits_figure(g, "exit_reason", name, 0);

	guest_do(g, RUN_CPUID, 10, (struct kvm_regs) {});
	return exits_figure(g, "exit_reason", name, 0) - before;
}

static int status_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *pids = ctl_attr(nlh, KHX_EXITS_A_PIDS), *attr;
	int *nr = data;

	mnl_attr_for_each_nested(attr, pids)
		++*nr;
	return MNL_CB_OK;
}

static void test_filter(struct ctl *ctl, struct guest *g)
{
	uint32_t pids[KHX_EXITS_PIDS_MAX + 1] = { getpid() };
	int nr = 0;

	for (int i = 1; i <= KHX_EXITS_PIDS_MAX; i++)
		pids[i] = 1000000 + i;
	tap_is(set_filter(ctl, pids + 1, 1), 0, "filter: another process");
	tap_is(ten_more(g), 0, "what the filter leaves out is not counted");
	tap_is(set_filter(ctl, pids, KHX_EXITS_PIDS_MAX), 0,
	       "filter: as many processes as there may be");
	tap_is(ten_more(g), 10, "one of them is counted");
	tap_is(set_filter(ctl, pids, KHX_EXITS_PIDS_MAX + 1), -E2BIG,
	       "filter: one more");
	ctl_run(ctl, ctl_request(ctl, KHX_EXITS_CMD_STATUS_GET, 0), status_cb,
		&nr);
	tap_is(nr, KHX_EXITS_PIDS_MAX, "which leaves the filter as it was");
	tap_is(set_filter(ctl, NULL, 0), 0, "filter: off");
	tap_is(ten_more(g), 10, "all are counted again");
}

static void test_enable(struct ctl *ctl, struct guest *g)
{
	tap_is(set_enabled(ctl, false), 0, "disable");
	tap_is(ten_more(g), 0, "nothing is counted");
	tap_is(set_enabled(ctl, true), 0, "enable again");
	tap_is(ten_more(g), 10, "counting goes on");
}

static int set_threshold(struct ctl *ctl, const char *name, uint64_t rate)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_EXITS_CMD_THRESHOLD_ADD, 0);

	mnl_attr_put_strz(nlh, KHX_EXITS_A_NAME, name);
	mnl_attr_put_u64(nlh, KHX_EXITS_A_RATE, rate);
	return ctl_run(ctl, nlh, NULL, NULL);
}

static int unset_threshold(struct ctl *ctl, const char *name)
{
	struct nlmsghdr *nlh = ctl_request(ctl, KHX_EXITS_CMD_THRESHOLD_DEL, 0);

	mnl_attr_put_strz(nlh, KHX_EXITS_A_NAME, name);
	return ctl_run(ctl, nlh, NULL, NULL);
}

static void test_many_thresholds(struct ctl *ctl)
{
	int failed = 0;
	char name[8];

	for (int i = 0; i < KHX_EXITS_THRESHOLDS_MAX; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		failed += !!set_threshold(ctl, name, i);
	}
	tap_is(failed, 0, "as many thresholds as there may be");
	tap_is(set_threshold(ctl, "more", 1), -ENOSPC, "one more");
	tap_is(ctl_count(ctl, KHX_EXITS_CMD_THRESHOLD_GET),
	       KHX_EXITS_THRESHOLDS_MAX, "all of them are shown");
	for (int i = 0; i < KHX_EXITS_THRESHOLDS_MAX; i++) {
		snprintf(name, sizeof(name), "r%d", i);
		failed += !!unset_threshold(ctl, name);
	}
	tap_is(failed, 0, "and taken back");
}

static int group_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *groups = ctl_attr(nlh, CTRL_ATTR_MCAST_GROUPS);
	const struct nlattr *group, *attr;

	mnl_attr_for_each_nested(group, groups)
		mnl_attr_for_each_nested(attr, group)
			if (mnl_attr_get_type(attr) == CTRL_ATTR_MCAST_GRP_ID)
				*(uint32_t *)data = mnl_attr_get_u32(attr);
	return MNL_CB_OK;
}

/* There is only one group. */
static struct mnl_socket *listen_events(struct ctl *ctl)
{
	struct mnl_socket *socket = mnl_socket_open(NETLINK_GENERIC);
	uint16_t family = ctl->family;
	struct nlmsghdr *nlh;
	uint32_t group = 0;

	ctl->family = GENL_ID_CTRL;
	nlh = ctl_request(ctl, CTRL_CMD_GETFAMILY, 0);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, KHX_EXITS_GENL_NAME);
	ctl_run(ctl, nlh, group_cb, &group);
	ctl->family = family;
	if (!socket || mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
	    mnl_socket_setsockopt(socket, NETLINK_ADD_MEMBERSHIP, &group,
				  sizeof(group)) < 0)
		tap_bail("no events: %s", strerror(errno));
	return socket;
}

/* The next event of that command within five seconds: its rate, or -1. */
static long long wait_event(struct mnl_socket *socket, uint8_t cmd)
{
	struct pollfd fd = { mnl_socket_get_fd(socket), POLLIN, 0 };
	const struct genlmsghdr *genl;
	char buf[4096] __attribute__((aligned(8)));
	const struct nlmsghdr *nlh = (void *)buf;

	while (poll(&fd, 1, 5000) == 1) {
		if (mnl_socket_recvfrom(socket, buf, sizeof(buf)) < 0)
			break;
		genl = mnl_nlmsg_get_payload(nlh);
		if (genl->cmd == cmd)
			return mnl_attr_get_u64(ctl_attr(nlh, KHX_EXITS_A_RATE));
	}
	return -1;
}

/* Within a second of the watch, or the next one has some, too. */
static void exit_often(struct guest *g)
{
	guest_do(g, RUN_CPUID, 300, (struct kvm_regs) {});
}

/*
 * Events come for a rise and for a fall, and also for the fall that is the
 * guest's silence after a reset, which leaves no row of that reason.
 */
static void test_threshold_events(struct ctl *ctl, struct guest *g)
{
	struct mnl_socket *socket = listen_events(ctl);
	const char *name = reason(g, "cpuid", "CPUID");
	struct timespec start, end;
	long long rate;
	double waited;

	/* A second begins with the first threshold, also soon after another was the last. */
	set_threshold(ctl, name, 100);
	unset_threshold(ctl, name);
	usleep(700000);
	clock_gettime(CLOCK_MONOTONIC, &start);
	set_threshold(ctl, name, 100);
	exit_often(g);
	rate = wait_event(socket, KHX_EXITS_CMD_THRESHOLD_OVER);
	clock_gettime(CLOCK_MONOTONIC, &end);
	waited = end.tv_sec - start.tv_sec + 1e-9 * (end.tv_nsec - start.tv_nsec);
	tap_ok(rate > 100 && rate <= 310 && waited > 0.99,
	       "the rate rises above 100 (%lld), a second later (%.2f s)", rate,
	       waited);
	tap_is(wait_event(socket, KHX_EXITS_CMD_THRESHOLD_UNDER), 0,
	       "it is below again");
	exit_often(g);
	tap_ok(wait_event(socket, KHX_EXITS_CMD_THRESHOLD_OVER) > 100,
	       "it rises again");
	exits_reset();
	guest_do(g, RUN_HLT, 1, (struct kvm_regs) {});
	tap_is(wait_event(socket, KHX_EXITS_CMD_THRESHOLD_UNDER), 0,
	       "it is below after a reset");
	tap_is(unset_threshold(ctl, name), 0, "it is watched no longer");
	mnl_socket_close(socket);
}

static int unset_cb(const struct nlmsghdr *nlh, void *data)
{
	char (*names)[64] = data;
	const char *name = mnl_attr_get_str(ctl_attr(nlh, KHX_EXITS_A_NAME));
	int i = 0;

	while (names[i][0])
		i++;
	snprintf(names[i], sizeof(names[i]), "%s", name);
	return MNL_CB_OK;
}

static void clean_up(struct ctl *ctl)
{
	char names[KHX_EXITS_THRESHOLDS_MAX + 1][64] = {};

	ctl_run(ctl, ctl_request(ctl, KHX_EXITS_CMD_THRESHOLD_GET, NLM_F_DUMP),
		unset_cb, names);
	for (int i = 0; names[i][0]; i++)
		unset_threshold(ctl, names[i]);
	set_filter(ctl, NULL, 0);
	set_enabled(ctl, true);
}

static void test_random(struct ctl *ctl, struct guest *g)
{
	unsigned int seed = 20261121;

	for (int i = 0; i < RANDOM_MESSAGES; i++) {
		request_random(ctl, KHX_EXITS_CMD_MAX, KHX_EXITS_A_MAX, &seed);
		if (i % 100 == 0)
			guest_do(g, RUN_CPUID, 1, (struct kvm_regs) {});
	}
	clean_up(ctl);
	tap_is(request_run(ctl, &requests[0]), 0, "%d messages at random are answered",
	       RANDOM_MESSAGES);
	tap_is(ten_more(g), 10, "and exits counted as before");
}

int main(void)
{
	struct ctl *ctl = malloc(sizeof(*ctl));
	struct guest g;

	guest_need();
	guest_create(&g);
	guest_do(&g, RUN_CPUID, 1, (struct kvm_regs) {});
	ctl_open_family(ctl, KHX_EXITS_GENL_NAME);
	tap_plan(N_REQUESTS + 1 + 8 + 4 + 4 + 5 + 2);
	requests_test(ctl, requests, N_REQUESTS);
	test_nobody();
	test_filter(ctl, &g);
	test_enable(ctl, &g);
	test_many_thresholds(ctl);
	test_threshold_events(ctl, &g);
	test_random(ctl, &g);
	guest_destroy(&g);
	ctl_close(ctl);
	free(ctl);
	return tap_exit();
}
