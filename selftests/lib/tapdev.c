// SPDX-License-Identifier: GPL-2.0
/* A tap interface and the host's end of it; see tapdev.h. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/if_packet.h>
#include <linux/if_tun.h>

#include "tapdev.h"

static int tapdev_attach(struct tapdev *tap, int fd, const char *name,
			 int hdr_len)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	if (hdr_len)
		ifr.ifr_flags |= IFF_VNET_HDR;
	if (tap->multi)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &ifr) ||
	    (hdr_len && ioctl(fd, TUNSETVNETHDRSZ, &hdr_len)))
		return -1;
	memcpy(tap->name, ifr.ifr_name, sizeof(tap->name));
	tap->ifindex = if_nametoindex(tap->name);
	return tap->ifindex ? 0 : -1;
}

static int tapdev_open_packet(const struct tapdev *tap)
{
	struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(TAPDEV_ETHERTYPE),
		.sll_ifindex = tap->ifindex,
	};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), one = 1;
	int size = 64 << 20;

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one,
		       sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size))) {
		close(fd);
		return -1;
	}
	return fd;
}

int tapdev_set_up(struct tapdev *tap, bool up)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;
	struct ifreq ifr = {};

	memcpy(ifr.ifr_name, tap->name, sizeof(tap->name));
	ret = ioctl(fd, SIOCGIFFLAGS, &ifr);
	if (up)
		ifr.ifr_flags |= IFF_UP;
	else
		ifr.ifr_flags &= ~IFF_UP;
	if (!ret)
		ret = ioctl(fd, SIOCSIFFLAGS, &ifr);
	close(fd);
	return ret;
}

/* The stack would talk to its new neighbour of its own accord. */
static void tapdev_silence(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6",
		 name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) < 0)
		perror(path);
	close(fd);
}

static int tapdev_open_as(struct tapdev *tap, const char *name, int hdr_len,
			  bool multi)
{
	*tap = (struct tapdev) { .packet = -1, .multi = multi };
	tap->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (tap->fd < 0)
		return -1;
	if (tapdev_attach(tap, tap->fd, name, hdr_len))
		goto err;
	tapdev_silence(tap->name);
	if (tapdev_set_up(tap, true))
		goto err;
	tap->packet = tapdev_open_packet(tap);
	if (tap->packet < 0)
		goto err;
	return 0;
err:
	close(tap->fd);
	return -1;
}

int tapdev_open(struct tapdev *tap, const char *name, int hdr_len)
{
	return tapdev_open_as(tap, name, hdr_len, false);
}

int tapdev_open_multi(struct tapdev *tap, const char *name, int hdr_len)
{
	return tapdev_open_as(tap, name, hdr_len, true);
}

int tapdev_open_queue(struct tapdev *tap, int hdr_len)
{
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0 && tapdev_attach(tap, fd, tap->name, hdr_len)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* As QEMU sets one up, but for a header that is not wanted. */
static int tapdev_open_node(const char *name, int hdr_len)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | (hdr_len ? IFF_VNET_HDR : 0),
	};
	int fd, unlimited = INT_MAX;
	char path[64];

	snprintf(path, sizeof(path), "/dev/tap%u", if_nametoindex(name));
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (ioctl(fd, TUNSETIFF, &ifr) ||
	    (hdr_len && ioctl(fd, TUNSETVNETHDRSZ, &hdr_len)) ||
	    ioctl(fd, TUNSETSNDBUF, &unlimited)) {
		close(fd);
		return -1;
	}
	return fd;
}

static int tapdev_make_veth(const char *type)
{
	char command[256];

	snprintf(command, sizeof(command),
		 "ip link add khxlow mtu 65535 type veth peer name khxpeer mtu 65535 && "
		 "ip link add link khxlow name khxtap type %s mode %s", type,
		 strcmp(type, "macvtap") ? "l2" : "bridge");
	if (system(command))
		return -1;
	tapdev_silence("khxlow");
	tapdev_silence("khxpeer");
	tapdev_silence("khxtap");
	return system("ip link set khxlow up && ip link set khxpeer up && ip link set khxtap up");
}

static void tapdev_delete_veth(void)
{
	if (system("ip link del khxlow"))
		fprintf(stderr, "khxlow is left\n");
}

int tapdev_open_on_veth(struct tapdev *tap, const char *type, int hdr_len)
{
	*tap = (struct tapdev) { .fd = -1, .packet = -1, .veth = true,
				 .name = "khxpeer" };
	if (!tapdev_make_veth(type)) {
		tap->ifindex = if_nametoindex(tap->name);
		tap->packet = tapdev_open_packet(tap);
		tap->fd = tapdev_open_node("khxtap", hdr_len);
	}
	if (tap->fd >= 0 && tap->packet >= 0)
		return 0;
	tapdev_close(tap);
	return -1;
}

void tapdev_close(struct tapdev *tap)
{
	close(tap->packet);
	close(tap->fd);
	if (tap->veth)
		tapdev_delete_veth();
}

long tapdev_counter(const struct tapdev *tap, const char *which)
{
	char path[128];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s",
		 tap->name, which);
	file = fopen(path, "r");
	if (!file)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}
