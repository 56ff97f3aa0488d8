// SPDX-License-Identifier: GPL-2.0
/*
 * Events, for those who listen in the device's network namespace or in the
 * initial one. Nothing is built when nobody does. An event that cannot be
 * allocated is lost, as one is that finds a full socket.
 */
#include <linux/pid_namespace.h>

#include "core/device.h"
#include "core/netlink-internal.h"

static void khx_netlink_send(struct net *net, u8 cmd,
			     const struct khx_netlink_subject *subject,
			     khx_netlink_put_fn put)
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
	if (khx_netlink_fill(&msg, subject, put)) {
		nlmsg_free(msg.skb);
		return;
	}
	genlmsg_multicast_netns(&khx_netlink_family, net, msg.skb, 0,
				KHX_NETLINK_EVENTS, GFP_KERNEL);
}

static void khx_netlink_send_all(u8 cmd,
				 const struct khx_netlink_subject *subject,
				 khx_netlink_put_fn put)
{
	struct net *net = subject->dev->reg.net;

	khx_netlink_send(net, cmd, subject, put);
	if (!net_eq(net, &init_net))
		khx_netlink_send(&init_net, cmd, subject, put);
}

void khx_netlink_dev_event(struct khx_device *dev, u8 cmd)
{
	const struct khx_netlink_subject subject = { .dev = dev };

	khx_netlink_send_all(cmd, &subject, khx_netlink_put_dev);
}

void khx_netlink_vq_event(struct khx_virtqueue *vq, u8 cmd)
{
	const struct khx_netlink_subject subject = { .dev = vq->dev, .vq = vq };

	khx_netlink_send_all(cmd, &subject, khx_netlink_put_vq);
}

/* What KHX_CMD_WORKER_SET did. */
void khx_netlink_settings_event(struct khx_device *dev, struct nlattr **attrs)
{
	const struct khx_netlink_subject subject = {
		.dev = dev,
		.attrs = attrs,
	};

	khx_netlink_send_all(KHX_CMD_WORKER_NTF, &subject,
			     khx_netlink_put_settings);
}
