/* SPDX-License-Identifier: GPL-2.0 */
/* The generic netlink family; its interface is uapi/linux/khx.h. */
#ifndef KHX_CORE_NETLINK_H
#define KHX_CORE_NETLINK_H

#include <linux/init.h>
#include <linux/khx.h>
#include <linux/types.h>

struct khx_device;
struct khx_virtqueue;

/* netlink.c */
int __init khx_netlink_init(void);
void khx_netlink_exit(void);

/*
 * netlink-event.c: tell those who listen; nothing is done when nobody does.
 * May sleep; for a virtqueue's events its mutex may be held.
 */
void khx_netlink_dev_event(struct khx_device *dev, u8 cmd);
void khx_netlink_vq_event(struct khx_virtqueue *vq, u8 cmd);

#endif /* KHX_CORE_NETLINK_H */
