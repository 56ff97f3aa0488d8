// SPDX-License-Identifier: GPL-2.0
/*
 * The netlink family khx_merge: what each command refuses, whoever asks and from
 * where; that what is refused changes nothing; and messages at random, after which
 * all of that still works.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/genetlink.h>
#include <linux/khx_merge.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ctl.h"
#include "hog.h"
#include "khxmem.h"
#include "stopwatch.h"
#include "request.h"
#include "tap.h"

#define RANDOM_MESSAGES	4000
#define FILES		300
#define DOMAINS		250

static const struct request requests[] = {
	{ "get", KHX_MERGE_CMD_GET, false, false, { }, 0 },
	{ "get, as a dump", KHX_MERGE_CMD_GET, true, false, { }, -EOPNOTSUPP },
	{ "get with a setting", KHX_MERGE_CMD_GET, false, false,
	  { U32(KHX_MERGE_A_SET_RUN, 1) }, -EINVAL },
	{ "set nothing", KHX_MERGE_CMD_SET, false, true, { }, 0 },
	{ "set, as a dump", KHX_MERGE_CMD_SET, true, true,
	  { U32(KHX_MERGE_A_SET_RUN, 1) }, -EOPNOTSUPP },
	{ "run 3", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_RUN, 3) }, -ERANGE },
	{ "run -1", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_RUN, -1U) }, -ERANGE },
	{ "run, too short", KHX_MERGE_CMD_SET, false, true,
	  { U8(KHX_MERGE_A_SET_RUN, 1) }, -EINVAL },
	{ "run, too long", KHX_MERGE_CMD_SET, false, true,
	  { U64(KHX_MERGE_A_SET_RUN, 1) }, -EINVAL },
	{ "run, of no length", KHX_MERGE_CMD_SET, false, true,
	  { EMPTY(KHX_MERGE_A_SET_RUN) }, -EINVAL },
	{ "run, as a nest", KHX_MERGE_CMD_SET, false, true,
	  { U32(NLA_F_NESTED | KHX_MERGE_A_SET_RUN, 1) }, -EINVAL },
	{ "0 pages to scan", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_PAGES_TO_SCAN, 0) }, -ERANGE },
	{ "2^20 + 1 pages to scan", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_PAGES_TO_SCAN, (1 << 20) + 1) }, -ERANGE },
	{ "to sleep over an hour", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_SLEEP_MSECS, 3600001) }, -ERANGE },
	{ "no CPU at all", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_CPU_LIMIT, 0) }, -ERANGE },
	{ "more than a CPU", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_CPU_LIMIT, 101) }, -ERANGE },
	{ "one sharer", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_MAX_PAGE_SHARING, 1) }, -ERANGE },
	{ "zero pages 2", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_USE_ZERO_PAGES, 2) }, -ERANGE },
	{ "across nodes 2", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_MERGE_ACROSS_NODES, 2) }, -ERANGE },
	{ "profit guard 2", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_PROFIT_GUARD, 2) }, -ERANGE },
	{ "set what is only read", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_STATE, 1) }, -EINVAL },
	{ "set what comes after the settings", KHX_MERGE_CMD_SET, false, true,
	  { U64(KHX_MERGE_A_STAT_PRIVATE, 1) }, -EINVAL },
	{ "set an attribute of no meaning", KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_MAX + 1, 1) }, -EINVAL },
	{ "the same setting twice, the last one in force",
	  KHX_MERGE_CMD_SET, false, true,
	  { U32(KHX_MERGE_A_SET_CPU_LIMIT, 101),
	    U32(KHX_MERGE_A_SET_CPU_LIMIT, 10) }, 0 },
	{ "files", KHX_MERGE_CMD_FILE_GET, true, true, { }, 0 },
	{ "files, not as a dump", KHX_MERGE_CMD_FILE_GET, false, true, { },
	  -EOPNOTSUPP },
	{ "files of a number", KHX_MERGE_CMD_FILE_GET, true, true,
	  { U64(KHX_MERGE_A_INO, 1) }, -EINVAL },
	{ "domains", KHX_MERGE_CMD_DOMAIN_GET, true, true, { }, 0 },
	{ "domains of a number", KHX_MERGE_CMD_DOMAIN_GET, true, true,
	  { U32(KHX_MERGE_A_DOMAIN_ID, 1) }, -EINVAL },
	{ "command of no meaning", KHX_MERGE_CMD_MAX + 1, false, false, { },
	  -EOPNOTSUPP },
	{ "command 0", KHX_MERGE_CMD_UNSPEC, false, false, { }, -EOPNOTSUPP },
	{ "command that is an event", KHX_MERGE_CMD_PASS, false, false, { },
	  -EOPNOTSUPP },
};

#define N_REQUESTS	(sizeof(requests) / sizeof(requests[0]))

static int powerless_requests(void)
{
	return requests_powerless(KHX_MERGE_GENL_NAME, requests, N_REQUESTS);
}

/* @lose gives up what the child shall not have; 0 if it did. */
static void test_powerless(const char *name, int (*lose)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid)
		_exit(lose() ? 2 : powerless_requests());
	waitpid(pid, &status, 0);
	tap_is(status, 0, "%s", name);
}

