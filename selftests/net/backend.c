// SPDX-License-Identifier: GPL-2.0
/*
 * VHOST_NET_SET_BACKEND: what it refuses and with which error, and that
 * taking the backend away at any moment neither hangs nor loses the queue.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/vhost.h>

#include "netlib.h"

#define NUM		64
#define FEATURES	(VDEV_F(VIRTIO_F_VERSION_1) | \
			 VDEV_F(VIRTIO_RING_F_EVENT_IDX))
#define PACKED		(VDEV_F(VIRTIO_F_RING_PACKED) | FEATURES)
#define FRAME_LEN	200

/* errno of an attempt, 0 if it succeeded. */
static int set_backend(struct vdev *dev, unsigned int index, int fd)
{
	return vdev_set_backend(dev, index, fd) ? errno : 0;
}

static int set_backend_of_other(struct vdev *dev, int fd)
{
	int status;

	if (!fork())
		_exit(set_backend(dev, NET_RX, fd));
	wait(&status);
	return WEXITSTATUS(status);
}

static void test_errors(void)
{
	struct tapdev tap;
	struct vdev dev;
	int fd, fresh;

	if (tapdev_open(&tap, "khxtest%d", 12))
		tap_bail("no tap: %s", strerror(errno));
	fresh = open(NET_DEVICE, O_RDWR);
	dev.fd = fresh;
	tap_is(set_backend(&dev, NET_RX, tap.fd), EPERM, "no owner: EPERM");
	close(fresh);

	if (vdev_open(&dev, NET_DEVICE, FEATURES, 1 << 20))
		tap_bail("%s: %s", NET_DEVICE, strerror(errno));
	tap_is(set_backend(&dev, NET_RX, tap.fd), EFAULT,
	       "ring not set up: EFAULT");
	tap_is(set_backend(&dev, NET_RX, -1), 0, "stopping what is stopped: 0");
	vdev_queue_open(&dev, NET_RX, NUM);

	tap_is(set_backend(&dev, 2, tap.fd), ENOBUFS, "index 2: ENOBUFS");
	tap_is(set_backend(&dev, -1, tap.fd), ENOBUFS, "index -1: ENOBUFS");
	tap_is(set_backend(&dev, NET_RX, 1000), ENOTSOCK,
	       "fd not open: ENOTSOCK");
	fd = open("/dev/null", O_RDWR);
	tap_is(set_backend(&dev, NET_RX, fd), ENOTSOCK, "/dev/null: ENOTSOCK");
	close(fd);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	tap_is(set_backend(&dev, NET_RX, fd), ENOTSOCK,
	       "UDP socket: ENOTSOCK");
	close(fd);
	tap_is(set_backend(&dev, NET_RX, dev.fd), ENOTSOCK,
	       "the device itself: ENOTSOCK");
	fd = open("/dev/net/tun", O_RDWR);
	tap_is(set_backend(&dev, NET_RX, fd), EINVAL,
	       "tun without interface: EINVAL");
	close(fd);
	tap_is(ioctl(dev.fd, VHOST_NET_SET_BACKEND, NULL) ? errno : 0, EFAULT,
	       "no argument: EFAULT");
	tap_is(set_backend_of_other(&dev, tap.fd), EPERM,
	       "another process: EPERM");

	tap_is(set_backend(&dev, NET_RX, tap.fd), 0, "tap: 0");
	tap_is(set_backend(&dev, NET_RX, tap.fd), 0, "the same again: 0");
	tap_is(set_backend(&dev, NET_RX, 1000), ENOTSOCK,
	       "bad fd while it runs: ENOTSOCK");
	tap_is(set_backend(&dev, NET_RX, -1), 0, "stop: 0");
	vdev_close(&dev);
	tapdev_close(&tap);
}

/* Traffic without end in both directions, by threads of our own. */
struct load {
	struct net net;
	char *buffers;
	atomic_bool stop;
	atomic_ulong transmitted;
	atomic_ulong received;
	pthread_t threads[3];
};

