// SPDX-License-Identifier: GPL-2.0
/*
 * netgen: load for /dev/vhost-net and /dev/khx-net alike, without a guest.
 *
 * The process is guest and sender in one: it owns the rings and their memory,
 * and a tap. It transmits packets that the stack drops at once, or sends
 * packets into the tap and takes them out of the receive ring, in a closed
 * loop, so that none is lost. One line of JSON comes out for each round.
 *
 * On one processor a packet sent into the tap wakes the device's worker, which
 * runs at once: each packet costs a wakeup. With -w the worker only runs when
 * this process sleeps, and finds as many packets as the ring has buffers.
 *
 * With "none" for a device nobody reads the tap, which drops what does not
 * fit: that is what sending costs by itself.
 *
 * The send buffer of the tap is left alone: mainline batches only with an
 * unlimited one.
 *
 * Under QEMU's -icount shift=0 on one processor the clock counts
 * instructions, all of them: the figure is instructions per packet.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <dirent.h>
#include <getopt.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "tapdev.h"
#include "vdev.h"

#define HDR_LEN		12
#define BATCH_MAX	256
#define SIZE_MAX_	(64 << 10)

struct options {
	const char *device;
	bool rx;
	bool packed;
	bool event_idx;
	bool indirect;
	bool mergeable;
	bool idle_worker;
	unsigned int num;
	unsigned int batch;
	unsigned int size;
	unsigned int buf_size;		/* receive; 0: as large as a packet */
	unsigned int repeat;
	unsigned long packets;
};

struct netgen {
	struct options opt;
	struct vdev dev;
	struct tapdev tap;
	char *buffers;			/* one for each ring entry */
	char *tables;			/* indirect tables, likewise */
	size_t stride;
	unsigned int per_packet;	/* ring entries */
	struct mmsghdr msgs[BATCH_MAX];
	struct iovec iov;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void usage(const char *name)
{
	fprintf(stderr,
		"usage: %s [-d DEVICE] [-m tx|rx] [-p] [-E] [-i] [-M] [-w] [-q RING]\n"
		"       [-b BATCH] [-s SIZE] [-B BUFFER] [-n PACKETS] [-r REPEAT]\n"
		"  -p packed ring  -E no event index  -i indirect  -M not mergeable\n"
		"  -w the worker runs only when nothing else does\n",
		name);
	exit(2);
}

static struct options parse(int argc, char **argv)
{
	struct options opt = {
		.device = "/dev/khx-net", .event_idx = true, .mergeable = true,
		.num = 256, .batch = 64, .size = 60, .repeat = 4,
		.packets = 100000,
	};
	int c;

	while ((c = getopt(argc, argv, "d:m:pEiMwq:b:s:B:n:r:")) != -1) {
		switch (c) {
		case 'd': opt.device = optarg; break;
		case 'm': opt.rx = !strcmp(optarg, "rx"); break;
		case 'p': opt.packed = true; break;
		case 'E': opt.event_idx = false; break;
		case 'i': opt.indirect = true; break;
		case 'M': opt.mergeable = false; break;
		case 'w': opt.idle_worker = true; break;
		case 'q': opt.num = atoi(optarg); break;
		case 'b': opt.batch = atoi(optarg); break;
		case 's': opt.size = atoi(optarg); break;
		case 'B': opt.buf_size = atoi(optarg); break;
		case 'n': opt.packets = atol(optarg); break;
		case 'r': opt.repeat = atoi(optarg); break;
		default: usage(argv[0]);
		}
	}
	if (!opt.batch || opt.batch > BATCH_MAX || opt.size < ETH_ZLEN ||
	    opt.size > SIZE_MAX_)
		usage(argv[0]);
	return opt;
}

/* The device's worker: the thread that has our pid in its name. */
static int worker_tid(void)
{
	char path[300], name[32], wanted[2][32];
	struct dirent *entry;
	int tid = -1;
	FILE *file;
	DIR *dir;

	snprintf(wanted[0], sizeof(wanted[0]), "vhost-%d\n", getpid());
	snprintf(wanted[1], sizeof(wanted[1]), "khx-%d\n", getpid());
	dir = opendir("/proc");
	while (dir && tid < 0 && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) &&
		    (!strcmp(name, wanted[0]) || !strcmp(name, wanted[1])))
			tid = atoi(entry->d_name);
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return tid;
}

static void set_worker_idle(void)
{
	const struct sched_param param = {};
	int tid = worker_tid();

	if (tid < 0 || sched_setscheduler(tid, SCHED_IDLE, &param))
		die("worker");
}