/* All privileges but one, which is no matter of networks. */
static int lose_sys_admin(void)
{
	return prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) ||
	       execl("/proc/self/exe", "netlink", "powerless", NULL);
}

static int no_family_elsewhere(void)
{
	static struct ctl elsewhere, *ctl = &elsewhere;

	if (unshare(CLONE_NEWNET))
		return 2;
	ctl_open_family(ctl, KHX_MERGE_GENL_NAME);
	return 1;
}

static void test_elsewhere(void)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		/* It will bail out, which is not the test's own result. */
		if (!freopen("/dev/null", "w", stdout))
			_exit(2);
		_exit(no_family_elsewhere());
	}
	waitpid(pid, &status, 0);
	tap_is(WEXITSTATUS(status), TAP_FAIL,
	       "another network namespace has no such family");
}

/* What a dump lists, one after the other, more than a few of its messages hold. */
struct crowd {
	const char *name;
	uint8_t cmd;
	void (*come)(int i);
	void (*go)(int i);
	int nr, left;
};

static int crowd_fds[FILES];

static void file_come(int i)
{
	crowd_fds[i] = khxmem_file(NULL, 1);
}

static void file_go(int i)
{
	close(crowd_fds[i]);
}

static const char *domain_suffix(int i)
{
	static char suffix[16];

	snprintf(suffix, sizeof(suffix), "-%d", i);
	return suffix;
}

static void domain_come(int i)
{
	char options[128];

	snprintf(options, sizeof(options), "domain=%063d", i);
	khxmem_mount(domain_suffix(i), options);
}

static void domain_go(int i)
{
	khxmem_umount(domain_suffix(i));
	rmdir(khxmem_dir(domain_suffix(i)));
}

static void crowd_leave(struct crowd *crowd, int down_to)
{
	while (crowd->left > down_to)
		crowd->go(--crowd->left);
}

static int leave_cb(const struct nlmsghdr *nlh, void *data)
{
	struct crowd *crowd = data;

	(void)nlh;
	crowd_leave(crowd, crowd->nr - 1);
	return MNL_CB_OK;
}

static void test_crowd(struct ctl *ctl, struct crowd *crowd)
{
	for (crowd->left = 0; crowd->left < crowd->nr; crowd->left++)
		crowd->come(crowd->left);
	tap_is(ctl_count(ctl, crowd->cmd), crowd->nr, "all of many %s are listed",
	       crowd->name);
	tap_ok(!ctl->interrupted, "at once");
	ctl_run(ctl, ctl_request(ctl, crowd->cmd, NLM_F_DUMP), leave_cb, crowd);
	tap_ok(ctl->interrupted, "where one goes meanwhile, the reader is told");
	crowd_leave(crowd, 0);
	tap_is(ctl_count(ctl, crowd->cmd), 0, "and none that is gone");
}

