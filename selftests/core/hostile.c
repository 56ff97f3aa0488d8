// SPDX-License-Identifier: GPL-2.0
/*
 * Drivers and owners that mean harm. Each breaks a ring in its own way; the
 * device must say so once by the error eventfd, let its worker sleep, and
 * serve a sane driver again after the next set-up.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/vhost.h>

#include "netlib.h"

#define NUM		64
#define SPLIT		(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_INDIRECT_DESC))
#define PACKED		(SPLIT | VDEV_F(VIRTIO_F_RING_PACKED))
#define FRAME_LEN	60
#define HOLE		(1ull << 40)	/* no memory there */

#define PACKED_AVAIL	(1 << VRING_PACKED_DESC_F_AVAIL)
#define NEXT		VRING_DESC_F_NEXT
#define WRITE		VRING_DESC_F_WRITE
#define INDIRECT	VRING_DESC_F_INDIRECT

static struct net net;
static char *buffer;
static char *table;			/* room for an indirect one */

static bool is_packed(void)
{
	return net.dev.features & VDEV_F(VIRTIO_F_RING_PACKED);
}

static uint64_t gpa(const void *p)
{
	return vdev_gpa(&net.dev, p);
}

/* Either format: all but the flags and the last field are the same. */
static void put_desc(void *at, unsigned int i, uint64_t addr, uint32_t len,
		     unsigned int flags, unsigned int next)
{
	struct vring_desc split = { addr, len, flags, next };
	struct vring_packed_desc packed = { addr, len, next,
					    flags | PACKED_AVAIL };

	if (is_packed())
		((struct vring_packed_desc *)at)[i] = packed;
	else
		((struct vring_desc *)at)[i] = split;
}

static void put(unsigned int i, uint64_t addr, uint32_t len,
		unsigned int flags, unsigned int next)
{
	put_desc(net.dev.queues[NET_TX].ring.at.desc, i, addr, len, flags,
		 next);
}

static void put_in_table(unsigned int i, uint64_t addr, uint32_t len,
			 unsigned int flags, unsigned int next)
{
	put_desc(table, i, addr, len, flags, next);
}

/* Offer what stands in slot 0. */
static void publish(uint16_t head, uint16_t idx)
{
	struct vring_avail *avail = net.dev.queues[NET_TX].ring.at.avail;

	atomic_thread_fence(memory_order_seq_cst);
	if (!is_packed()) {
		avail->ring[0] = head;
		atomic_thread_fence(memory_order_seq_cst);
		avail->idx = idx;
	}
	eventfd_write(net.dev.queues[NET_TX].kick, 1);
}

/* Ways to break a ring. */

static void break_address(void)
{
	put(0, HOLE, 100, 0, 0);
	publish(0, 1);
}

static void break_address_top(void)
{
	put(0, -16ull, 100, 0, 0);
	publish(0, 1);
}

static void break_length(void)
{
	put(0, gpa(buffer), ~0u, 0, 0);
	publish(0, 1);
}

static void break_end_of_memory(void)
{
	put(0, VDEV_GPA + net.dev.size - 50, 51, 0, 0);
	publish(0, 1);
}

static void break_sum(void)
{
	/* In turn small and almost all of it: only the sum is too much. */
	unsigned int i;

	for (i = 0; i < NUM; i++)
		put(i, VDEV_GPA, net.dev.size, i < NUM - 1 ? NEXT : 0, i + 1);
	/* 64 times 64 MiB are 4 GiB. */
	publish(0, 1);
}

static void break_loop(void)
{
	unsigned int i;

	for (i = 0; i < NUM; i++)
		put(i, gpa(buffer), 1, NEXT, (i + 1) % NUM);
	publish(0, 1);
}

static void break_self_loop(void)
{
	put(0, gpa(buffer), 0, NEXT, 0);
	publish(0, 1);
}

static void break_next(void)
{
	put(0, gpa(buffer), 1, NEXT, NUM);
	publish(0, 1);
}

static void break_head(void)
{
	publish(NUM, 1);
}

static void break_idx(void)
{
	put(0, gpa(buffer), 72, 0, 0);
	publish(0, NUM + 1);
}

static void break_idx_back(void)
{
	put(0, gpa(buffer), 72, 0, 0);
	publish(0, -1);
}