static void set_mtu(const struct tapdev *tap, int mtu)
{
	struct ifreq ifr = { .ifr_mtu = mtu };

	memcpy(ifr.ifr_name, tap->name, sizeof(tap->name));
	if (ioctl(tap->packet, SIOCSIFMTU, &ifr))
		die("mtu");
}

/* A frame that nobody in the stack wants. */
static void frame_init(char *frame)
{
	struct ethhdr *eth = (struct ethhdr *)frame;

	memset(eth->h_dest, 0xff, ETH_ALEN);
	memset(eth->h_source, 0x02, ETH_ALEN);
	eth->h_proto = htons(TAPDEV_ETHERTYPE);
}

static void set_up_device(struct netgen *g)
{
	const struct options *opt = &g->opt;
	uint64_t features = VDEV_F(VIRTIO_F_VERSION_1);
	unsigned int i;

	if (opt->packed)
		features |= VDEV_F(VIRTIO_F_RING_PACKED);
	if (opt->event_idx)
		features |= VDEV_F(VIRTIO_RING_F_EVENT_IDX);
	if (opt->indirect)
		features |= VDEV_F(VIRTIO_RING_F_INDIRECT_DESC);
	if (opt->mergeable)
		features |= VDEV_F(VIRTIO_NET_F_MRG_RXBUF);

	if (vdev_open(&g->dev, opt->device, features, 64 << 20))
		die(opt->device);
	for (i = 0; i < VDEV_QUEUES; i++)
		if (vdev_queue_open(&g->dev, i, opt->num))
			die("ring");
	if (opt->idle_worker)
		set_worker_idle();

	g->per_packet = 1;
	if (opt->rx && opt->buf_size)
		g->per_packet = (opt->size + HDR_LEN + opt->buf_size - 1) /
				opt->buf_size;
	g->stride = (opt->size + HDR_LEN + 63) & ~63;
	g->buffers = vdev_alloc(&g->dev, opt->num * g->stride);
	g->tables = vdev_alloc(&g->dev, opt->num * sizeof(struct vring_desc));
	for (i = 0; i < opt->num; i++)
		frame_init(g->buffers + i * g->stride + HDR_LEN);
	for (i = 0; i < VDEV_QUEUES; i++)
		if (vdev_set_backend(&g->dev, i, g->tap.fd))
			die("VHOST_NET_SET_BACKEND");
}

/* Offer buffer @i, which is its own cookie. */
static void offer(struct netgen *g, struct vdev_queue *queue, unsigned long i)
{
	char *buffer = g->buffers + i * g->stride;
	struct vring_buf buf = {
		.addr = vdev_gpa(&g->dev, buffer),
		.len = g->opt.size + HDR_LEN,
	};
	struct vring_chain chain = {
		.bufs = &buf, .nr_in = g->opt.rx, .nr_out = !g->opt.rx,
	};

	if (g->opt.rx && g->opt.buf_size)
		buf.len = g->opt.buf_size;
	if (g->opt.indirect) {
		chain.table = g->tables + i * sizeof(struct vring_desc);
		chain.table_addr = vdev_gpa(&g->dev, chain.table);
	}
	if (vring_add(&queue->ring, &chain, (void *)i))
		die("vring_add");
}

/* Wait until most of what is in flight has come back. */
static void wait_used(struct vdev_queue *queue, unsigned int slots)
{
	vring_calls_after(&queue->ring, slots);
	if (!vring_has_used(&queue->ring) && !vdev_wait(queue, 10000)) {
		fprintf(stderr, "the device does not answer\n");
		exit(1);
	}
	vring_calls_off(&queue->ring);
}

static bool has_device(const struct netgen *g)
{
	return strcmp(g->opt.device, "none");
}

static void set_up(struct netgen *g)
{
	int one = 1;

	if (tapdev_open(&g->tap, "netgen%d", HDR_LEN))
		die("tap");
	/* The shortest way in: nobody closes this tap while we send. */
	if (setsockopt(g->tap.packet, SOL_PACKET, PACKET_QDISC_BYPASS, &one,
		       sizeof(one)))
		die("packet socket");
	if (g->opt.size > ETH_FRAME_LEN)
		set_mtu(&g->tap, g->opt.size - ETH_HLEN);
	if (has_device(g))
		set_up_device(g);
}

static void run_tx(struct netgen *g)
{
	struct vdev_queue *queue = &g->dev.queues[1];
	unsigned int n, in_flight = 0, nr_free = g->opt.num;
	unsigned long sent = 0, free_list[g->opt.num];
	uint32_t len;
	void *cookie;

	for (n = 0; n < nr_free; n++)
		free_list[n] = n;
	vring_calls_off(&queue->ring);
	while (sent < g->opt.packets || in_flight) {
		for (n = 0; n < g->opt.batch && nr_free &&
		     sent < g->opt.packets; n++, sent++, in_flight++)
			offer(g, queue, free_list[--nr_free]);
		if (n)
			vdev_publish(queue);
		if (!nr_free || sent == g->opt.packets)
			wait_used(queue, in_flight * 3 / 4);
		while (vring_get(&queue->ring, &cookie, &len) > 0) {
			free_list[nr_free++] = (unsigned long)cookie;
			in_flight--;
		}
	}
}

