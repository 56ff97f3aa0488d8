// SPDX-License-Identifier: GPL-2.0
/* Closed loops of packets through queue pairs; see netload.h. */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "netload.h"

#define HDR_LEN		sizeof(struct virtio_net_hdr_mrg_rxbuf)
#define FRAME_HDR_LEN	(ETH_HLEN + sizeof(struct iphdr) + \
			 sizeof(struct tcphdr))
#define GSO_SIZE	1448
#define WAIT_MS		20000

/* Slots that the kernel's ring of a tap gives free late, and more. */
#define RING_LAZY	64

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

/* Larger than the wire takes: the device, or the stack, is to cut it. */
static bool is_gso(const struct netload *load)
{
	return load->opt.size > ETH_FRAME_LEN;
}

/*
 * Packets
 */

/* TCP to somebody else: the stack drops it at its door. */
static void frame_init(char *frame, unsigned int size, unsigned int flow)
{
	struct ethhdr *eth = (struct ethhdr *)frame;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct tcphdr *tcp = (struct tcphdr *)(ip + 1);

	memcpy(eth->h_dest, "\x02\0\0\0\0\x01", ETH_ALEN);
	memcpy(eth->h_source, "\x02\0\0\0\0\x02", ETH_ALEN);
	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = sizeof(*ip) / 4;
	ip->tot_len = htons(size - ETH_HLEN);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = inet_addr("198.18.0.1");
	ip->daddr = inet_addr("198.18.0.2");
	tcp->source = htons(1024 + flow);
	tcp->dest = htons(5001);
	tcp->doff = sizeof(*tcp) / 4;
}

static void hdr_init(const struct netload *load, void *at)
{
	const struct virtio_net_hdr gso = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = FRAME_HDR_LEN,
		.gso_size = GSO_SIZE,
		.csum_start = ETH_HLEN + sizeof(struct iphdr),
		.csum_offset = offsetof(struct tcphdr, check),
	};

	if (is_gso(load))
		memcpy(at, &gso, sizeof(gso));
}

/* What goes into the tap: a frame, behind a header if it is to be cut. */
static void make_messages(struct netload *load, struct netload_pair *pair,
			  unsigned int flow)
{
	static struct sockaddr_ll to = {
		.sll_family = AF_PACKET, .sll_halen = ETH_ALEN,
	};
	size_t hdr = is_gso(load) ? sizeof(struct virtio_net_hdr) : 0;
	unsigned int i;

	to.sll_protocol = htons(ETH_P_IP);
	to.sll_ifindex = load->tap.ifindex;
	pair->iov.iov_len = hdr + load->opt.size;
	pair->iov.iov_base = calloc(1, pair->iov.iov_len);
	hdr_init(load, pair->iov.iov_base);
	frame_init(pair->iov.iov_base + hdr, load->opt.size, flow);
	for (i = 0; i < NETLOAD_BATCH_MAX; i++)
		pair->msgs[i].msg_hdr = (struct msghdr) {
			.msg_iov = &pair->iov, .msg_iovlen = 1,
			.msg_name = &to, .msg_namelen = sizeof(to),
		};
}

/*
 * Set-up
 */

static void open_tap(struct netload *load)
{
	unsigned int i, offload = TUN_F_CSUM | TUN_F_TSO4;
	struct tapdev *tap = &load->tap;
	int on = 1;

	if (load->opt.pairs == 1 ? tapdev_open(tap, "netgen%d", HDR_LEN) :
				   tapdev_open_multi(tap, "netgen%d", HDR_LEN))
		die("tap");
	load->taps[0] = tap->fd;
	for (i = 1; i < load->opt.pairs; i++) {
		load->taps[i] = tapdev_open_queue(tap, HDR_LEN);
		if (load->taps[i] < 0)
			die("queue of the tap");
	}
	/* The shortest way in: nobody closes this tap while we send. */
	if (setsockopt(tap->packet, SOL_PACKET, PACKET_QDISC_BYPASS, &on,
		       sizeof(on)))
		die("packet socket");
	if (is_gso(load) &&
	    (ioctl(tap->fd, TUNSETOFFLOAD, offload) ||
	     setsockopt(tap->packet, SOL_PACKET, PACKET_VNET_HDR, &on,
			sizeof(on))))
		die("segmentation offload");
}

