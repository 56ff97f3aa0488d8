// SPDX-License-Identifier: GPL-2.0
/*
 * An owner can hold a worker up, as his memory may be backed by anything; here
 * by userfaultfd. Who changes how the device is served gets an answer all the
 * same, soon, and all is well once the owner lets go, or is killed.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ctl.h"
#include "netlib.h"

#define NUM		16
#define LEN		100
#define PAGE		4096
#define FEATURES	(VDEV_F(VIRTIO_F_VERSION_1) | VDEV_F(VIRTIO_RING_F_EVENT_IDX))

/* How many devices may end in the background at a time. */
#define REAPER		"/sys/devices/virtual/workqueue/khx_reaper/max_active"

/* Longer than the kernel waits, on a slow machine, and not for ever. */
#define SOON		20

struct held {
	struct net net;
	struct ctl ctl;
	uint32_t dev;
	int uffd;
	char *packet;	/* to be sent, in a page */
	char *page;	/* the one that is missing then */
};

/* By this an owner who is to be killed is told of errors of his queue. */
static int told;

static int64_t seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec;
}

static int set_mode(struct held *held, uint32_t mode)
{
	struct nlmsghdr *nlh = ctl_request(&held->ctl, KHX_CMD_WORKER_SET, 0);
	int64_t start = seconds();
	int ret;

	mnl_attr_put_u32(nlh, KHX_A_DEV_ID, held->dev);
	mnl_attr_put_u32(nlh, KHX_A_MODE, mode);
	ret = ctl_run(&held->ctl, nlh, NULL, NULL);
	if (held->ctl.extack[0])
		tap_diag("%s", held->ctl.extack);
	return seconds() - start < SOON ? ret : -ETIME;
}

/* From now on whoever touches the page, once it is missing, waits until let_go(). */
static bool watch(struct held *held, void *page)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)page, PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	held->page = page;
	return !ioctl(held->uffd, UFFDIO_REGISTER, &reg);
}

static void watch_packet(struct held *held)
{
	struct uffdio_api api = { .api = UFFD_API };

	held->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (held->uffd < 0)
		tap_skip_all("userfaultfd: %s", strerror(errno));
	if (ioctl(held->uffd, UFFDIO_API, &api) || !watch(held, held->packet))
		tap_bail("userfaultfd: %s", strerror(errno));
}

/* Have the transmit queue's worker stand before the page. */
static bool hold_up(struct held *held)
{
	struct vdev_queue *queue = &held->net.dev.queues[NET_TX];
	struct vring_buf buf = {
		.addr = vdev_gpa(&held->net.dev, held->packet),
		.len = held->net.hdr_len + LEN,
	};
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	struct pollfd pollfd = { .fd = held->uffd, .events = POLLIN };
	bool of_ring = held->page != held->packet;
	struct uffd_msg msg;

	if (!of_ring)
		madvise(held->page, PAGE, MADV_DONTNEED);
	/* One of the ring is missed by us, too; asleep, the worker does not look. */
	else if (!net_worker_idle(&held->net))
		return false;
	if (vring_add(&queue->ring, &chain, NULL))
		return false;
	vring_publish(&queue->ring);
	if (of_ring)
		madvise(held->page, PAGE, MADV_DONTNEED);
	eventfd_write(queue->kick, 1);
	return poll(&pollfd, 1, NET_TIMEOUT_MS) == 1 &&
	       read(held->uffd, &msg, sizeof(msg)) == sizeof(msg);
}

static bool zero_page(struct held *held)
{
	struct uffdio_zeropage zero = {
		.range = { (uintptr_t)held->page, PAGE },
	};

	return !ioctl(held->uffd, UFFDIO_ZEROPAGE, &zero);
}

/* A page of zeroes; the packet in it then comes back. */
static bool let_go(struct held *held)
{
	uint32_t len;
	void *cookie;

	return zero_page(held) &&
	       vdev_get(&held->net.dev.queues[NET_TX], &cookie, &len,
			NET_TIMEOUT_MS);
}

static void open_held(struct held *held)
{
	net_open(&held->net, FEATURES, NUM);
	ctl_open(&held->ctl);
	held->dev = ctl_last_device(&held->ctl);
	held->packet = vdev_alloc(&held->net.dev, PAGE);
	watch_packet(held);
}

static bool share_workers(struct held *held)
{
	return !set_mode(held, KHX_MODE_SHARED);
}

static bool replace_workers(struct held *held)
{
	return !set_mode(held, KHX_MODE_QUEUE);
}

static bool tell_errors(struct held *held)
{
	struct vhost_vring_file file = { .index = NET_TX, .fd = told };

	return !ioctl(held->net.dev.fd, VHOST_SET_VRING_ERR, &file);
}

/* As it looks for what there is to be sent... */
static bool await_avail(struct held *held)
{
	return watch(held, held->net.dev.queues[NET_TX].ring.at.avail);
}

/* ... and as it returns what was. */
static bool await_used(struct held *held)
{
	return watch(held, held->net.dev.queues[NET_TX].ring.at.used);
}

static bool do_nothing(struct held *held)
{
	(void)held;
	return true;
}

/*
 * A child that holds its worker up. Its userfaultfd has a lower descriptor than
 * the device: when a process exits, the kernel lets go of the file with the
 * highest one first.
 */
static pid_t start_owner(bool (*prepare)(struct held *held), bool closes)
{
	static struct held held;
	int pipes[2], low;
	pid_t pid;
	char byte;

	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (pid) {
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) != 1)
			tap_diag("the owner does not hold his worker up");
		close(pipes[0]);
		return pid;
	}
	low = dup(pipes[1]);
	open_held(&held);
	if (dup2(held.uffd, low) < 0 || close(held.uffd))
		_exit(1);
	held.uffd = low;
	if (!tell_errors(&held) || !prepare(&held) || !hold_up(&held) ||
	    write(pipes[1], "", 1) != 1)
		_exit(1);
	if (closes)
		close(held.net.dev.fd);
	pause();
	_exit(0);
}

