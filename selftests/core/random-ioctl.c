// SPDX-License-Identifier: GPL-2.0
/*
 * Ioctls at random, most of them nearly right, on devices in every state: what
 * is refused has changed nothing that can be read back, and a ring that ran goes
 * on; what is accepted is what is read back then. KHX_SEED chooses others.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/khx_blk.h>
#include <linux/vhost.h>

#include "netlib.h"
#include "worker.h"

#define NUM		64
#define CALLS		40		/* to one open device */
#define LOG_BYTES	(1 << 20)
#define SPLIT		(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_EVENT_IDX))
#define PACKED		(SPLIT | VDEV_F(VIRTIO_F_RING_PACKED))

/* What an ioctl is given. */
enum kind {
	NOTHING, FEATURES, LOG_BASE, FD, MEMORY, STATE, VRING_FD, ADDR,
	WORKER, VRING_WORKER, DISK, WCE, CONFIG,
};

/* A device when the first call comes. */
enum start { FRESH, OWNED, SET_UP, RUNNING, NR_STARTS };

struct command {
	const char *name;
	unsigned long cmd;
	enum kind kind;
	bool harmless;		/* a ring that runs goes on afterwards */
};

union arg {
	uint64_t u64;
	uint32_t u32;
	int fd;
	struct vhost_vring_state state;
	struct vhost_vring_file file;
	struct vhost_vring_addr addr;
	struct vhost_worker_state worker;
	struct vhost_vring_worker vring_worker;
	struct khx_blk_file disk;
	struct khx_blk_config config;
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[3];
	} memory;
};

static const struct command commands[] = {
	{ "SET_OWNER", VHOST_SET_OWNER, NOTHING, false },
	{ "RESET_OWNER", VHOST_RESET_OWNER, NOTHING, false },
	{ "GET_FEATURES", VHOST_GET_FEATURES, FEATURES, true },
	{ "SET_FEATURES", VHOST_SET_FEATURES, FEATURES, false },
	{ "SET_BACKEND_FEATURES", VHOST_SET_BACKEND_FEATURES, FEATURES, true },
	{ "SET_MEM_TABLE", VHOST_SET_MEM_TABLE, MEMORY, false },
	{ "SET_LOG_BASE", VHOST_SET_LOG_BASE, LOG_BASE, false },
	{ "SET_LOG_FD", VHOST_SET_LOG_FD, FD, true },
	{ "SET_VRING_NUM", VHOST_SET_VRING_NUM, STATE, false },
	{ "SET_VRING_BASE", VHOST_SET_VRING_BASE, STATE, false },
	{ "GET_VRING_BASE", VHOST_GET_VRING_BASE, STATE, true },
	{ "SET_VRING_ENDIAN", VHOST_SET_VRING_ENDIAN, STATE, false },
	{ "GET_VRING_ENDIAN", VHOST_GET_VRING_ENDIAN, STATE, true },
	{ "SET_VRING_BUSYLOOP", VHOST_SET_VRING_BUSYLOOP_TIMEOUT, STATE, true },
	{ "GET_VRING_BUSYLOOP", VHOST_GET_VRING_BUSYLOOP_TIMEOUT, STATE, true },
	{ "SET_VRING_ADDR", VHOST_SET_VRING_ADDR, ADDR, false },
	{ "SET_VRING_KICK", VHOST_SET_VRING_KICK, VRING_FD, false },
	{ "SET_VRING_CALL", VHOST_SET_VRING_CALL, VRING_FD, false },
	{ "SET_VRING_ERR", VHOST_SET_VRING_ERR, VRING_FD, true },
	{ "NEW_WORKER", VHOST_NEW_WORKER, WORKER, true },
	{ "FREE_WORKER", VHOST_FREE_WORKER, WORKER, true },
	{ "ATTACH_VRING_WORKER", VHOST_ATTACH_VRING_WORKER, VRING_WORKER,
	  true },
	{ "GET_VRING_WORKER", VHOST_GET_VRING_WORKER, VRING_WORKER, true },
	{ "an unknown one", _IOW(VHOST_VIRTIO, 0x7b, uint64_t), FEATURES,
	  true },
	{ "NET_SET_BACKEND", VHOST_NET_SET_BACKEND, VRING_FD, false },
	{ "BLK_SET_BACKEND", KHX_BLK_SET_BACKEND, DISK, false },
	{ "BLK_GET_CONFIG", KHX_BLK_GET_CONFIG, CONFIG, true },
	{ "BLK_SET_WCE", KHX_BLK_SET_WCE, WCE, true },
	{ "BLK_SET_CONFIG_EVENT", KHX_BLK_SET_CONFIG_EVENT, FD, true },
	{ "BLK_RUN_VRING", KHX_BLK_RUN_VRING, STATE, false },
};

