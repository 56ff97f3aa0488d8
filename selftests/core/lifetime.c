// SPDX-License-Identifier: GPL-2.0
/*
 * From open to the end, however it comes: workers come and go, nobody but
 * the owner may do anything, the module stays while it is used, and a killed
 * owner leaves nothing behind.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "netlib.h"
#include "worker.h"

#define NUM		64
#define FEATURES	(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_EVENT_IDX))
#define KILLS		20
#define CYCLES		200
#define SHOW_SECONDS	2
#define LIMIT		4

/* Threads named like one of our workers for @pid, of any process. */
static int count_workers(pid_t pid)
{
	char wanted[32], path[300], name[64];
	struct dirent *entry;
	int n = 0;
	DIR *proc = opendir("/proc");
	FILE *file;

	snprintf(wanted, sizeof(wanted), "khx-%d", pid);
	while (proc && (entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) &&
		    !strncmp(name, wanted, strlen(wanted)))
			n++;
		fclose(file);
	}
	if (proc)
		closedir(proc);
	return n;
}

/* One that has ended may be seen for a moment still; one that has not, always. */
static int workers_left(pid_t pid)
{
	unsigned int i;

	for (i = 0; i < 1000 && count_workers(pid); i++)
		usleep(10000);
	return count_workers(pid);
}

static pid_t first_worker(const struct vdev *dev)
{
	char path[64], text[256];
	pid_t pid = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", dev->fd);
	file = fopen(path, "r");
	while (file && fgets(text, sizeof(text), file))
		if (sscanf(text, "khx-worker: %*d pid %d", &pid) == 1)
			break;
	if (file)
		fclose(file);
	return pid;
}

static bool wait_gone(pid_t pid)
{
	char path[64];
	int i;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	for (i = 0; i < 3000; i++) {
		if (access(path, F_OK))
			return true;
		usleep(1000);
	}
	return false;
}

static bool sends(struct net *net)
{
	static uint64_t at;
	struct vdev_queue *tx = &net->dev.queues[NET_TX];
	struct vring_buf buf = { .len = 12 + 60 };
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	void *cookie;
	uint32_t len;

	at = vdev_gpa(&net->dev, net->dev.mem + net->dev.size - 4096);
	buf.addr = at;
	if (vring_add(&tx->ring, &chain, NULL))
		return false;
	vdev_publish(tx);
	return vdev_get(tx, &cookie, &len, NET_TIMEOUT_MS);
}

static int worker_ioctl(struct net *net, unsigned long cmd,
			unsigned int index, unsigned int id)
{
	struct vhost_vring_worker worker = { .index = index, .worker_id = id };

	return ioctl(net->dev.fd, cmd, &worker) ? errno : 0;
}

static int worker_of(struct net *net, unsigned int index)
{
	struct vhost_vring_worker worker = { .index = index };

	if (ioctl(net->dev.fd, VHOST_GET_VRING_WORKER, &worker))
		return -errno;
	return worker.worker_id;
}

static void test_workers(void)
{
	struct vhost_worker_state state, last = {};
	struct net net = {};
	bool ok = true;
	int first, i;

	net_open(&net, FEATURES, NUM);
	first = worker_of(&net, NET_TX);
	tap_ok(first >= 0 && first == worker_of(&net, NET_RX),
	       "one worker serves all rings at first");
	tap_ok(!ioctl(net.dev.fd, VHOST_NEW_WORKER, &state),
	       "another worker starts");
	tap_is(worker_ioctl(&net, VHOST_ATTACH_VRING_WORKER, NET_TX,
			    state.worker_id), 0, "it takes a running ring");
	tap_is(worker_of(&net, NET_TX), state.worker_id, "and has it");
	tap_ok(sends(&net), "a packet goes out");
	tap_is(worker_ioctl(&net, VHOST_FREE_WORKER, state.worker_id, 0), EBUSY,
	       "a worker in use stays");
	for (i = 0; i < 100 && ok; i++)
		ok = !worker_ioctl(&net, VHOST_ATTACH_VRING_WORKER, NET_TX,
				   i % 2 ? state.worker_id : (unsigned int)first) &&
		     sends(&net);
	tap_ok(ok, "100 changes of worker under traffic");
	worker_ioctl(&net, VHOST_ATTACH_VRING_WORKER, NET_TX, first);
	tap_is(worker_ioctl(&net, VHOST_FREE_WORKER, state.worker_id, 0), 0,
	       "a worker that serves nothing ends");
	for (i = 0; i < 1000; i++)
		if (ioctl(net.dev.fd, VHOST_NEW_WORKER, &last))
			break;
	tap_is(i, VDEV_QUEUES, "one more for each ring is the limit");
	net_close(&net);
	tap_is(workers_left(getpid()), 0, "none is left after close");
}

