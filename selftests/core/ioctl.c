// SPDX-License-Identifier: GPL-2.0
/*
 * Every ioctl of linux/vhost.h with garbage and at the wrong time: the errno
 * that mainline gives. Where we differ on purpose, the table says why; where
 * /dev/vhost-net is there, both columns are checked. After each refusal the
 * device must still do what it did before, and a trace event has said why.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "netlib.h"
#include "worker.h"

#define MAINLINE	"/dev/vhost-net"
#define NUM		64
#define FEATURES	(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_EVENT_IDX))
#define BAD_POINTER	((void *)8)
#define BAD_FD		9999
#define TRACING		"/sys/kernel/tracing/"

/* What a device is when the ioctl comes. */
enum state { FRESH, OWNED, SET_UP, RUNNING };

static struct target {
	const char *path;
	struct vdev dev;
	struct tapdev tap;
} t;

static unsigned int untold;

static bool trace_write(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_TRUNC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) >= 0;

	close(fd);
	return ok;
}

/* The last refusal that was traced, from behind "dev=N " on; or "". */
static const char *trace_last(void)
{
	FILE *file = fopen(TRACING "trace", "r");
	static char last[256];
	char line[512], *at;

	last[0] = '\0';
	while (file && fgets(line, sizeof(line), file)) {
		at = strstr(line, "khx_ioctl_error: dev=");
		at = at ? strstr(at, " cmd=") : NULL;
		if (at)
			snprintf(last, sizeof(last), "%.*s",
				 (int)strcspn(at + 1, "\n"), at + 1);
	}
	if (file)
		fclose(file);
	return last;
}

/* Where we give the errno for several reasons, which one must be said. */
static void trace_look(int err)
{
	const char *last = trace_last();
	char wanted[32];

	snprintf(wanted, sizeof(wanted), " err=-%d ", err);
	if (strstr(last, wanted) &&
	    !((err == EFAULT || err == EPERM) && strstr(last, "check=\"\"")))
		return;
	tap_diag("traced: %s", last);
	untold++;
}

/* An ioctl, and its errno or 0. */
static int do_ioctl(unsigned long cmd, void *arg)
{
	return ioctl(t.dev.fd, cmd, arg) ? errno : 0;
}

static int with_u64(unsigned long cmd, uint64_t value)
{
	return do_ioctl(cmd, &value);
}

static int with_state(unsigned long cmd, unsigned int index, unsigned int num)
{
	struct vhost_vring_state state = { .index = index, .num = num };

	return do_ioctl(cmd, &state);
}

static int with_fd(unsigned long cmd, unsigned int index, int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return do_ioctl(cmd, &file);
}

static int with_worker(unsigned long cmd, unsigned int index, unsigned int id)
{
	struct vhost_vring_worker worker = { .index = index, .worker_id = id };

	return do_ioctl(cmd, &worker);
}

/* The addresses the ring has, off by this much. */
static int with_addr(unsigned int flags, long desc, long avail, long used,
		     long log)
{
	const struct vring_layout *at = &t.dev.queues[NET_TX].ring.at;
	struct vhost_vring_addr addr = {
		.index = NET_TX,
		.flags = flags,
		.desc_user_addr = (uintptr_t)at->desc + desc,
		.avail_user_addr = (uintptr_t)at->avail + avail,
		.used_user_addr = (uintptr_t)at->used + used,
		.log_guest_addr = vdev_gpa(&t.dev, at->used) + log,
	};

	return do_ioctl(VHOST_SET_VRING_ADDR, &addr);
}

static int with_regions(unsigned int n, unsigned int padding, uint64_t size,
			uint64_t stride)
{
	static char room[sizeof(struct vhost_memory) +
			 600 * sizeof(struct vhost_memory_region)];
	struct vhost_memory *table = (struct vhost_memory *)room;
	unsigned int i;

	table->nregions = n;
	table->padding = padding;
	for (i = 0; i < n && i < 600; i++)
		table->regions[i] = (struct vhost_memory_region) {
			.guest_phys_addr = VDEV_GPA + i * stride,
			.memory_size = size,
			.userspace_addr = (uintptr_t)t.dev.mem,
		};
	return do_ioctl(VHOST_SET_MEM_TABLE, table);
}

static int a_pipe(void)
{
	static int fds[2] = { -1, -1 };

	if (fds[0] < 0 && pipe(fds))
		tap_bail("pipe: %s", strerror(errno));
	return fds[0];
}