#define NR_COMMANDS	(sizeof(commands) / sizeof(commands[0]))

/* What one device is before and after a call, as text. */
struct view {
	char text[16384];
	size_t len;
};

static struct {
	const char *path;
	bool is_net;
	struct vdev dev;
	struct tapdev tap;
	int disk;
	int event;
	int pipe[2];
	char *log;
	char *arg;		/* one page; the next one is not there */
	char *arg_readonly;	/* the same page */
	unsigned long refused, accepted, packets;
} t;

/* Random values: those that matter often, and at times any. */

static uint64_t pick(const uint64_t *values, unsigned int n)
{
	return values[random() % n];
}

#define PICK(...) \
	pick((const uint64_t[]) { __VA_ARGS__ }, \
	     sizeof((const uint64_t[]) { __VA_ARGS__ }) / sizeof(uint64_t))

static uint32_t any_index(void)
{
	return PICK(0, 1, 0, 1, 0, 1, 2, 63, 64, ~0u);
}

static uint32_t any_number(void)
{
	return PICK(0, 1, 2, 3, NUM, NUM, 2 * NUM, 32768, 65535, 65536,
		    VRING_PACKED_BASE, 1u << 31, random());
}

static int any_fd(void)
{
	return PICK(-1, t.event, t.event, t.pipe[0], t.tap.fd, t.disk,
		    t.dev.fd, 9999, random());
}

static uint64_t any_features(void)
{
	return PICK(0, SPLIT, PACKED, t.dev.features,
		    t.dev.features | VDEV_F(VHOST_F_LOG_ALL),
		    VDEV_F(VIRTIO_F_RING_PACKED), VDEV_F(62),
		    VDEV_F(random() % 64));
}

/* Where a ring is, nearly; or where nothing can be. */
static uint64_t any_address(const void *right)
{
	return PICK(0, 0, 0, 0, 0, 0, 1, 2, 4, 4096, 1ull << 62,
		    (uintptr_t)t.arg + 4096 - (uintptr_t)right,
		    (uintptr_t)t.arg_readonly - (uintptr_t)right) +
	       (uintptr_t)right;
}

static void any_ring(struct vhost_vring_addr *addr)
{
	const struct vring_layout *at;

	addr->index = any_index();
	addr->flags = PICK(0, 0, 0, 1, 1, 2, ~0u);
	at = &t.dev.queues[addr->index & 1].ring.at;
	addr->desc_user_addr = any_address(at->desc);
	addr->avail_user_addr = any_address(at->avail);
	addr->used_user_addr = any_address(at->used);
	addr->log_guest_addr = vdev_gpa(&t.dev, at->used) +
			       PICK(0, 0, 0, 2, 4096, 1ull << 62);
}

static void any_memory(union arg *arg)
{
	unsigned int i;

	arg->memory.head.nregions = PICK(0, 1, 1, 1, 2, 3, 513, ~0u);
	arg->memory.head.padding = PICK(0, 0, 0, 0, 0, 0, 1);
	for (i = 0; i < 3; i++)
		arg->memory.regions[i] = (struct vhost_memory_region) {
			.guest_phys_addr = PICK(VDEV_GPA, VDEV_GPA, 0,
						VDEV_GPA + (1 << 30), -4096ull),
			.memory_size = PICK(t.dev.size, t.dev.size, 4096, 0,
					    4097, -4096ull, 1ull << 62),
			.userspace_addr = (uintptr_t)t.dev.mem +
					  PICK(0, 0, 0, 4096, 1ull << 62,
					       1ull << 63),
		};
}