static void test_crowds(struct ctl *ctl)
{
	static struct crowd files = {
		"files", KHX_MERGE_CMD_FILE_GET, file_come, file_go, FILES, 0
	}, domains = {
		"domains", KHX_MERGE_CMD_DOMAIN_GET, domain_come, domain_go,
		DOMAINS, 0
	};

	khxmem_mount(NULL, NULL);
	test_crowd(ctl, &files);
	khxmem_umount(NULL);
	test_crowd(ctl, &domains);
}

static void unmerge(void)
{
	static const struct request request = {
		"unmerge", KHX_MERGE_CMD_SET, false, true,
		{ U32(KHX_MERGE_A_SET_RUN, 2) }, 0
	};
	static struct ctl own;

	ctl_open_family(&own, KHX_MERGE_GENL_NAME);
	_exit(request_run(&own, &request) ? 1 : 0);
}

/* Asks who has what family while @pid lives: that takes netlink's own lock. */
static long ask_while_alive(struct ctl *ctl, pid_t pid)
{
	const uint16_t family = ctl->family;
	long answers = 0;
	int status;

	while (waitpid(pid, &status, WNOHANG) != pid) {
		struct nlmsghdr *nlh;

		ctl->family = GENL_ID_CTRL;
		nlh = ctl_request(ctl, CTRL_CMD_GETFAMILY, 0);
		mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, "nlctrl");
		ctl_run(ctl, nlh, NULL, NULL);
		answers += figure("run") == 2 && figure("pages_sharing");
	}
	ctl->family = family;
	return status ? -1 : answers;
}