static void break_order(void)
{
	put(0, gpa(buffer), 100, NEXT | WRITE, 1);
	put(1, gpa(buffer), 100, 0, 0);
	publish(0, 1);
}

static void break_nested(void)
{
	put_in_table(0, gpa(table), 16, INDIRECT, 0);
	put(0, gpa(table), 16, INDIRECT, 0);
	publish(0, 1);
}

static void break_indirect_next(void)
{
	put_in_table(0, gpa(buffer), 72, 0, 0);
	put(0, gpa(table), 16, INDIRECT | NEXT, 1);
	put(1, gpa(buffer), 72, 0, 0);
	publish(0, 1);
}

static void break_table_size(void)
{
	put(0, gpa(table), 24, INDIRECT, 0);
	publish(0, 1);
}

static void break_table_empty(void)
{
	put(0, gpa(table), 0, INDIRECT, 0);
	publish(0, 1);
}

static void break_table_long(void)
{
	put(0, gpa(table), 16 * (1024 + 1), INDIRECT, 0);
	publish(0, 1);
}

static void break_table_huge(void)
{
	put(0, gpa(table), -16u, INDIRECT, 0);
	publish(0, 1);
}

static void break_table_address(void)
{
	put(0, HOLE, 16, INDIRECT, 0);
	publish(0, 1);
}

static void break_table_loop(void)
{
	put_in_table(0, gpa(buffer), 1, NEXT, 1);
	put_in_table(1, gpa(buffer), 1, NEXT, 0);
	put(0, gpa(table), 32, INDIRECT, 0);
	publish(0, 1);
}

static void break_table_next(void)
{
	put_in_table(0, gpa(buffer), 1, NEXT, 2);
	put(0, gpa(table), 32, INDIRECT, 0);
	publish(0, 1);
}

static void break_unmap(void)
{
	struct vring_layout *at = &net.dev.queues[NET_TX].ring.at;
	void *ring = is_packed() ? at->desc : at->avail;

	mprotect(ring, 4096, PROT_NONE);
	eventfd_write(net.dev.queues[NET_TX].kick, 1);
}

static void break_readonly(void)
{
	struct vring_layout *at = &net.dev.queues[NET_TX].ring.at;
	void *ring = is_packed() ? at->desc : at->used;

	/* A start looks at the ring once by itself: not between these lines. */
	if (!net_worker_idle(&net))
		tap_diag("the worker does not sleep");
	put(0, gpa(buffer), 12 + FRAME_LEN, 0, 0);
	mprotect(ring, 4096, PROT_READ);
	publish(0, 1);
}

enum formats { BOTH, SPLIT_ONLY, PACKED_ONLY };

static const struct breaker {
	const char *name;
	void (*fn)(void);
	enum formats formats;
} breakers[] = {
	{ "buffer outside of memory", break_address, BOTH },
	{ "buffer at the end of the address space", break_address_top, BOTH },
	{ "buffer of 4 GiB", break_length, BOTH },
	{ "buffer that leaves memory by a byte", break_end_of_memory, BOTH },
	{ "chain of 4 GiB in all", break_sum, BOTH },
	{ "chain that loops", break_loop, BOTH },
	{ "chain that loops over nothing", break_self_loop, SPLIT_ONLY },
	{ "next outside of the ring", break_next, SPLIT_ONLY },
	{ "head outside of the ring", break_head, SPLIT_ONLY },
	{ "available index too far", break_idx, SPLIT_ONLY },
	{ "available index backwards", break_idx_back, SPLIT_ONLY },
	{ "readable after writable", break_order, BOTH },
	{ "indirect table in a table", break_nested, BOTH },
	{ "indirect table with a next", break_indirect_next, BOTH },
	{ "indirect table of one and a half", break_table_size, BOTH },
	{ "indirect table of none", break_table_empty, BOTH },
	{ "indirect table of more than 1024", break_table_long, BOTH },
	{ "indirect table of 4 GiB", break_table_huge, BOTH },
	{ "indirect table outside of memory", break_table_address, BOTH },
	{ "indirect table that loops", break_table_loop, SPLIT_ONLY },
	{ "next outside of an indirect table", break_table_next, SPLIT_ONLY },
	{ "ring not readable", break_unmap, BOTH },
	{ "ring not writable", break_readonly, BOTH },
};

