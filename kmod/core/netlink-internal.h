/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the netlink family share. */
#ifndef KHX_CORE_NETLINK_INTERNAL_H
#define KHX_CORE_NETLINK_INTERNAL_H

#include <net/genetlink.h>

#include "core/netlink.h"

struct khx_worker;
struct pid_namespace;

/* Multicast groups, in the order of the family's table. */
enum {
	KHX_NETLINK_EVENTS,
};

/**
 * struct khx_netlink_msg - a message that is being made
 * @skb: where it goes
 * @portid: who asked, 0 for an event
 * @seq: number of the request, 0 for an event
 * @flags: NLM_F_*
 * @cmd: KHX_CMD_*
 * @cb: the dump it belongs to, or NULL
 * @pid_ns: how the reader numbers processes; NULL: show none
 */
struct khx_netlink_msg {
	struct sk_buff *skb;
	u32 portid;
	u32 seq;
	int flags;
	u8 cmd;
	struct netlink_callback *cb;
	struct pid_namespace *pid_ns;
};

/**
 * struct khx_netlink_subject - what a message is about
 * @dev: device
 * @vq: one of its virtqueues, if it is about that
 * @worker: one of its workers, if it is about that; under RCU
 * @worker_id: that one's number among the device's
 * @attrs: request, if the message is about what it has set
 */
struct khx_netlink_subject {
	struct khx_device *dev;
	struct khx_virtqueue *vq;
	struct khx_worker *worker;
	unsigned long worker_id;
	struct nlattr **attrs;
};

extern struct genl_family khx_netlink_family;

/* netlink.c: what every request begins with. */
int khx_netlink_check(struct genl_info *info, u8 cmd);
struct khx_device *khx_netlink_device(struct genl_info *info);

/*
 * netlink-fill.c: one whole message, or an errno and nothing; -EMSGSIZE when it
 * has no room. Nothing there waits for a device.
 */
typedef int (*khx_netlink_put_fn)(const struct khx_netlink_msg *msg,
				  const struct khx_netlink_subject *subject);

int khx_netlink_put_dev(const struct khx_netlink_msg *msg,
			const struct khx_netlink_subject *subject);
int khx_netlink_put_vq(const struct khx_netlink_msg *msg,
		       const struct khx_netlink_subject *subject);
int khx_netlink_put_worker(const struct khx_netlink_msg *msg,
			   const struct khx_netlink_subject *subject);
int khx_netlink_put_settings(const struct khx_netlink_msg *msg,
			     const struct khx_netlink_subject *subject);
int khx_netlink_fill(const struct khx_netlink_msg *msg,
		     const struct khx_netlink_subject *subject,
		     khx_netlink_put_fn put);

/* netlink-event.c */
void khx_netlink_settings_event(struct khx_device *dev,
				struct nlattr **attrs);

/* netlink-set.c */
int khx_netlink_worker_set(struct sk_buff *skb, struct genl_info *info);

#endif /* KHX_CORE_NETLINK_INTERNAL_H */