/* Unmerging takes long: other families shall not wait for it. */
static void test_parallel(struct ctl *ctl)
{
	const unsigned long pages = 8192;
	long answers;
	char *map;
	pid_t pid;
	int fd;

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, pages);
	map = khxmem_map(fd, pages);
	for (unsigned long i = 0; i < pages; i++)
		page_fill(map + i * PAGE, 7);
	scan_fast();
	figure_must_reach("pages_sharing", pages - 1, 60);
	fflush(stdout);
	pid = fork();
	if (!pid)
		unmerge();
	answers = ask_while_alive(ctl, pid);
	tap_ok(answers >= 5, "netlink answers while all is unmerged (%ld times)",
	       answers);
	munmap(map, pages * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

#define ASKING		4
#define STARVING	50
#define ASKED_FILES	3000

static void ask_for_ever(void)
{
	static struct ctl own;

	ctl_open_family(&own, KHX_MERGE_GENL_NAME);
	for (;;)
		request_run(&own, &requests[0]);
}

/* Its group gives it a millisecond in each second: it is put to sleep anywhere. */
static void ask_in_group(void)
{
	write_text(GROUP "/cgroup.procs", "0");
	ask_for_ever();
}

static void ask_starving(void)
{
	hog_starve(0);
	ask_for_ever();
}

static void ask_start(pid_t *pids, int nr, void (*ask)(void))
{
	int i;

	fflush(stdout);
	for (i = 0; i < nr; i++) {
		pids[i] = fork();
		if (!pids[i])
			ask();
	}
}

static void ask_end(const pid_t *pids, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

/* The slowest of all files that come and go in some seconds, and of sums, in ms. */
static long slowest_file(double seconds)
{
	double end = seconds_now() + seconds;
	struct stopwatch watch;
	long slowest = 0, ms;

	while (seconds_now() < end) {
		stopwatch_start(&watch);
		close(khxmem_file(NULL, 1));
		figure("general_profit");
		ms = stopwatch_ms(&watch);
		slowest = ms > slowest ? ms : slowest;
		usleep(1000);
	}
	return slowest;
}

/* Anyone may ask for the sums: nobody waits for him while he may not run. */
static void test_asleep(void)
{
	static const char *const name =
		"who asks and is put to sleep holds nobody up (%ld ms)";
	pid_t pids[ASKING];
	long slowest;

	group_make();
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+cpu");
	if (write_text(GROUP "/cpu.max", "1000 1000000")) {
		tap_skip("no cgroups for CPU time", name, 0L);
		return;
	}
	ask_start(pids, ASKING, ask_in_group);
	slowest = slowest_file(10);
	tap_ok(slowest < 500, name, slowest);
	write_text(GROUP "/cpu.max", "max");
	ask_end(pids, ASKING);
	rmdir(GROUP);
}

/* Nor while others leave him no time, and the scanner has much to do. */
static void test_starving(void)
{
	static const char *const name =
		"nor does who asks and is of the least priority (%ld ms)";
	pid_t starving[STARVING], scanner = scanner_pid();
	struct hog hog;
	long slowest;

	run_on(0, 1);
	run_on(scanner, 1);
	scan_fast();
	ask_start(starving, STARVING, ask_starving);
	if (hog_start(&hog, 5)) {
		slowest = slowest_file(4);
		hog_end(&hog);
		tap_ok(slowest < 1500, name, slowest);
	} else {
		tap_skip("one processor", name, 0L);
	}
	ask_end(starving, STARVING);
	scan_stop();
	run_on(scanner, -1);
	run_on(0, -1);
}

/* Of many files, which takes its time. */
static void test_askers(void)
{
	char path[64];
	int i;

	khxmem_mount(NULL, NULL);
	for (i = 0; i < ASKED_FILES; i++) {
		snprintf(path, sizeof(path), KHXMEM_DIR "/%d", i);
		close(open(path, O_CREAT | O_RDWR, 0600));
	}
	test_asleep();
	test_starving();
	khxmem_umount(NULL);
}

/* Settings that scan_fast() leaves alone, and the tests after this one rely on. */
static const char *const kept[] = {
	"max_page_sharing", "merge_across_nodes", "use_zero_pages",
};

#define N_KEPT	(int)(sizeof(kept) / sizeof(kept[0]))

static void test_random(struct ctl *ctl)
{
	unsigned int seed = 20261121;
	long values[N_KEPT];
	char *map;
	int fd;

	for (int i = 0; i < N_KEPT; i++)
		values[i] = figure(kept[i]);

	khxmem_mount(NULL, NULL);
	fd = khxmem_file(NULL, 2);
	map = khxmem_map(fd, 2);
	for (int i = 0; i < RANDOM_MESSAGES; i++)
		request_random(ctl, KHX_MERGE_CMD_MAX, KHX_MERGE_A_MAX, &seed);
	tap_is(request_run(ctl, &requests[0]), 0, "%d messages at random are answered",
	       RANDOM_MESSAGES);
	for (int i = 0; i < N_KEPT; i++)
		tap_is(setting(kept[i], values[i]), 0, "%s is as before", kept[i]);
	page_fill(map, 7);
	page_fill(map + PAGE, 7);
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", 1, 60), "and pages merge as before");
	scan_stop();
	munmap(map, 2 * PAGE);
	close(fd);
	khxmem_umount(NULL);
}

int main(int argc, char **argv)
{
	struct ctl *ctl;

	(void)argv;
	if (argc > 1)
		return powerless_requests();
	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	ctl = malloc(sizeof(*ctl));
	ctl_open_family(ctl, KHX_MERGE_GENL_NAME);
	tap_plan(N_REQUESTS + 2 + 3 + 2 * 4 + 1 + 2 + 2 + N_KEPT);
	requests_test(ctl, requests, N_REQUESTS);
	tap_is(figure("run"), 0, "nothing of what was refused was done");
	tap_is(figure("cpu_limit"), 10, "and what was asked for was");
	test_powerless("others change nothing and see no files", ctl_become_nobody);
	test_powerless("nor does one who may do all but administer",
		       lose_sys_admin);
	test_elsewhere();
	test_crowds(ctl);
	test_parallel(ctl);
	test_askers();
	test_random(ctl);
	ctl_close(ctl);
	free(ctl);
	return tap_exit();
}