static void any_arg(enum kind kind, union arg *arg)
{
	memset(arg, 0, sizeof(*arg));
	switch (kind) {
	case FEATURES:
		arg->u64 = any_features();
		break;
	case LOG_BASE:
		arg->u64 = PICK((uintptr_t)t.log, (uintptr_t)t.log,
				(uintptr_t)t.log + 3, 0, 1ull << 62);
		break;
	case FD:
		arg->fd = any_fd();
		break;
	case MEMORY:
		any_memory(arg);
		break;
	case STATE:
		arg->state.index = any_index();
		arg->state.num = any_number();
		break;
	case VRING_FD:
		arg->file.index = any_index();
		arg->file.fd = any_fd();
		break;
	case ADDR:
		any_ring(&arg->addr);
		break;
	case WORKER:
		arg->worker.worker_id = any_index();
		break;
	case VRING_WORKER:
		arg->vring_worker.index = any_index();
		arg->vring_worker.worker_id = any_index();
		break;
	case DISK:
		arg->disk.fd = any_fd();
		arg->disk.flags = PICK(0, 0, KHX_BLK_F_READONLY,
				       KHX_BLK_F_DIRECT, 4, ~0u);
		arg->disk.reserved = PICK(0, 0, 0, 1);
		arg->disk.serial[0] = random();
		break;
	case WCE:
		arg->u32 = PICK(0, 1, 2, ~0u);
		break;
	case NOTHING:
	case CONFIG:
		break;
	}
}

/* What can be read back. */

__attribute__((format(printf, 2, 3)))
static void note(struct view *view, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	view->len += vsnprintf(view->text + view->len,
			       sizeof(view->text) - view->len, format, args);
	va_end(args);
	if (view->len >= sizeof(view->text))
		tap_bail("no room for what a device is");
}

static void note_state(struct view *view, const char *name, unsigned long cmd,
		       unsigned int index)
{
	struct vhost_vring_state state = { .index = index };

	if (ioctl(t.dev.fd, cmd, &state))
		note(view, "%s %u: errno %d\n", name, index, errno);
	else
		note(view, "%s %u: %u\n", name, index, state.num);
}

/* Of a queue that runs, the worker changes the rest at any moment. */
static bool note_queue(struct view *view, const char *line)
{
	char format[16];
	unsigned int queue, num;
	bool stopped = strstr(line, " stopped");

	if (sscanf(line, "queue-%u: %15s num %u", &queue, format, &num) != 3)
		return false;
	if (stopped)
		note(view, "%s", line);
	else
		note(view, "queue-%u: %s num %u runs\n", queue, format, num);
	if (queue < 2 && stopped)
		note_state(view, "base", VHOST_GET_VRING_BASE, queue);
	return true;
}

static bool is_counter(const char *line)
{
	return strstr(line, "-stats:") || strstr(line, "-blk:");
}

static void view_take(struct view *view)
{
	struct khx_blk_config config;
	char path[64], line[512];
	unsigned int i;
	size_t at;
	FILE *file;

	view->len = 0;
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", t.dev.fd);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		if (is_counter(line) || note_queue(view, line))
			continue;
		at = strcspn(line, "\n");
		if (strstr(line, " drops "))
			at = strstr(line, " drops ") - line;
		note(view, "%.*s\n", (int)at, line);
	}
	if (file)
		fclose(file);
	for (i = 0; i < 2; i++) {
		note_state(view, "endian", VHOST_GET_VRING_ENDIAN, i);
		note_state(view, "busyloop",
			   VHOST_GET_VRING_BUSYLOOP_TIMEOUT, i);
		note_state(view, "worker", VHOST_GET_VRING_WORKER, i);
	}
	if (t.is_net || ioctl(t.dev.fd, KHX_BLK_GET_CONFIG, &config))
		return;
	note(view, "config:");
	for (at = 0; at < sizeof(config); at++)
		note(view, " %02x", ((unsigned char *)&config)[at]);
	note(view, "\n");
}