/* Does the child, to whom the device does not belong, get these? */
static void test_other_process(void)
{
	struct net net = {};
	uint64_t features = FEATURES;
	int status, bad = 0;

	net_open(&net, FEATURES, NUM);
	if (!fork()) {
		bad |= !ioctl(net.dev.fd, VHOST_SET_OWNER, NULL) ||
		       errno != EBUSY;
		bad |= (!ioctl(net.dev.fd, VHOST_RESET_OWNER, NULL) ||
			errno != EPERM) << 1;
		bad |= (!vdev_set_memory(&net.dev) || errno != EPERM) << 2;
		bad |= (!vdev_set_backend(&net.dev, NET_TX, -1) ||
			errno != EPERM) << 3;
		bad |= (!ioctl(net.dev.fd, VHOST_SET_FEATURES, &features) ||
			errno != EPERM) << 4;
		_exit(bad);
	}
	wait(&status);
	tap_is(WEXITSTATUS(status), 0, "another process may do nothing");
	tap_ok(sends(&net), "and has changed nothing");
	net_close(&net);
}

static int unload(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? errno : 0;
}

static void test_module(void)
{
	int fd = open(NET_DEVICE, O_RDWR);

	if (geteuid() || access("/sys/module/khx_net/refcnt", F_OK)) {
		tap_skip("no module, or not root", "the module stays");
		tap_skip("no module, or not root", "so does the core");
	} else {
		tap_is(unload("khx_net"), EAGAIN,
		       "the module stays while it is open");
		tap_is(unload("khx"), EAGAIN, "so does the core");
	}
	close(fd);
}

static void traffic_for_ever(int ready)
{
	struct net net = {};

	net_open(&net, FEATURES, NUM);
	if (!sends(&net) ||
	    dprintf(ready, "%d\n", first_worker(&net.dev)) < 0)
		_exit(1);
	while (sends(&net))
		;
	_exit(1);
}

/* Kill an owner in the middle of it; true if nothing of it is left. */
static bool kill_one(unsigned int delay_us)
{
	char text[32] = "";
	int fds[2], n;
	pid_t pid, worker;

	if (pipe(fds))
		return false;
	pid = fork();
	if (!pid)
		traffic_for_ever(fds[1]);
	close(fds[1]);
	n = read(fds[0], text, sizeof(text) - 1);
	close(fds[0]);
	usleep(delay_us);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	worker = n > 0 ? atoi(text) : 0;
	return worker > 0 && wait_gone(worker);
}

static void test_kill(void)
{
	unsigned int i, gone = 0;

	for (i = 0; i < KILLS; i++)
		gone += kill_one(i * 1700 % 20000);
	tap_is(gone, KILLS, "owners killed under traffic, workers gone");
}

static void test_cycles(void)
{
	unsigned int i, ok = 0;
	struct vdev dev;

	for (i = 0; i < CYCLES; i++) {
		if (vdev_open(&dev, NET_DEVICE, FEATURES, 1 << 20))
			break;
		ok += !vdev_queue_open(&dev, 0, NUM);
		vdev_close(&dev);
	}
	tap_is(ok, CYCLES, "opened, set up and closed");
	tap_is(workers_left(getpid()), 0, "no worker is left");
}