#define NR_BREAKERS (sizeof(breakers) / sizeof(breakers[0]))

static void rig_open(uint64_t features)
{
	memset(&net, 0, sizeof(net));
	net_open(&net, features, NUM);
	buffer = vdev_alloc(&net.dev, 4096);
	table = vdev_alloc(&net.dev, 16 * 2 * NUM);
	net_frame_fill(buffer + 12, FRAME_LEN, 1);
}

static long errors(void)
{
	return vdev_stat(&net.dev, "queue-1-stats", "errors");
}

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

/* True if the worker has next to nothing to do while we kick. */
static bool worker_sleeps(void)
{
	long long start = now_ns(), before = net_worker_ns(&net), spent, all;
	int i;

	for (i = 0; i < 100; i++) {
		eventfd_write(net.dev.queues[NET_TX].kick, 1);
		usleep(1000);
	}
	spent = net_worker_ns(&net) - before;
	all = now_ns() - start;
	if (before < 0 || spent > all / 2) {
		tap_diag("worker used %lld ns of %lld", spent, all);
		return false;
	}
	return true;
}

static bool wait_event(int fd)
{
	int i;

	for (i = 0; i < 2000; i++) {
		if (vdev_event(fd))
			return true;
		usleep(1000);
	}
	return false;
}

static bool offer_frame(void)
{
	struct vdev_queue *tx = &net.dev.queues[NET_TX];
	struct vring_buf buf = { .addr = gpa(buffer), .len = 12 + FRAME_LEN };
	struct vring_chain chain = { .bufs = &buf, .nr_out = 1 };

	if (vring_add(&tx->ring, &chain, NULL))
		return false;
	vdev_publish(tx);
	return true;
}

static bool sends_frame(void)
{
	void *cookie;
	uint32_t len;

	return offer_frame() && vdev_get(&net.dev.queues[NET_TX], &cookie, &len,
					 NET_TIMEOUT_MS);
}

/* What the owner of a rebooted guest does. */
static bool serves_again(void)
{
	struct vdev_queue *tx = &net.dev.queues[NET_TX];

	if (vdev_set_backend(&net.dev, NET_TX, -1))
		return false;
	mprotect(net.dev.mem, net.dev.size, PROT_READ | PROT_WRITE);
	close(tx->kick);
	close(tx->call);
	close(tx->err);
	vring_close(&tx->ring);
	return !vdev_queue_open(&net.dev, NET_TX, NUM) &&
	       !vdev_set_backend(&net.dev, NET_TX, net.tap.fd) &&
	       sends_frame();
}

static void test_breaker(const struct breaker *breaker, uint64_t features)
{
	bool told, once, sleeps, again;

	rig_open(features);
	breaker->fn();
	told = wait_event(net.dev.queues[NET_TX].err);
	sleeps = worker_sleeps();
	once = errors() == 1 && !vdev_event(net.dev.queues[NET_TX].err);
	again = serves_again();
	if (!told || !once || !sleeps || !again)
		tap_diag("error told %d, once %d, worker sleeps %d, serves again %d",
			 told, once, sleeps, again);
	tap_ok(told && once && sleeps && again, "%s: %s",
	       is_packed() ? "packed" : "split", breaker->name);
	net_close(&net);
}

static void test_breakers(void)
{
	unsigned int i;

	for (i = 0; i < NR_BREAKERS; i++) {
		if (breakers[i].formats != PACKED_ONLY)
			test_breaker(&breakers[i], SPLIT);
		if (breakers[i].formats != SPLIT_ONLY)
			test_breaker(&breakers[i], PACKED);
	}
}

static unsigned int count_breakers(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < NR_BREAKERS; i++)
		n += breakers[i].formats == BOTH ? 2 : 1;
	return n;
}

/* Under load: things change while the worker looks. */

static atomic_bool stop;

static void *thread_kick(void *arg)
{
	(void)arg;
	while (!stop)
		eventfd_write(net.dev.queues[NET_TX].kick, 1);
	return NULL;
}