static void target_open(enum state state)
{
	bool ok;

	if (state == FRESH) {
		t.dev = (struct vdev) { .fd = open(t.path, O_RDWR) };
		ok = t.dev.fd >= 0;
	} else {
		ok = !vdev_open(&t.dev, t.path, FEATURES, 2 << 20);
	}
	if (ok && state >= SET_UP)
		ok = !vdev_queue_open(&t.dev, NET_RX, NUM) &&
		     !vdev_queue_open(&t.dev, NET_TX, NUM);
	if (ok && state == RUNNING)
		ok = !vdev_set_backend(&t.dev, NET_TX, t.tap.fd);
	if (!ok)
		tap_bail("%s: set up: %s", t.path, strerror(errno));
}

static void target_close(enum state state)
{
	if (state == FRESH)
		close(t.dev.fd);
	else
		vdev_close(&t.dev);
}

/* Does a packet still go out, as before? */
static bool still_serves(void)
{
	struct vdev_queue *tx = &t.dev.queues[NET_TX];
	struct vring_buf buf = { .len = 12 + 60 };
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	static uint64_t room;
	void *cookie;
	uint32_t len;

	room = room ?: vdev_gpa(&t.dev, t.dev.mem) + t.dev.size - 4096;
	buf.addr = room;
	if (vring_add(&tx->ring, &chain, NULL))
		return false;
	vdev_publish(tx);
	return vdev_get(tx, &cookie, &len, NET_TIMEOUT_MS);
}

/**
 * struct ioctl_case - one wrong call
 * @name: what is wrong
 * @state: what the device is then
 * @want: our errno
 * @mainline: mainline's, if another; -1 for "not in 6.1"
 * @why: why ours differs
 */
struct ioctl_case {
	const char *name;
	enum state state;
	int want;
	int mainline;
	const char *why;
};

/* Tables of calls: an X-macro would hide what is done; so each is a line. */
#define CASE(state_, name_, want_, call) do { \
	if (case_begin(&(struct ioctl_case) { name_, state_, want_, 0, NULL })) \
		case_end(call); \
} while (0)
#define CASE_DIFF(state_, name_, want_, mainline_, why_, call) do { \
	if (case_begin(&(struct ioctl_case) { name_, state_, want_, \
					      mainline_, why_ })) \
		case_end(call); \
} while (0)
#define NOT_IN_6_1	-1

static struct ioctl_case now;
static unsigned int nr_cases;
/* Why mainline answers otherwise, where several cases share the reason. */
static const char index_first[] =
	"mainline reads the index of a ring before it looks at the command";
static const char no_log[] =
	"mainline takes address 0 for a log, and fails when it writes there";

static bool counting, is_mainline;

static bool case_begin(const struct ioctl_case *this)
{
	nr_cases++;
	if (counting)
		return false;
	now = *this;
	target_open(now.state);
	trace_write(TRACING "trace", "");
	return true;
}

static int wanted(void)
{
	if (!is_mainline || !now.why)
		return now.want;
	return now.mainline == NOT_IN_6_1 ? ENOTTY : now.mainline;
}

static void case_end(int got)
{
	static const char *const states[] = {
		"no owner", "owned", "set up", "running",
	};
	int want = wanted();
	bool ok = got == want;

	if (!ok)
		tap_diag("%s, not %s", got ? strerror(got) : "success",
			 want ? strerror(want) : "success");
	if (ok && now.state == RUNNING && got && !still_serves()) {
		tap_diag("no packet goes out afterwards");
		ok = false;
	}
	if (got && !is_mainline)
		trace_look(got);
	if (now.why && !is_mainline)
		tap_diag("differs from mainline: %s", now.why);
	tap_ok(ok, "%s, %s: %s", t.path, states[now.state], now.name);
	target_close(now.state);
}