/* As a user who may have LIMIT threads: how many devices get an owner? */
static int count_owned(void)
{
	struct rlimit limit = { .rlim_cur = LIMIT, .rlim_max = LIMIT };
	int fds[2 * LIMIT], i;

	for (i = 0; i < 2 * LIMIT; i++)
		fds[i] = open(NET_DEVICE, O_RDWR | O_CLOEXEC);
	if (setrlimit(RLIMIT_NPROC, &limit) || setuid(65534))
		return -1;
	for (i = 0; i < 2 * LIMIT; i++)
		if (ioctl(fds[i], VHOST_SET_OWNER))
			return errno == EAGAIN || errno == ENOMEM ? i : -1;
	return i;
}

/* A thread of the kernel's own has no process that it could count with. */
static void test_limit(void)
{
	int status = 0, n;
	pid_t pid = fork();

	if (!pid)
		_exit(count_owned());
	waitpid(pid, &status, 0);
	n = WEXITSTATUS(status);
	tap_diag("%d devices have an owner, the limit is %d", n, LIMIT);
	tap_ok(n == LIMIT || n == LIMIT - 1,
	       "a user's workers count against RLIMIT_NPROC");
}

/* Reads what /proc shows of it until killed; ends if that is not all of it. */
static pid_t start_reader(int fd)
{
	char path[32], text[4096];
	ssize_t n;
	int info;
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	do {
		info = open(path, O_RDONLY);
		n = read(info, text, sizeof(text) - 1);
		close(info);
		text[n > 0 ? n : 0] = 0;
	} while (strstr(text, "queue-1:\tsplit num 0 "));
	_exit(1);
}

/* Nothing of a device is ever missing, also while it changes hands. */
static void test_show(void)
{
	int fd = open(NET_DEVICE, O_RDWR | O_CLOEXEC), status[2];
	time_t end = time(NULL) + SHOW_SECONDS;
	pid_t readers[2];
	unsigned int i;

	for (i = 0; i < 2; i++)
		readers[i] = start_reader(fd);
	while (time(NULL) < end)
		if (ioctl(fd, VHOST_SET_OWNER) || ioctl(fd, VHOST_RESET_OWNER))
			break;
	for (i = 0; i < 2; i++) {
		kill(readers[i], SIGTERM);
		waitpid(readers[i], &status[i], 0);
	}
	tap_ok(WIFSIGNALED(status[0]) && WIFSIGNALED(status[1]) &&
	       WTERMSIG(status[0]) == SIGTERM && WTERMSIG(status[1]) == SIGTERM,
	       "it can be looked at while its owner comes and goes");
	close(fd);
}

static void read_line(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");

	text[0] = 0;
	if (!file)
		return;
	if (!fgets(text, size, file))
		text[0] = 0;
	fclose(file);
}

/* In a group of our own, so that it is not by chance. */
static void test_cgroup(void)
{
	const char *root = "/sys/fs/cgroup", *what = "the worker pays from the owner's cgroup";
	char dir[64], path[128], ours[256], its[256];
	struct net net = {};
	FILE *procs;

	snprintf(dir, sizeof(dir), "%s/khxtest-%d", root, getpid());
	snprintf(path, sizeof(path), "%s/cgroup.procs", dir);
	procs = mkdir(dir, 0755) ? NULL : fopen(path, "w");
	if (!procs) {
		tap_skip("no cgroup v2 to write", "%s", what);
		return;
	}
	fprintf(procs, "%d\n", getpid());
	fclose(procs);

	net_open(&net, FEATURES, NUM);
	snprintf(path, sizeof(path), "/proc/%d/cgroup", first_worker(&net.dev));
	read_line(path, its, sizeof(its));
	read_line("/proc/self/cgroup", ours, sizeof(ours));
	tap_ok(ours[0] && !strcmp(its, ours), "%s", what);
	net_close(&net);

	snprintf(path, sizeof(path), "%s/cgroup.procs", root);
	procs = fopen(path, "w");
	if (procs) {
		fprintf(procs, "%d\n", getpid());
		fclose(procs);
	}
	rmdir(dir);
}

int main(void)
{
	if (access(NET_DEVICE, R_OK | W_OK))
		tap_skip_all("no %s", NET_DEVICE);
	tap_plan(10 + 2 + 2 + 1 + 2 + 1 + 1 + 1);
	test_workers();
	test_other_process();
	test_module();
	test_kill();
	test_cycles();
	test_show();
	test_limit();
	test_cgroup();
	return tap_exit();
}