/* Room in the tap for all packets of a round, as nobody takes them out. */
static void set_queue_len(const struct netload *load)
{
	struct ifreq ifr = { .ifr_qlen = load->opt.packets + RING_LAZY };

	memcpy(ifr.ifr_name, load->tap.name, sizeof(load->tap.name));
	if (ioctl(load->tap.packet, SIOCSIFTXQLEN, &ifr))
		die("queue length");
}

static uint64_t features(const struct netload_options *opt)
{
	uint64_t features = VDEV_F(VIRTIO_F_VERSION_1);

	if (opt->packed)
		features |= VDEV_F(VIRTIO_F_RING_PACKED);
	if (opt->event_idx)
		features |= VDEV_F(VIRTIO_RING_F_EVENT_IDX);
	if (opt->indirect)
		features |= VDEV_F(VIRTIO_RING_F_INDIRECT_DESC);
	if (opt->mergeable)
		features |= VDEV_F(VIRTIO_NET_F_MRG_RXBUF);
	return features;
}

static void make_buffers(struct netload *load, struct netload_pair *pair,
			 unsigned int flow)
{
	const struct netload_options *opt = &load->opt;
	unsigned int i;
	char *buffer;

	pair->buffers = vdev_alloc(&pair->dev, opt->num * load->stride);
	pair->tables = vdev_alloc(&pair->dev,
				  opt->num * sizeof(struct vring_desc));
	for (i = 0; i < opt->num; i++) {
		buffer = pair->buffers + i * load->stride;
		hdr_init(load, buffer);
		frame_init(buffer + HDR_LEN, opt->size, flow);
		pair->free[pair->nr_free++] = i;
	}
}

static void open_pair(struct netload *load, unsigned int index)
{
	struct netload_pair *pair = &load->pairs[index];
	const struct netload_options *opt = &load->opt;
	unsigned int i;

	if (vdev_open(&pair->dev, opt->device ?: "/dev/khx-net", features(opt),
		      opt->num * load->stride + (1 << 20)))
		die(opt->device);
	for (i = 0; i < VDEV_QUEUES; i++)
		if (vdev_queue_open(&pair->dev, i, opt->num))
			die("ring");
	pair->queue = &pair->dev.queues[!opt->rx];
	vring_calls_off(&pair->queue->ring);
	make_buffers(load, pair, index);
	make_messages(load, pair, index);
}

static void start_pair(struct netload *load, unsigned int index)
{
	unsigned int i;

	for (i = 0; i < VDEV_QUEUES; i++)
		if (vdev_set_backend(&load->pairs[index].dev, i,
				     load->taps[index]))
			die("VHOST_NET_SET_BACKEND");
}

/* Devices' threads have our pid in their names. */
static unsigned int make_workers_idle(void)
{
	const struct sched_param param = {};
	char path[300], name[32], wanted[2][32];
	unsigned int found = 0;
	struct dirent *entry;
	FILE *file;
	DIR *dir;

	snprintf(wanted[0], sizeof(wanted[0]), "vhost-%d\n", getpid());
	snprintf(wanted[1], sizeof(wanted[1]), "khx-%d\n", getpid());
	dir = opendir("/proc");
	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		file = fopen(path, "r");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) &&
		    (!strcmp(name, wanted[0]) || !strcmp(name, wanted[1])))
			found += !sched_setscheduler(atoi(entry->d_name),
						     SCHED_IDLE, &param);
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return found;
}

/*
 * The loops
 */

/* Offer buffer @i, which is its own cookie. */
static void offer(struct netload *load, struct netload_pair *pair,
		  unsigned long i)
{
	const struct netload_options *opt = &load->opt;
	char *buffer = pair->buffers + i * load->stride;
	struct vring_buf buf = {
		.addr = vdev_gpa(&pair->dev, buffer),
		.len = opt->rx && opt->buf_size ? opt->buf_size :
						  opt->size + HDR_LEN,
	};
	struct vring_chain chain = {
		.bufs = &buf, .nr_in = opt->rx, .nr_out = !opt->rx,
	};

	if (opt->indirect) {
		chain.table = pair->tables + i * sizeof(struct vring_desc);
		chain.table_addr = vdev_gpa(&pair->dev, chain.table);
	}
	if (vring_add(&pair->queue->ring, &chain, (void *)i))
		die("vring_add");
}