static void test_owner(void)
{
	CASE(FRESH, "GET_FEATURES", 0, with_u64(VHOST_GET_FEATURES, 0));
	CASE(FRESH, "GET_FEATURES, bad pointer", EFAULT,
	     do_ioctl(VHOST_GET_FEATURES, BAD_POINTER));
	CASE(FRESH, "SET_MEM_TABLE", EPERM, with_regions(0, 0, 0, 0));
	CASE(FRESH, "SET_LOG_BASE", EPERM, with_u64(VHOST_SET_LOG_BASE, 0));
	CASE(FRESH, "SET_LOG_FD", EPERM, with_u64(VHOST_SET_LOG_FD, 0));
	CASE(FRESH, "SET_VRING_NUM", EPERM,
	     with_state(VHOST_SET_VRING_NUM, 0, NUM));
	CASE(FRESH, "SET_VRING_BASE", EPERM,
	     with_state(VHOST_SET_VRING_BASE, 0, 0));
	CASE(FRESH, "GET_VRING_BASE", EPERM,
	     with_state(VHOST_GET_VRING_BASE, 0, 0));
	CASE(FRESH, "SET_VRING_KICK", EPERM,
	     with_fd(VHOST_SET_VRING_KICK, 0, -1));
	CASE(FRESH, "SET_VRING_ADDR, bad pointer", EPERM,
	     do_ioctl(VHOST_SET_VRING_ADDR, BAD_POINTER));
	CASE(FRESH, "NET_SET_BACKEND", EPERM,
	     with_fd(VHOST_NET_SET_BACKEND, 0, -1));
	CASE(FRESH, "RESET_OWNER", EPERM, do_ioctl(VHOST_RESET_OWNER, NULL));
	CASE(FRESH, "an unknown command", EPERM,
	     do_ioctl(_IO(VHOST_VIRTIO, 0x7b), NULL));

	CASE(OWNED, "SET_OWNER again", EBUSY, do_ioctl(VHOST_SET_OWNER, NULL));
	CASE_DIFF(OWNED, "an unknown command", ENOTTY, EFAULT, index_first,
		  do_ioctl(_IO(VHOST_VIRTIO, 0x7b), NULL));
	CASE_DIFF(OWNED, "an ioctl of another driver", ENOTTY, EFAULT,
		  index_first, do_ioctl(_IO('t', 1), NULL));
	CASE(OWNED, "RESET_OWNER", 0, do_ioctl(VHOST_RESET_OWNER, NULL));
	CASE(OWNED, "RESET_OWNER twice", EPERM,
	     do_ioctl(VHOST_RESET_OWNER, NULL) ?:
	     do_ioctl(VHOST_RESET_OWNER, NULL));
	CASE(OWNED, "RESET_OWNER, SET_OWNER", 0,
	     do_ioctl(VHOST_RESET_OWNER, NULL) ?:
	     do_ioctl(VHOST_SET_OWNER, NULL));
}