static uint32_t state_of(unsigned long cmd, unsigned int index)
{
	struct vhost_vring_state state = { .index = index };

	return ioctl(t.dev.fd, cmd, &state) ? ~0u - 1 : state.num;
}

/* The number behind @name in a view, -1: none. */
static long seen(const struct view *view, const char *name)
{
	const char *at = strstr(view->text, name);

	return at ? strtol(at + strlen(name), NULL, 0) : -1;
}

/* Is what was set what is there now? */
static bool took_effect(const struct command *command, const union arg *arg,
			const struct view *now)
{
	uint32_t index = arg->state.index, num = arg->state.num;
	char name[32];

	switch (command->cmd) {
	case VHOST_SET_FEATURES:
		return seen(now, "khx-features:\t") == (long)arg->u64;
	case VHOST_SET_VRING_NUM:
		snprintf(name, sizeof(name), "queue-%u:\t%s num ", index,
			 strstr(now->text, "packed") ? "packed" : "split");
		return seen(now, name) == num;
	case VHOST_SET_VRING_BASE:
		/* A fresh packed ring as DPDK gives it. */
		if (num == 32768 && strstr(now->text, "packed"))
			num = VRING_PACKED_BASE;
		return state_of(VHOST_GET_VRING_BASE, index) == num;
	case VHOST_SET_VRING_ENDIAN:
		return state_of(VHOST_GET_VRING_ENDIAN, index) == num;
	case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
		return state_of(VHOST_GET_VRING_BUSYLOOP_TIMEOUT, index) == num;
	case VHOST_ATTACH_VRING_WORKER:
		return state_of(VHOST_GET_VRING_WORKER, index) == num;
	default:
		return true;
	}
}

/* Does a packet still go out? */
static bool still_serves(void)
{
	struct vdev_queue *tx = &t.dev.queues[NET_TX];
	struct vring_buf buf = {
		.addr = VDEV_GPA + t.dev.size - 4096,
		.len = 12 + 60,
	};
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };
	void *cookie;
	uint32_t len;

	if (vring_add(&tx->ring, &chain, NULL))
		return false;
	vdev_publish(tx);
	t.packets++;
	return vdev_get(tx, &cookie, &len, NET_TIMEOUT_MS);
}

/* An argument is at times half missing, or not for the answer. */
static void *place(const union arg *arg, size_t size)
{
	unsigned int how = random() % 24;

	memcpy(t.arg + 4096 - size, arg, size);
	if (how == 0)
		return t.arg + 4096 - size / 2;
	if (how == 1)
		return t.arg_readonly + 4096 - size;
	if (how == 2)
		return (void *)8;
	return t.arg + 4096 - size;
}

static size_t size_of(const struct command *command)
{
	return command->kind == MEMORY ? sizeof(((union arg *)0)->memory) :
					 _IOC_SIZE(command->cmd);
}

static const struct command *any_command(void)
{
	const struct command *command;

	/* What starts anew is too seldom of use to come as often. */
	do {
		command = &commands[random() % NR_COMMANDS];
	} while (command->kind == NOTHING && random() % 4);
	return command;
}

static bool complain(const struct command *command, int err, const char *what,
		     const struct view *before, const struct view *after)
{
	tap_diag("%s, %s: %s", command->name,
		 err ? strerror(err) : "accepted", what);
	if (before)
		tap_diag("before:\n%safter:\n%s", before->text, after->text);
	return false;
}

/* One call; false for what must not be. @sane: the ring should be served. */
static bool call(bool *sane)
{
	static struct view before, after;
	const struct command *command = any_command();
	union arg arg;
	int err;

	any_arg(command->kind, &arg);
	view_take(&before);
	err = ioctl(t.dev.fd, command->cmd, place(&arg, size_of(command))) ?
	      errno : 0;
	view_take(&after);

	if (!err) {
		t.accepted++;
		*sane &= command->harmless;
		return took_effect(command, &arg, &after) ||
		       complain(command, 0, "not what is read back", &before,
				&after);
	}
	t.refused++;
	if (strcmp(before.text, after.text))
		return complain(command, err, "something has changed", &before,
				&after);
	if (*sane && t.is_net && random() % 2 && !still_serves())
		return complain(command, err, "no packet goes out", NULL,
				NULL);
	return true;
}