/* Offer a batch. Returns false when there is no room, or all is sent. */
static bool feed_tx(struct netload *load, struct netload_pair *pair)
{
	unsigned int n;

	for (n = 0; n < load->opt.batch && pair->nr_free &&
	     pair->sent < pair->target; n++, pair->sent++)
		offer(load, pair, pair->free[--pair->nr_free]);
	if (n)
		vdev_publish(pair->queue);
	return pair->nr_free && pair->sent < pair->target;
}

static void reap_tx(struct netload_pair *pair)
{
	uint32_t len;
	void *cookie;

	while (vring_get(&pair->queue->ring, &cookie, &len) > 0) {
		pair->free[pair->nr_free++] = (unsigned long)cookie;
		pair->done++;
	}
}

/*
 * Send a batch into the tap, no more than there are buffers for. Returns false
 * when it has to wait for these, or all is sent.
 */
static bool feed_rx(struct netload *load, struct netload_pair *pair)
{
	unsigned long room = load->opt.num / load->per_packet;
	unsigned long n = load->opt.batch < room ? load->opt.batch : room;
	int ret;

	if (n > pair->target - pair->sent)
		n = pair->target - pair->sent;
	if (!n || pair->sent - pair->done + n > room)
		return false;
	ret = sendmmsg(load->tap.packet, pair->msgs, n, 0);
	if (ret != (int)n) {
		fprintf(stderr, "sent %d of %lu packets, after %lu: %s\n", ret,
			n, pair->sent, strerror(errno));
		exit(1);
	}
	pair->sent += n;
	return true;
}

static void reap_rx(struct netload *load, struct netload_pair *pair)
{
	unsigned int n = 0;
	uint32_t len;
	void *cookie;

	for (; vring_get(&pair->queue->ring, &cookie, &len) > 0; n++)
		offer(load, pair, (unsigned long)cookie);
	if (n)
		vdev_publish(pair->queue);
	pair->back += n;
	pair->done = pair->back / load->per_packet;
}

static bool feed(struct netload *load, struct netload_pair *pair)
{
	return load->opt.rx ? feed_rx(load, pair) : feed_tx(load, pair);
}

static void reap(struct netload *load, struct netload_pair *pair)
{
	if (load->opt.rx)
		reap_rx(load, pair);
	else
		reap_tx(pair);
}

/* Wait until most of what is in flight has come back. */
static void wait_used(const struct netload *load, struct netload_pair *pair)
{
	unsigned long slots = (pair->sent - pair->done) * load->per_packet;
	struct vdev_queue *queue = pair->queue;

	vring_calls_after(&queue->ring, slots * 3 / 4);
	if (!vring_has_used(&queue->ring) && !vdev_wait(queue, WAIT_MS)) {
		fprintf(stderr, "the device does not answer\n");
		exit(1);
	}
	vring_calls_off(&queue->ring);
}

static void step(struct netload *load, struct netload_pair *pair)
{
	if (!feed(load, pair))
		wait_used(load, pair);
	reap(load, pair);
}

/* Return @n chains in the device's stead. */
static void answer_split(struct vring_driver *ring, unsigned int n)
{
	const struct vring_avail *avail = ring->at.avail;
	struct vring_used *used = ring->at.used;

	while (n--) {
		used->ring[used->idx % ring->at.num].id =
			avail->ring[used->idx % ring->at.num];
		used->idx++;
	}
	used->flags = VRING_USED_F_NO_NOTIFY;
}

static void answer_packed(struct vring_driver *ring, unsigned int n)
{
	const uint16_t both = 1 << VRING_PACKED_DESC_F_AVAIL |
			      1 << VRING_PACKED_DESC_F_USED;
	struct vring_packed_desc *desc = ring->at.desc;
	unsigned int slot = ring->last_used;
	bool wrap = ring->used_wrap;

	while (n--) {
		desc[slot].flags = wrap ? both : 0;
		if (++slot == ring->at.num) {
			slot = 0;
			wrap = !wrap;
		}
	}
	((struct vring_packed_desc_event *)ring->at.used)->flags =
		VRING_PACKED_EVENT_FLAG_DISABLE;
}

