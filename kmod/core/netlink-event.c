// SPDX-License-Identifier: GPL-2.0
/*
 * Events, for those who listen in the device's network namespace or in the
 * initial one. Nothing is built when nobody does. An event that cannot be
 * allocated is lost, as one is that finds a full socket.
 */
#include <linux/pid_namespace.h>

#include "core/device.h"
#include "core/netlink-internal.h"

typedef int (*khx_netlink_fill_fn)(const struct khx_netlink_msg *msg,
				   void *object, struct nlattr **attrs);

static void khx_netlink_send(struct net *net, u8 cmd, khx_netlink_fill_fn fill,
			     void *object, struct nlattr **attrs)
{
	/* Numbers of the host's processes are for the host. */
	struct khx_netlink_msg msg = {
		.cmd = cmd,
		.pid_ns = net_eq(net, &init_net) ? &init_pid_ns : NULL,
	};

	if (!genl_has_listeners(&khx_netlink_family, net, KHX_NETLINK_EVENTS))
		return;
	msg.skb = genlmsg_new(NLMSG_GOODSIZE + KHX_CPUS_LEN_MAX, GFP_KERNEL);
	if (!msg.skb)
		return;
	if (fill(&msg, object, attrs)) {
		nlmsg_free(msg.skb);
		return;
	}
	genlmsg_multicast_netns(&khx_netlink_family, net, msg.skb, 0,
				KHX_NETLINK_EVENTS, GFP_KERNEL);
}

static void khx_netlink_send_all(const struct khx_device *dev, u8 cmd,
				 khx_netlink_fill_fn fill, void *object,
				 struct nlattr **attrs)
{
	khx_netlink_send(dev->reg.net, cmd, fill, object, attrs);
	if (!net_eq(dev->reg.net, &init_net))
		khx_netlink_send(&init_net, cmd, fill, object, attrs);
}

static int khx_netlink_event_fill_dev(const struct khx_netlink_msg *msg,
				      void *object, struct nlattr **attrs)
{
	return khx_netlink_fill_dev(msg, object);
}

static int khx_netlink_event_fill_vq(const struct khx_netlink_msg *msg,
				     void *object, struct nlattr **attrs)
{
	return khx_netlink_fill_vq(msg, object);
}

static int khx_netlink_event_fill_settings(const struct khx_netlink_msg *msg,
					   void *object, struct nlattr **attrs)
{
	return khx_netlink_fill_settings(msg, object, attrs);
}

void khx_netlink_dev_event(struct khx_device *dev, u8 cmd)
{
	khx_netlink_send_all(dev, cmd, khx_netlink_event_fill_dev, dev, NULL);
}

void khx_netlink_vq_event(struct khx_virtqueue *vq, u8 cmd)
{
	khx_netlink_send_all(vq->dev, cmd, khx_netlink_event_fill_vq, vq,
			     NULL);
}

/* What KHX_CMD_WORKER_SET did. */
void khx_netlink_settings_event(struct khx_device *dev, struct nlattr **attrs)
{
	khx_netlink_send_all(dev, KHX_CMD_WORKER_NTF,
			     khx_netlink_event_fill_settings, dev, attrs);
}