static int load_offer(struct load *load, unsigned int index, unsigned long i)
{
	char *buffer = load->buffers + (index * NUM + i) * 2048;
	struct vring_buf buf = {
		.addr = vdev_gpa(&load->net.dev, buffer),
		.len = index == NET_RX ? 2048 : 12 + FRAME_LEN,
	};
	struct vring_chain chain = {
		.bufs = &buf,
		.nr_in = index == NET_RX, .nr_out = index == NET_TX,
	};

	if (index == NET_TX)
		net_frame_fill(buffer + 12, FRAME_LEN, i);
	return vring_add(&load->net.dev.queues[index].ring, &chain, (void *)i);
}

/* Keep one ring full and take back what the device has done. */
static void load_ring(struct load *load, unsigned int index,
		      atomic_ulong *count)
{
	struct vdev_queue *queue = &load->net.dev.queues[index];
	unsigned long i;
	uint32_t len;
	void *cookie;

	for (i = 0; i < NUM; i++)
		load_offer(load, index, i);
	vdev_publish(queue);
	while (!load->stop) {
		if (!vdev_get(queue, &cookie, &len, 10))
			continue;
		(*count)++;
		load_offer(load, index, (unsigned long)cookie);
		vdev_publish(queue);
	}
}

static void *load_transmit(void *arg)
{
	struct load *load = arg;

	load_ring(load, NET_TX, &load->transmitted);
	return NULL;
}

static void *load_receive(void *arg)
{
	struct load *load = arg;

	load_ring(load, NET_RX, &load->received);
	return NULL;
}

static void *load_host(void *arg)
{
	struct load *load = arg;
	char frame[FRAME_LEN];

	net_frame_fill(frame, sizeof(frame), 0);
	while (!load->stop)
		if (send(load->net.tap.packet, frame, sizeof(frame), 0) < 0)
			usleep(1000);
	return NULL;
}

static void load_start(struct load *load, uint64_t features)
{
	memset(load, 0, sizeof(*load));
	net_open(&load->net, features, NUM);
	load->buffers = vdev_alloc(&load->net.dev, 2 * NUM * 2048);
	pthread_create(&load->threads[0], NULL, load_transmit, load);
	pthread_create(&load->threads[1], NULL, load_receive, load);
	pthread_create(&load->threads[2], NULL, load_host, load);
}

static void load_stop(struct load *load)
{
	unsigned int i;

	load->stop = true;
	for (i = 0; i < 3; i++)
		pthread_join(load->threads[i], NULL);
}

/* Do both counts grow? */
static bool load_flows(struct load *load)
{
	unsigned long transmitted = load->transmitted;
	unsigned long received = load->received;
	unsigned int i;

	for (i = 0; i < 500; i++) {
		if (load->transmitted > transmitted + 10 &&
		    load->received > received + 10)
			return true;
		usleep(10000);
	}
	tap_diag("transmitted %lu received %lu",
		 load->transmitted - transmitted, load->received - received);
	return false;
}

/* Does the device go on taking what is transmitted? Five seconds to show it. */
static bool load_transmits(struct load *load)
{
	unsigned long seen = load->transmitted;
	unsigned int i;

	for (i = 0; i < 500 && load->transmitted == seen; i++)
		usleep(10000);
	return load->transmitted > seen;
}

static bool toggle(struct load *load)
{
	struct vdev *dev = &load->net.dev;
	unsigned int i;

	for (i = 0; i < 100; i++) {
		if (set_backend(dev, i & 1, -1) ||
		    set_backend(dev, i & 1, load->net.tap.fd))
			return false;
		usleep(i % 7 * 100);
	}
	return true;
}