/* The same without a device: only our own time counts. */
static void step_alone(struct netload *load, struct netload_pair *pair)
{
	struct vring_driver *ring = &pair->queue->ring;
	uint64_t start = now_ns();
	unsigned int n;

	feed(load, pair);
	load->spent_ns += now_ns() - start;

	n = (pair->sent - pair->done) * load->per_packet;
	if (load->opt.packed)
		answer_packed(ring, n);
	else
		answer_split(ring, n);

	start = now_ns();
	reap(load, pair);
	load->spent_ns += now_ns() - start;
}

static bool run_pairs(struct netload *load)
{
	bool busy = false;
	unsigned int i;

	for (i = 0; i < load->opt.pairs; i++) {
		struct netload_pair *pair = &load->pairs[i];

		if (pair->done == pair->target)
			continue;
		busy = true;
		if (load->opt.device)
			step(load, pair);
		else
			step_alone(load, pair);
	}
	return busy;
}

/*
 * A tap sends what belongs to a flow through the queue that it last received
 * this flow from, for some seconds.
 */
static void steer(struct netload *load)
{
	unsigned int i;

	if (load->opt.pairs == 1 || !load->opt.rx)
		return;
	for (i = 0; i < load->opt.pairs; i++) {
		char packet[HDR_LEN + NETLOAD_SIZE_MIN] = {};

		frame_init(packet + HDR_LEN, NETLOAD_SIZE_MIN, i);
		if (write(load->taps[i], packet, sizeof(packet)) < 0)
			die("write to the tap");
	}
}

static void drain(struct netload *load)
{
	char packet[HDR_LEN + NETLOAD_SIZE_MAX];
	unsigned int i;

	for (i = 0; i < load->opt.pairs; i++)
		while (read(load->taps[i], packet, sizeof(packet)) > 0)
			;
}

/* Signals that nobody waited for count as well. */
static void count_signals(struct vdev_queue *queue)
{
	eventfd_t value;

	if (!eventfd_read(queue->call, &value))
		queue->signals += value;
}

static void begin(struct netload *load)
{
	unsigned int i, pairs = load->opt.pairs;

	steer(load);
	for (i = 0; i < pairs; i++) {
		struct netload_pair *pair = &load->pairs[i];

		count_signals(pair->queue);
		pair->queue->kicks = 0;
		pair->queue->signals = 0;
		pair->target = load->opt.packets / pairs;
		pair->sent = 0;
		pair->done = 0;
		pair->back = 0;
	}
}

uint64_t netload_run(struct netload *load)
{
	uint64_t start, ns;
	unsigned int i;

	begin(load);
	load->spent_ns = 0;
	start = now_ns();
	while (run_pairs(load))
		;
	ns = now_ns() - start;
	for (i = 0; i < load->opt.pairs; i++)
		count_signals(load->pairs[i].queue);
	if (load->opt.device)
		return ns;
	drain(load);
	return load->spent_ns;
}

static void fill_rx(struct netload *load, struct netload_pair *pair)
{
	while (pair->nr_free)
		offer(load, pair, pair->free[--pair->nr_free]);
	vdev_publish(pair->queue);
}

void netload_open(struct netload *load, const struct netload_options *opt)
{
	unsigned int i;

	load->opt = *opt;
	load->per_packet = 1;
	if (opt->rx && opt->buf_size)
		load->per_packet = (opt->size + HDR_LEN + opt->buf_size - 1) /
				   opt->buf_size;
	load->stride = (opt->size + HDR_LEN + 63) & ~63;

	open_tap(load);
	for (i = 0; i < opt->pairs; i++)
		open_pair(load, i);
	if (opt->device)
		for (i = 0; i < opt->pairs; i++)
			start_pair(load, i);
	else
		set_queue_len(load);
	if (opt->idle_worker && opt->device &&
	    make_workers_idle() != opt->pairs)
		die("workers");
	for (i = 0; i < opt->pairs && opt->rx; i++)
		fill_rx(load, &load->pairs[i]);
}