/* Random descriptors, indices and events, as fast as they can be written. */
static void *thread_scribble(void *arg)
{
	struct vring_layout *at = &net.dev.queues[NET_TX].ring.at;
	unsigned int seed = 1;

	(void)arg;
	while (!stop) {
		unsigned int r = rand_r(&seed);

		put(r % NUM, r & 64 ? gpa(buffer) : HOLE, r >> 8 & 0xff,
		    r >> 16 & 7, r >> 20 & 127);
		put_in_table(r >> 3 & 63, gpa(buffer), r & 0xff, r >> 9 & 7,
			     r >> 20 & 127);
		if (is_packed())
			continue;
		((struct vring_avail *)at->avail)->ring[r % NUM] = r >> 24 & 127;
		((struct vring_avail *)at->avail)->idx += r % 5;
	}
	return NULL;
}

static void *thread_protect(void *arg)
{
	struct vring_layout *at = &net.dev.queues[NET_TX].ring.at;

	(void)arg;
	while (!stop) {
		mprotect(at->desc, 4096, PROT_NONE);
		mprotect(at->used, 4096, PROT_READ);
		madvise(at->avail, 4096, MADV_DONTNEED);
		mprotect(at->used, 4096, PROT_READ | PROT_WRITE);
		mprotect(at->desc, 4096, PROT_READ | PROT_WRITE);
	}
	return NULL;
}

/* An empty table and the right one in turn: each clears a fault. */
static void *thread_memory(void *arg)
{
	struct vhost_memory none = {};

	(void)arg;
	while (!stop) {
		ioctl(net.dev.fd, VHOST_SET_MEM_TABLE, &none);
		vdev_set_memory(&net.dev);
	}
	return NULL;
}

static void *thread_backend(void *arg)
{
	(void)arg;
	while (!stop) {
		vdev_set_backend(&net.dev, NET_TX, -1);
		vdev_set_backend(&net.dev, NET_TX, net.tap.fd);
	}
	return NULL;
}

static void test_storm(const char *name, uint64_t features,
		       void *(*one)(void *), void *(*other)(void *))
{
	void *(*fns[])(void *) = { thread_kick, one, other };
	pthread_t threads[3];
	unsigned int i, n = other ? 3 : 2;
	bool ok;

	rig_open(features);
	stop = false;
	for (i = 0; i < n; i++)
		pthread_create(&threads[i], NULL, fns[i], NULL);
	usleep(700000);
	stop = true;
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	vdev_set_memory(&net.dev);
	ok = serves_again();
	tap_ok(ok, "%s: serves again after %s",
	       is_packed() ? "packed" : "split", name);
	net_close(&net);
}

static void test_storms(uint64_t features)
{
	test_storm("random descriptors", features, thread_scribble, NULL);
	test_storm("random descriptors and memory tables", features,
		   thread_scribble, thread_memory);
	test_storm("rings and backends that come and go", features,
		   thread_protect, thread_backend);
	test_storm("rings and memory tables that come and go", features,
		   thread_protect, thread_memory);
	test_storm("restarts on random descriptors", features,
		   thread_scribble, thread_backend);
}

/* Kicks for nothing cost little, and the next packet goes out. */
static void test_kick_storm(void)
{
	pthread_t thread;

	rig_open(SPLIT);
	stop = false;
	pthread_create(&thread, NULL, thread_kick, NULL);
	tap_ok(sends_frame(), "a packet goes out under a storm of kicks");
	stop = true;
	pthread_join(thread, NULL);
	net_close(&net);
}

/* A fault goes with a new memory table, without a restart. */
static void test_repair(void)
{
	struct vhost_memory none = {};
	bool told;

	rig_open(SPLIT);
	ioctl(net.dev.fd, VHOST_SET_MEM_TABLE, &none);
	offer_frame();
	told = wait_event(net.dev.queues[NET_TX].err);
	tap_ok(told && errors() == 1, "no memory: the error is told");
	tap_ok(!vdev_set_memory(&net.dev) &&
	       vdev_wait(&net.dev.queues[NET_TX], NET_TIMEOUT_MS),
	       "memory is back: the same buffer is served");
	net_close(&net);
}

int main(void)
{
	if (access(NET_DEVICE, R_OK | W_OK))
		tap_skip_all("no %s", NET_DEVICE);
	tap_plan(count_breakers() + 10 + 1 + 2);
	test_breakers();
	test_storms(SPLIT);
	test_storms(PACKED);
	test_kick_storm();
	test_repair();
	return tap_exit();
}