static void test_removal(const char *ring, uint64_t features)
{
	static struct load load;
	struct tapdev other;
	unsigned long seen;

	load_start(&load, features);
	tap_ok(load_flows(&load), "%s: traffic flows", ring);
	tap_ok(toggle(&load), "%s: off and on 100 times under traffic", ring);
	tap_ok(load_flows(&load), "%s: traffic flows again", ring);

	set_backend(&load.net.dev, NET_RX, -1);
	set_backend(&load.net.dev, NET_TX, -1);
	usleep(50000);
	seen = load.transmitted + load.received;
	usleep(100000);
	tap_ok(load.transmitted + load.received - seen <= 2 * NUM,
	       "%s: nothing moves without backend", ring);
	tap_ok(net_worker_sleeps(&load.net), "%s: the worker sleeps meanwhile", ring);

	if (tapdev_open(&other, "khxtest%d", 12))
		tap_bail("second tap: %s", strerror(errno));
	set_backend(&load.net.dev, NET_TX, other.fd);
	set_backend(&load.net.dev, NET_RX, load.net.tap.fd);
	tap_ok(load_flows(&load), "%s: transmit into another tap", ring);
	load_stop(&load);
	net_close(&load.net);
	tapdev_close(&other);
}

static void delete_link(const struct tapdev *tap)
{
	struct {
		struct nlmsghdr nlh;
		struct ifinfomsg ifi;
	} req = {
		.nlh = {
			.nlmsg_len = sizeof(req),
			.nlmsg_type = RTM_DELLINK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
		},
		.ifi.ifi_index = tap->ifindex,
	};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	char answer[512];

	send(fd, &req, sizeof(req), 0);
	recv(fd, answer, sizeof(answer), 0);
	close(fd);
}

/* Neither does the host get what is sent meanwhile, nor is it lost unseen. */
static bool interface_is_cut_off(struct load *load)
{
	long received = tapdev_counter(&load->net.tap, "rx_packets");
	long drops = vdev_stat(&load->net.dev, "tx", "drops");
	unsigned int i;

	for (i = 0; i < 600 && vdev_stat(&load->net.dev, "tx", "drops") == drops; i++)
		usleep(100000);
	received = tapdev_counter(&load->net.tap, "rx_packets") - received;
	drops = vdev_stat(&load->net.dev, "tx", "drops") - drops;
	if (!received && drops > 0)
		return true;
	tap_diag("received by the host %ld, drops %ld", received, drops);
	return false;
}

static void test_interface(const char *ring, uint64_t features)
{
	static struct load load;

	load_start(&load, features);
	tap_ok(load_flows(&load), "%s: traffic flows", ring);

	tapdev_set_up(&load.net.tap, false);
	usleep(100000);
	tap_ok(load_transmits(&load),
	       "%s: interface down: what is transmitted is taken and lost",
	       ring);
	tap_ok(interface_is_cut_off(&load),
	       "%s: and the host receives none of it", ring);
	tapdev_set_up(&load.net.tap, true);
	tap_ok(load_flows(&load), "%s: interface up: traffic flows", ring);

	delete_link(&load.net.tap);
	usleep(100000);
	tap_ok(load_transmits(&load),
	       "%s: interface deleted: what is transmitted is taken and lost",
	       ring);
	load_stop(&load);
	tap_ok(net_worker_sleeps(&load.net), "%s: the worker sleeps then", ring);
	tap_ok(vdev_stat(&load.net.dev, "tx", "drops") > 0,
	       "%s: the lost ones are counted", ring);
	tap_is(set_backend(&load.net.dev, NET_TX, -1), 0,
	       "%s: a dead interface can be let go", ring);
	net_close(&load.net);
}

/* Close the device while all is running; its file is the last reference. */
static void test_close(const char *ring, uint64_t features)
{
	static struct load load;
	int null = open("/dev/null", O_RDWR);
	bool flowed;

	load_start(&load, features);
	flowed = load_flows(&load);
	close(load.net.tap.fd);
	load.net.tap.fd = dup(null);
	tap_ok(flowed && load_flows(&load),
	       "%s: the tap lives on in the device", ring);
	dup2(null, load.net.dev.fd);
	load_stop(&load);
	tap_ok(true, "%s: closed under traffic", ring);
	net_close(&load.net);
	close(null);
}

int main(void)
{
	net_require();
	tap_plan(16 + 2 * (6 + 8 + 2));
	test_errors();
	test_removal("split", FEATURES);
	test_removal("packed", PACKED);
	test_interface("split", FEATURES);
	test_interface("packed", PACKED);
	test_close("split", FEATURES);
	test_close("packed", PACKED);
	return tap_exit();
}
