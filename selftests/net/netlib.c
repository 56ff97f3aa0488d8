// SPDX-License-Identifier: GPL-2.0
/* What the tests of /dev/khx-net share; see netlib.h. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_ether.h>

#include "netlib.h"

void net_require(void)
{
	if (access(NET_DEVICE, F_OK))
		tap_skip_all("no %s: is khx_net loaded?", NET_DEVICE);
	if (access("/dev/net/tun", R_OK | W_OK))
		tap_skip_all("no access to /dev/net/tun");
}

/* The header before each packet of the tap; the device may have its own. */
static int tap_hdr_len(struct net *net, uint64_t features)
{
	const uint64_t long_hdr = VDEV_F(VIRTIO_F_VERSION_1) |
				  VDEV_F(VIRTIO_NET_F_MRG_RXBUF);

	net->hdr_len = features & long_hdr ? 12 : 10;
	return features & VDEV_F(VHOST_NET_F_VIRTIO_NET_HDR) ? 0 : net->hdr_len;
}

static void open_device(struct net *net, uint64_t features, unsigned int num)
{
	unsigned int i;

	if (vdev_open(&net->dev, NET_DEVICE, features, 64 << 20))
		tap_bail("%s: %s", NET_DEVICE, strerror(errno));
	for (i = 0; i < VDEV_QUEUES; i++)
		if (vdev_queue_open(&net->dev, i, num) ||
		    vdev_set_backend(&net->dev, i, net->tap.fd))
			tap_bail("queue %u: %s", i, strerror(errno));
}

void net_open(struct net *net, uint64_t features, unsigned int num)
{
	if (tapdev_open(&net->tap, "khxtest%d", tap_hdr_len(net, features)))
		tap_bail("no tap: %s", strerror(errno));
	open_device(net, features, num);
}

bool net_open_on(struct net *net, const char *type, uint64_t features,
		 unsigned int num)
{
	if (tapdev_open_on_veth(&net->tap, type, tap_hdr_len(net, features)))
		return false;
	open_device(net, features, num);
	return true;
}

void net_close(struct net *net)
{
	vdev_close(&net->dev);
	tapdev_close(&net->tap);
}

void net_frame_fill(void *frame, unsigned int len, unsigned int seed)
{
	unsigned char *byte = frame;
	struct ethhdr *eth = frame;
	unsigned int i;

	for (i = 0; i < len; i++)
		byte[i] = (seed + i) * 2654435761u >> 24;
	memset(eth->h_dest, 0xff, ETH_ALEN);
	memset(eth->h_source, 0x02, ETH_ALEN);
	eth->h_proto = htons(TAPDEV_ETHERTYPE);
}

bool net_frame_ok(const void *frame, unsigned int len, unsigned int seed)
{
	static unsigned char wanted[NET_FRAME_MAX];

	net_frame_fill(wanted, len, seed);
	return !memcmp(frame, wanted, len);
}

int net_host_receive(struct net *net, void *frame, unsigned int size)
{
	struct pollfd pollfd = { .fd = net->tap.packet, .events = POLLIN };

	if (poll(&pollfd, 1, NET_TIMEOUT_MS) != 1)
		return -1;
	return recv(net->tap.packet, frame, size, 0);
}

bool net_host_send(struct net *net, const void *frame, unsigned int len)
{
	return send(net->tap.packet, frame, len, 0) == (int)len;
}

static int worker_tid(struct net *net)
{
	char path[64], text[256];
	int fd = net->dev.fd, tid = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (fgets(text, sizeof(text), file))
		if (sscanf(text, "khx-worker: %*d pid %d", &tid) == 1)
			break;
	fclose(file);
	return tid;
}

long long net_worker_ns(struct net *net)
{
	long long ns = -1;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/schedstat", worker_tid(net));
	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fscanf(file, "%lld", &ns) != 1)
		ns = -1;
	fclose(file);
	return ns;
}

bool net_worker_sleeps(struct net *net)
{
	long long before, after;
	unsigned int i;

	/* What it still had to do may reach into the first look. */
	for (i = 0; i < 3; i++) {
		before = net_worker_ns(net);
		usleep(200000);
		after = net_worker_ns(net);
		if (before >= 0 && after - before < 100000000)
			return true;
	}
	tap_diag("worker ran %lld ns of 200 ms", after - before);
	return false;
}

/* A thread that was woken shows as running, or wanting to, until it sleeps. */
bool net_worker_idle(struct net *net)
{
	char path[64], state = 0;
	unsigned int i;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", worker_tid(net));
	for (i = 0; i < NET_TIMEOUT_MS; i++) {
		file = fopen(path, "r");
		if (!file)
			return false;
		if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			state = 0;
		fclose(file);
		/* D is none: it waits for a mutex, or for memory. */
		if (state == 'S' || state == 'I')
			return true;
		usleep(1000);
	}
	return false;
}