static bool run_queues(void)
{
	struct vhost_vring_state run = { .num = 1 };
	struct khx_blk_file disk = { .fd = t.disk };

	if (t.is_net)
		return !vdev_set_backend(&t.dev, NET_RX, t.tap.fd) &&
		       !vdev_set_backend(&t.dev, NET_TX, t.tap.fd);
	return !ioctl(t.dev.fd, KHX_BLK_SET_BACKEND, &disk) &&
	       !ioctl(t.dev.fd, KHX_BLK_RUN_VRING, &run);
}

static void device_open(enum start start, uint64_t features)
{
	bool ok = !vdev_open(&t.dev, t.path, features, 2 << 20) &&
		  !vdev_queue_open(&t.dev, 0, NUM) &&
		  !vdev_queue_open(&t.dev, 1, NUM);

	if (ok && start < SET_UP)
		ok = !ioctl(t.dev.fd, VHOST_RESET_OWNER);
	if (ok && start == OWNED)
		ok = !ioctl(t.dev.fd, VHOST_SET_OWNER);
	if (ok && start == RUNNING)
		ok = run_queues();
	if (!ok)
		tap_bail("%s: set up: %s", t.path, strerror(errno));
}

static bool round_ok(unsigned int i)
{
	enum start start = i % NR_STARTS;
	bool sane = start == RUNNING, ok = true;
	unsigned int n;

	device_open(start, i / NR_STARTS % 2 ? PACKED : SPLIT);
	for (n = 0; n < CALLS && ok; n++)
		ok = call(&sane);
	vdev_close(&t.dev);
	if (!ok)
		tap_diag("call %u of round %u", n, i);
	return ok;
}

static void test_device(const char *path, bool is_net, unsigned int rounds)
{
	unsigned int i;

	t.path = path;
	t.is_net = is_net;
	t.refused = t.accepted = t.packets = 0;
	if (access(path, R_OK | W_OK)) {
		tap_skip("no device", "%s: ioctls at random", path);
		return;
	}
	for (i = 0; i < rounds; i++)
		if (!round_ok(i))
			break;
	tap_diag("%lu refused, %lu accepted, %lu packets", t.refused,
		 t.accepted, t.packets);
	/* Both must be there in numbers, or little was tried. */
	tap_ok(i == rounds && t.refused > rounds * CALLS / 4 &&
	       t.accepted > rounds * CALLS / 10 && (t.packets || !is_net),
	       "%s: %u ioctls at random", path, rounds * CALLS);
}

static void set_up(void)
{
	int page = memfd_create("argument", 0);

	t.event = eventfd(0, EFD_NONBLOCK);
	t.disk = memfd_create("disk", 0);
	t.log = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	/* The page behind keeps its place, and is not there. */
	t.arg = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t.event < 0 || pipe(t.pipe) || ftruncate(page, 4096) ||
	    ftruncate(t.disk, 1 << 20) || t.log == MAP_FAILED ||
	    mmap(t.arg, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 page, 0) == MAP_FAILED)
		tap_bail("set up: %s", strerror(errno));
	t.arg_readonly = mmap(NULL, 4096, PROT_READ, MAP_SHARED, page, 0);
	if (tapdev_open(&t.tap, "khxtest%d", 12))
		tap_bail("no tap: %s", strerror(errno));
}

int main(void)
{
	const char *seed = getenv("KHX_SEED");

	net_require();
	srandom(seed ? strtoul(seed, NULL, 0) : 1);
	set_up();
	tap_plan(2);
	test_device(NET_DEVICE, true, 96);
	test_device(KHX_BLK_DEVICE, false, 16);
	tapdev_close(&t.tap);
	return tap_exit();
}