/* Wait until a process sleeps and no signal can wake it: in close(). */
static void await_sleep(pid_t pid)
{
	char path[64], state = 0;
	int64_t start = seconds();
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'D' && seconds() - start < SOON) {
		usleep(10000);
		file = fopen(path, "r");
		if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
			state = 0;
		if (file)
			fclose(file);
	}
	if (state != 'D')
		tap_diag("the owner does not wait in close()");
}

static bool await_end(pid_t pid, int *status)
{
	int64_t start = seconds();

	while (!waitpid(pid, status, WNOHANG)) {
		if (seconds() - start >= SOON)
			return false;
		usleep(10000);
	}
	return true;
}

static bool has_ended(pid_t pid)
{
	int status;

	return await_end(pid, &status) && WIFEXITED(status) &&
	       !WEXITSTATUS(status);
}

static bool is_gone(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	return await_end(pid, &status) && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGKILL;
}

static void test_killed(void)
{
	pid_t pid = start_owner(do_nothing, false);

	tap_ok(is_gone(pid), "an owner who holds a worker up can be killed");
	pid = start_owner(share_workers, false);
	tap_ok(is_gone(pid), "and if that worker is a shared one");
	pid = start_owner(do_nothing, true);
	await_sleep(pid);
	tap_ok(is_gone(pid), "and when he waits for it in close()");
	pid = start_owner(await_avail, false);
	tap_ok(is_gone(pid), "and when it reads the ring");
	pid = start_owner(await_used, false);
	tap_ok(is_gone(pid), "and when it writes there");
	tap_ok(!vdev_event(told), "that is told as an error of none of their queues");
}

static void *swap_memory(void *arg)
{
	struct held *held = arg;

	/* A table of no regions, once it can be read. */
	return ioctl(held->net.dev.fd, VHOST_SET_MEM_TABLE, held->page) ?
		held : NULL;
}

/* The owner keeps not only a worker: an ioctl of his own waits, too. */
static void test_busy(struct held *held)
{
	struct pollfd pollfd = { .fd = held->uffd, .events = POLLIN };
	struct uffd_msg msg;
	pthread_t thread;
	void *failed;

	madvise(held->page, PAGE, MADV_DONTNEED);
	if (pthread_create(&thread, NULL, swap_memory, held))
		tap_bail("no thread");
	tap_ok(poll(&pollfd, 1, NET_TIMEOUT_MS) == 1 &&
	       read(held->uffd, &msg, sizeof(msg)) == sizeof(msg),
	       "an ioctl of the owner waits for his memory");
	tap_is(set_mode(held, KHX_MODE_DEVICE), -ETIMEDOUT,
	       "who sets something hears soon that it cannot be done");
	zero_page(held);
	pthread_join(thread, &failed);
	tap_ok(!failed, "the ioctl succeeds once it can be read");
	tap_is(set_mode(held, KHX_MODE_DEVICE), 0, "and so does the other");
}

/* Returns how many it was. */
static int set_reaper(int now)
{
	FILE *file = fopen(REAPER, "r+");
	int before;

	if (!file || fscanf(file, "%d", &before) != 1 ||
	    fseek(file, 0, SEEK_SET) || fprintf(file, "%d", now) < 0 ||
	    fclose(file))
		tap_bail("%s: %s", REAPER, strerror(errno));
	return before;
}

/*
 * Another process has the last file, and only wants to end. The device does not
 * before its owner lets go, and there is no room for more of that kind.
 */
static void test_stranger(void)
{
	int pipes[2], room = set_reaper(1);
	static struct held held;
	pid_t pid;
	char byte;

	open_held(&held);
	if (pipe(pipes))
		tap_bail("pipe: %s", strerror(errno));
	pid = fork();
	if (!pid) {
		close(pipes[1]);
		_exit(read(pipes[0], &byte, 1));
	}
	tap_ok(hold_up(&held), "a worker is held up once more");
	close(held.net.dev.fd);
	close(pipes[1]);
	tap_ok(has_ended(pid), "who closes the device last does not wait");
	kill(pid, SIGKILL);
	pid = start_owner(replace_workers, false);
	tap_ok(is_gone(pid), "nor does an owner whose workers were replaced then");
	zero_page(&held);
	set_reaper(room);
}

int main(void)
{
	static struct held held;

	net_require();
	open_held(&held);
	tap_plan(13 + 4 + 6);
	told = eventfd(0, EFD_NONBLOCK);

	tap_ok(hold_up(&held), "the only worker is held up");
	tap_is(vdev_stat(&held.net.dev, "tx", "drops"), 0,
	       "the device's counters can be read all the same");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), -ETIMEDOUT,
	       "it cannot be told to make others, which is said soon");
	tap_ok(let_go(&held), "its packet is sent once it can be read");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), 0, "then it can");

	tap_ok(hold_up(&held), "the worker of one queue is held up");
	tap_is(set_mode(&held, KHX_MODE_DEVICE), 0,
	       "it is replaced without waiting for its end");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), -ETIMEDOUT,
	       "but others are not before it has come");
	tap_ok(let_go(&held), "its packet is sent once it can be read, too");
	tap_is(set_mode(&held, KHX_MODE_QUEUE), 0, "then others are");

	test_busy(&held);
	ctl_close(&held.ctl);
	net_close(&held.net);
	test_stranger();
	test_killed();
	return tap_exit();
}
