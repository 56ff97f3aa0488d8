/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A tap interface, or a macvtap or ipvtap, and the host's end of it. Needs
 * CAP_NET_ADMIN.
 * Functions return 0 or a file descriptor, or -1 with errno set.
 */
#ifndef KHX_SELFTESTS_TAPDEV_H
#define KHX_SELFTESTS_TAPDEV_H

#include <stdbool.h>
#include <stdint.h>

/* Marks our packets; nobody in the stack wants them. */
#define TAPDEV_ETHERTYPE	0x88b5

/**
 * struct tapdev - a tap interface and its first queue
 * @fd: its queue, for the device
 * @packet: a packet socket on the interface, for our ethertype. Through the
 *          queueing discipline: with PACKET_QDISC_BYPASS, Linux 6.1 divides
 *          by zero when the tap is closed meanwhile (packet_direct_xmit)
 * @name: of the interface
 * @ifindex: its index
 * @multi: it may have more queues
 * @veth: the host's end is that of a veth pair which this one lies on
 */
struct tapdev {
	int fd;
	int packet;
	char name[16];
	int ifindex;
	bool multi;
	bool veth;
};

/* @hdr_len: length of the virtio-net header, or 0 for none. */
int tapdev_open(struct tapdev *tap, const char *name, int hdr_len);
/* The same for more than one queue, and another queue; closed by the caller. */
int tapdev_open_multi(struct tapdev *tap, const char *name, int hdr_len);
int tapdev_open_queue(struct tapdev *tap, int hdr_len);
/*
 * One of @type "macvtap" or "ipvtap" on a veth pair; @name and @ifindex are
 * those of the pair's other end. There is one at a time.
 */
int tapdev_open_on_veth(struct tapdev *tap, const char *type, int hdr_len);
void tapdev_close(struct tapdev *tap);
int tapdev_set_up(struct tapdev *tap, bool up);
/* One of /sys/class/net/NAME/statistics, or -1. */
long tapdev_counter(const struct tapdev *tap, const char *which);

#endif /* KHX_SELFTESTS_TAPDEV_H */