static void test_features(void)
{
	CASE(OWNED, "SET_FEATURES, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_FEATURES, BAD_POINTER));
	CASE(OWNED, "SET_FEATURES, not offered", EOPNOTSUPP,
	     with_u64(VHOST_SET_FEATURES, VDEV_F(62)));
	CASE(OWNED, "SET_FEATURES, none", 0, with_u64(VHOST_SET_FEATURES, 0));
	CASE_DIFF(OWNED, "SET_FEATURES, packed without VERSION_1", EINVAL,
		  EOPNOTSUPP, "mainline 6.1 has no packed rings",
		  with_u64(VHOST_SET_FEATURES, VDEV_F(VIRTIO_F_RING_PACKED)));
	CASE_DIFF(RUNNING, "SET_FEATURES, another set", EBUSY, 0,
		  "header and ring format must not change under a packet",
		  with_u64(VHOST_SET_FEATURES, 0));
	CASE(RUNNING, "SET_FEATURES, the same", 0,
	     with_u64(VHOST_SET_FEATURES, FEATURES));
	CASE_DIFF(RUNNING, "SET_FEATURES, LOG_ALL without a log", EFAULT, 0,
		  no_log, with_u64(VHOST_SET_FEATURES,
				   FEATURES | VDEV_F(VHOST_F_LOG_ALL)));
	CASE(OWNED, "SET_BACKEND_FEATURES, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_BACKEND_FEATURES, BAD_POINTER));
	CASE(OWNED, "SET_BACKEND_FEATURES, not offered", EOPNOTSUPP,
	     with_u64(VHOST_SET_BACKEND_FEATURES, VDEV_F(62)));
}

static void test_memory(void)
{
	CASE(OWNED, "SET_MEM_TABLE, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_MEM_TABLE, BAD_POINTER));
	CASE(OWNED, "SET_MEM_TABLE, padding", EOPNOTSUPP,
	     with_regions(1, 1, 4096, 0));
	CASE(OWNED, "SET_MEM_TABLE, 2^32 - 1 regions", E2BIG,
	     with_regions(~0u, 0, 4096, 0));
	CASE(OWNED, "SET_MEM_TABLE, an empty region", EFAULT,
	     with_regions(1, 0, 0, 0));
	CASE(OWNED, "SET_MEM_TABLE, a region that wraps", EFAULT,
	     with_regions(1, 0, -4096ull, 0));
	CASE_DIFF(OWNED, "SET_MEM_TABLE, overlapping regions", EINVAL, 0,
		  "an overlap has no meaning",
		  with_regions(2, 0, 8192, 4096));
	CASE_DIFF(OWNED, "SET_MEM_TABLE, 512 regions", 0, E2BIG,
		  "more memory slots", with_regions(512, 0, 4096, 4096));
	CASE(OWNED, "SET_MEM_TABLE, 513 regions", E2BIG,
	     with_regions(513, 0, 4096, 4096));
	CASE(RUNNING, "SET_MEM_TABLE, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_MEM_TABLE, BAD_POINTER));
	CASE(RUNNING, "SET_MEM_TABLE, the same", 0,
	     with_regions(1, 0, t.dev.size, 0));
	CASE(OWNED, "SET_LOG_BASE, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_LOG_BASE, BAD_POINTER));
	CASE(OWNED, "SET_LOG_FD, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_LOG_FD, BAD_POINTER));
	CASE(OWNED, "SET_LOG_FD, no file", EBADF,
	     with_u64(VHOST_SET_LOG_FD, BAD_FD));
	CASE(OWNED, "SET_LOG_FD, a pipe", EINVAL,
	     with_u64(VHOST_SET_LOG_FD, a_pipe()));
}

static void test_ring(void)
{
	const uint64_t packed = VDEV_F(VIRTIO_F_RING_PACKED) | FEATURES;

	CASE(OWNED, "SET_VRING_NUM, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_VRING_NUM, BAD_POINTER));
	CASE(OWNED, "SET_VRING_NUM, ring 2", ENOBUFS,
	     with_state(VHOST_SET_VRING_NUM, 2, NUM));
	CASE(OWNED, "SET_VRING_NUM, ring 2^32 - 1", ENOBUFS,
	     with_state(VHOST_SET_VRING_NUM, ~0u, NUM));
	CASE(OWNED, "SET_VRING_NUM, 0", EINVAL,
	     with_state(VHOST_SET_VRING_NUM, 0, 0));
	CASE(OWNED, "SET_VRING_NUM, 3", EINVAL,
	     with_state(VHOST_SET_VRING_NUM, 0, 3));
	CASE(OWNED, "SET_VRING_NUM, 1", 0,
	     with_state(VHOST_SET_VRING_NUM, 0, 1));
	CASE(OWNED, "SET_VRING_NUM, 32768", 0,
	     with_state(VHOST_SET_VRING_NUM, 0, 32768));
	CASE(OWNED, "SET_VRING_NUM, 65536", EINVAL,
	     with_state(VHOST_SET_VRING_NUM, 0, 65536));
	CASE(OWNED, "SET_VRING_NUM, 2^31", EINVAL,
	     with_state(VHOST_SET_VRING_NUM, 0, 1u << 31));
	CASE(RUNNING, "SET_VRING_NUM", EBUSY,
	     with_state(VHOST_SET_VRING_NUM, NET_TX, 2 * NUM));
	CASE_DIFF(OWNED, "SET_VRING_NUM, packed, 3", 0, EOPNOTSUPP,
		  "mainline 6.1 has no packed rings",
		  with_u64(VHOST_SET_FEATURES, packed) ?:
		  with_state(VHOST_SET_VRING_NUM, 0, 3));
	CASE_DIFF(OWNED, "SET_VRING_NUM, packed, 32769", EINVAL, EOPNOTSUPP,
		  "mainline 6.1 has no packed rings",
		  with_u64(VHOST_SET_FEATURES, packed) ?:
		  with_state(VHOST_SET_VRING_NUM, 0, 32769));

	CASE(OWNED, "SET_VRING_BASE, 65536", EINVAL,
	     with_state(VHOST_SET_VRING_BASE, 0, 65536));
	CASE(RUNNING, "SET_VRING_BASE", EBUSY,
	     with_state(VHOST_SET_VRING_BASE, NET_TX, 7));
	CASE(RUNNING, "GET_VRING_BASE", 0,
	     with_state(VHOST_GET_VRING_BASE, NET_TX, 0));
	CASE(OWNED, "GET_VRING_BASE, ring 2", ENOBUFS,
	     with_state(VHOST_GET_VRING_BASE, 2, 0));

	CASE_DIFF(SET_UP, "SET_VRING_ENDIAN, little", 0, ENOTTY,
		  "a build option of mainline's, off in Debian",
		  with_state(VHOST_SET_VRING_ENDIAN, 0, 0));
	CASE_DIFF(SET_UP, "SET_VRING_ENDIAN, 2", EINVAL, ENOTTY,
		  "a build option of mainline's, off in Debian",
		  with_state(VHOST_SET_VRING_ENDIAN, 0, 2));
	CASE_DIFF(RUNNING, "SET_VRING_ENDIAN", EBUSY, ENOTTY,
		  "a build option of mainline's, off in Debian",
		  with_state(VHOST_SET_VRING_ENDIAN, NET_TX, 0));
	CASE(SET_UP, "SET_VRING_BUSYLOOP_TIMEOUT", 0,
	     with_state(VHOST_SET_VRING_BUSYLOOP_TIMEOUT, 0, 10));
	CASE(SET_UP, "GET_VRING_BUSYLOOP_TIMEOUT, ring 2", ENOBUFS,
	     with_state(VHOST_GET_VRING_BUSYLOOP_TIMEOUT, 2, 0));
}

static void test_addr(void)
{
	const long noncanonical = 1l << 62;

	CASE(SET_UP, "SET_VRING_ADDR, bad pointer", EFAULT,
	     do_ioctl(VHOST_SET_VRING_ADDR, BAD_POINTER));
	CASE(SET_UP, "SET_VRING_ADDR, as it is", 0, with_addr(0, 0, 0, 0, 0));
	CASE(SET_UP, "SET_VRING_ADDR, an unknown flag", EOPNOTSUPP,
	     with_addr(2, 0, 0, 0, 0));
	CASE(SET_UP, "SET_VRING_ADDR, avail ring unaligned", EINVAL,
	     with_addr(0, 0, 1, 0, 0));
	CASE(SET_UP, "SET_VRING_ADDR, used ring unaligned", EINVAL,
	     with_addr(0, 0, 0, 2, 0));
	CASE(SET_UP, "SET_VRING_ADDR, log unaligned", EINVAL,
	     with_addr(0, 0, 0, 0, 2));
	CASE(SET_UP, "an address nobody has, then a backend", EFAULT,
	     with_addr(0, noncanonical, 0, 0, 0) ?:
	     with_fd(VHOST_NET_SET_BACKEND, NET_TX, t.tap.fd));
	CASE_DIFF(RUNNING, "SET_VRING_ADDR, elsewhere", EBUSY, 0,
		  "nobody moves a ring that runs",
		  with_addr(0, 4096, 0, 0, 0));
	CASE(RUNNING, "SET_VRING_ADDR, an address nobody has",
	     is_mainline ? EINVAL : EBUSY,
	     with_addr(0, noncanonical, 0, 0, 0));
	CASE_DIFF(RUNNING, "SET_VRING_ADDR, log without a log", EINVAL, 0,
		  no_log, with_addr(1, 0, 0, 0, 0));
	CASE(RUNNING, "SET_VRING_ADDR, as it is", 0, with_addr(0, 0, 0, 0, 0));
}

static void test_files(void)
{
	static const struct {
		unsigned long cmd;
		const char *name;
	} cmds[] = {
		{ VHOST_SET_VRING_KICK, "SET_VRING_KICK" },
		{ VHOST_SET_VRING_CALL, "SET_VRING_CALL" },
		{ VHOST_SET_VRING_ERR, "SET_VRING_ERR" },
	};
	char name[64];
	unsigned int i;

	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s, no file", cmds[i].name);
		CASE(RUNNING, name, EBADF,
		     with_fd(cmds[i].cmd, NET_TX, BAD_FD));
		snprintf(name, sizeof(name), "%s, a pipe", cmds[i].name);
		CASE(RUNNING, name, EINVAL,
		     with_fd(cmds[i].cmd, NET_TX, a_pipe()));
		snprintf(name, sizeof(name), "%s, ring 2", cmds[i].name);
		CASE(RUNNING, name, ENOBUFS, with_fd(cmds[i].cmd, 2, -1));
		snprintf(name, sizeof(name), "%s, none", cmds[i].name);
		CASE(SET_UP, name, 0, with_fd(cmds[i].cmd, NET_TX, -1));
	}
	CASE(OWNED, "NET_SET_BACKEND, no ring", EFAULT,
	     with_fd(VHOST_NET_SET_BACKEND, NET_TX, t.tap.fd));
	CASE(SET_UP, "NET_SET_BACKEND, no file", ENOTSOCK,
	     with_fd(VHOST_NET_SET_BACKEND, NET_TX, BAD_FD));
	CASE(SET_UP, "NET_SET_BACKEND, a pipe", ENOTSOCK,
	     with_fd(VHOST_NET_SET_BACKEND, NET_TX, a_pipe()));
	CASE(RUNNING, "NET_SET_BACKEND, a pipe", ENOTSOCK,
	     with_fd(VHOST_NET_SET_BACKEND, NET_TX, a_pipe()));
	CASE(SET_UP, "NET_SET_BACKEND, ring 2", ENOBUFS,
	     with_fd(VHOST_NET_SET_BACKEND, 2, t.tap.fd));
}

static void test_workers(void)
{
	const char *newer = "newer than 6.1";

	CASE_DIFF(OWNED, "NEW_WORKER, bad pointer", EFAULT, EFAULT, newer,
		  do_ioctl(VHOST_NEW_WORKER, BAD_POINTER));
	CASE_DIFF(OWNED, "FREE_WORKER, none", ENODEV, ENOBUFS, newer,
		  with_worker(VHOST_FREE_WORKER, 99, 0));
	CASE_DIFF(OWNED, "FREE_WORKER, in use", EBUSY, NOT_IN_6_1, newer,
		  with_worker(VHOST_FREE_WORKER, 0, 0));
	CASE_DIFF(OWNED, "ATTACH_VRING_WORKER, none", ENODEV, NOT_IN_6_1,
		  newer, with_worker(VHOST_ATTACH_VRING_WORKER, 0, 99));
	CASE_DIFF(OWNED, "ATTACH_VRING_WORKER, ring 2", ENOBUFS, ENOBUFS,
		  newer, with_worker(VHOST_ATTACH_VRING_WORKER, 2, 0));
	CASE_DIFF(OWNED, "GET_VRING_WORKER, ring 2", ENOBUFS, ENOBUFS,
		  newer, with_worker(VHOST_GET_VRING_WORKER, 2, 0));
	CASE_DIFF(RUNNING, "GET_VRING_WORKER", 0, NOT_IN_6_1, newer,
		  with_worker(VHOST_GET_VRING_WORKER, 1, 0));
}

/* What the event says in words. */
static void test_trace(void)
{
	char wanted[128];

	tap_is(untold, 0, "refusals without an event that says why");

	target_open(RUNNING);
	with_addr(0, 0, 1, 0, 0);
	snprintf(wanted, sizeof(wanted),
		 "cmd=%#x queue=1 err=-%d check=\"address not aligned\"",
		 (unsigned int)VHOST_SET_VRING_ADDR, EINVAL);
	if (!tap_ok(!strcmp(trace_last(), wanted), "traced: %s", wanted))
		tap_diag("but: %s", trace_last());
	target_close(RUNNING);
}

static void test_all(void)
{
	test_owner();
	test_features();
	test_memory();
	test_ring();
	test_addr();
	test_files();
	test_workers();
}

static void test_target(const char *path)
{
	t.path = path;
	is_mainline = !strcmp(path, MAINLINE);
	if (tapdev_open(&t.tap, "khxtest%d", 12) || tapdev_set_up(&t.tap, true))
		tap_bail("no tap: %s", strerror(errno));
	test_all();
	if (!is_mainline)
		test_trace();
	tapdev_close(&t.tap);
}

int main(void)
{
	bool mainline;

	/* Its node may be there before it is. */
	if (system("modprobe -q vhost_net"))
		tap_diag("no vhost_net to load");
	mainline = !access(MAINLINE, R_OK | W_OK);

	if (access(NET_DEVICE, R_OK | W_OK))
		tap_skip_all("no %s", NET_DEVICE);
	counting = true;
	test_all();
	counting = false;

	tap_plan(nr_cases + 2 + (mainline ? nr_cases : 1));
	trace_write(TRACING "events/khx/khx_ioctl_error/enable", "1");
	test_target(NET_DEVICE);
	trace_write(TRACING "events/khx/khx_ioctl_error/enable", "0");
	if (mainline)
		test_target(MAINLINE);
	else
		tap_skip("no " MAINLINE, "the same of mainline");
	return tap_exit();
}