static void send_rx(struct netgen *g, unsigned int n)
{
	int ret = sendmmsg(g->tap.packet, g->msgs, n, 0);

	if (ret != (int)n && has_device(g))
		die("sendmmsg");
}

/* Nobody receives. */
static void run_none(struct netgen *g)
{
	unsigned long sent;

	for (sent = 0; sent < g->opt.packets; sent += g->opt.batch)
		send_rx(g, g->opt.batch);
}

static void run_rx(struct netgen *g)
{
	struct vdev_queue *queue = &g->dev.queues[0];
	unsigned int room = g->opt.num / g->per_packet, n, back;
	unsigned long sent = 0, got = 0, buffers = 0;
	uint32_t len;
	void *cookie;

	vring_calls_off(&queue->ring);
	while (got < g->opt.packets) {
		/* No more than there are buffers and room in the tap. */
		n = g->opt.batch < room ? g->opt.batch : room;
		if (n > g->opt.packets - sent)
			n = g->opt.packets - sent;
		if (n && sent - got + n <= room) {
			send_rx(g, n);
			sent += n;
		} else {
			wait_used(queue, (sent - got) * g->per_packet * 3 / 4);
		}
		for (back = 0; vring_get(&queue->ring, &cookie, &len) > 0;
		     back++)
			offer(g, queue, (unsigned long)cookie);
		if (back)
			vdev_publish(queue);
		buffers += back;
		got = buffers / g->per_packet;
	}
}

static void fill_rx(struct netgen *g)
{
	struct vdev_queue *queue = &g->dev.queues[0];
	unsigned int i;

	for (i = 0; i < g->opt.num; i++)
		offer(g, queue, i);
	vdev_publish(queue);
}

static void make_frames(struct netgen *g)
{
	unsigned int i;

	g->iov = (struct iovec) {
		.iov_base = calloc(1, g->opt.size),
		.iov_len = g->opt.size,
	};
	frame_init(g->iov.iov_base);
	for (i = 0; i < BATCH_MAX; i++)
		g->msgs[i].msg_hdr = (struct msghdr) {
			.msg_iov = &g->iov, .msg_iovlen = 1,
		};
}

static void report(struct netgen *g, unsigned int round, uint64_t ns,
		   long packets)
{
	const struct options *opt = &g->opt;
	struct vdev_queue *queue = &g->dev.queues[!opt->rx];

	printf("{\"device\": \"%s\", \"mode\": \"%s\", \"ring\": \"%s\", \"event_idx\": %d, \"indirect\": %d, \"mergeable\": %d, \"size\": %u, \"buffer\": %u, \"idle_worker\": %d, \"batch\": %u, \"round\": %u, \"ns_per_packet\": %.1f, \"kicks\": %lu, \"calls\": %lu, \"tap\": %ld}\n",
	       opt->device, opt->rx ? "rx" : "tx",
	       opt->packed ? "packed" : "split", opt->event_idx, opt->indirect,
	       opt->mergeable, opt->size, opt->buf_size, opt->idle_worker,
	       opt->batch, round,
	       (double)ns / opt->packets, queue->kicks, queue->calls, packets);
	fflush(stdout);
	queue->kicks = 0;
	queue->calls = 0;
}

int main(int argc, char **argv)
{
	static struct netgen g;
	const char *counter;
	unsigned int round;
	long before, after;
	uint64_t start;

	g.opt = parse(argc, argv);
	set_up(&g);
	if (!g.opt.rx)
		close(g.tap.packet);
	else if (has_device(&g))
		fill_rx(&g);
	make_frames(&g);
	counter = g.opt.rx ? "tx_packets" : "rx_packets";

	for (round = 0; round < g.opt.repeat; round++) {
		before = tapdev_counter(&g.tap, counter);
		start = now_ns();
		if (!has_device(&g))
			run_none(&g);
		else if (g.opt.rx)
			run_rx(&g);
		else
			run_tx(&g);
		start = now_ns() - start;
		after = tapdev_counter(&g.tap, counter);
		report(&g, round, start, after - before);
		if (!has_device(&g))
			continue;
		if (after - before != (long)g.opt.packets ||
		    tapdev_counter(&g.tap, "tx_dropped")) {
			fprintf(stderr, "packets were lost\n");
			return 1;
		}
	}
	return 0;
}
