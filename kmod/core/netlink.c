// SPDX-License-Identifier: GPL-2.0
/*
 * The generic netlink family "khx": who may ask what. uapi/linux/khx.h is its
 * specification.
 */
#include <linux/nospec.h>
#include <linux/pid_namespace.h>
#include <linux/rcupdate.h>
#include <linux/stringify.h>
#include <net/sock.h>

#include "core/device.h"
#include "core/netlink-internal.h"
#include "core/registry.h"

/**
 * struct khx_netlink_range - what a number may be
 * @min: at least
 * @max: at most
 * @text: for who is refused, NULL: no number
 *
 * Not in the policy, whose words name no attribute; and a policy's function
 * for a number makes Linux 6.1 warn when it describes the policy to user space.
 */
struct khx_netlink_range {
	u32 min;
	u32 max;
	const char *text;
};

static const struct khx_netlink_range khx_netlink_ranges[KHX_A_MAX + 1] = {
	[KHX_A_DEV_ID] = { 1, U32_MAX, "dev-id: numbers start with 1" },
	[KHX_A_QUEUE_ID] = { 0, S16_MAX, "queue-id: out of range" },
	[KHX_A_WORKER_ID] = { 0, KHX_WORKERS_MAX - 1,
		"worker-id: out of range" },
	[KHX_A_MODE] = { 0, KHX_MODE_SHARED, "mode: device, queue or shared" },
	[KHX_A_WORKERS] = { 1, KHX_WORKERS_MAX,
		"workers: 1 to " __stringify(KHX_WORKERS_MAX) },
	[KHX_A_POLL_US] = { 0, KHX_POLL_US_MAX,
		"poll-us: 0 to " __stringify(KHX_POLL_US_MAX) },
	[KHX_A_WEIGHT] = { KHX_WEIGHT_MIN, KHX_WEIGHT_MAX,
		"weight: " __stringify(KHX_WEIGHT_MIN) " to "
		__stringify(KHX_WEIGHT_MAX) },
};

/* What may come in; everything else is refused as unknown. */
static const struct nla_policy khx_netlink_policy[KHX_A_MAX + 1] = {
	[KHX_A_DEV_ID] = { .type = NLA_U32 },
	[KHX_A_QUEUE_ID] = { .type = NLA_U32 },
	[KHX_A_WORKER_ID] = { .type = NLA_U32 },
	[KHX_A_MODE] = { .type = NLA_U32 },
	[KHX_A_WORKERS] = { .type = NLA_U32 },
	[KHX_A_CPUS] = { .type = NLA_NUL_STRING, .len = KHX_CPUS_LEN_MAX - 1 },
	[KHX_A_POLL_US] = { .type = NLA_U32 },
	[KHX_A_WEIGHT] = { .type = NLA_U32 },
};

/* Attributes each command takes; the policy is that of all of them. */
static const u64 khx_netlink_attrs[] = {
	[KHX_CMD_DEV_GET] = BIT_ULL(KHX_A_DEV_ID),
	[KHX_CMD_QUEUE_GET] = BIT_ULL(KHX_A_DEV_ID) | BIT_ULL(KHX_A_QUEUE_ID),
	[KHX_CMD_WORKER_GET] = BIT_ULL(KHX_A_DEV_ID) | BIT_ULL(KHX_A_WORKER_ID),
	[KHX_CMD_WORKER_SET] = BIT_ULL(KHX_A_DEV_ID) | BIT_ULL(KHX_A_MODE) |
			       BIT_ULL(KHX_A_WORKERS) | BIT_ULL(KHX_A_CPUS) |
			       BIT_ULL(KHX_A_POLL_US) | BIT_ULL(KHX_A_WEIGHT),
};

static_assert(KHX_A_MAX < BITS_PER_LONG_LONG);

/* What NL_SET_ERR_MSG() does, with a text that is not where it is told. */
static void khx_netlink_explain(struct netlink_ext_ack *extack,
				const struct nlattr *attr, const char *text)
{
	if (attr)
		NL_SET_BAD_ATTR(extack, attr);
	if (extack)
		extack->_msg = text;
}

static int khx_netlink_check_attr(const struct nlattr *attr, bool allowed,
				  struct netlink_ext_ack *extack)
{
	const struct khx_netlink_range *range =
		&khx_netlink_ranges[nla_type(attr)];
	u32 value;

	if (!allowed) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "attribute of another command");
		return -EINVAL;
	}
	if (!range->text)
		return 0;
	value = nla_get_u32(attr);
	if (value >= range->min && value <= range->max)
		return 0;
	khx_netlink_explain(extack, attr, range->text);
	return -ERANGE;
}

static int khx_netlink_check_attrs(struct nlattr **attrs, u64 allowed,
				   struct netlink_ext_ack *extack)
{
	unsigned int i;
	int ret = 0;

	for (i = 1; i <= KHX_A_MAX && !ret; i++)
		if (attrs[i])
			ret = khx_netlink_check_attr(attrs[i],
						     allowed & BIT_ULL(i),
						     extack);
	return ret;
}

int khx_netlink_check(struct genl_info *info, u8 cmd)
{
	return khx_netlink_check_attrs(info->attrs, khx_netlink_attrs[cmd],
				       info->extack);
}

/**
 * khx_netlink_device - the device a request is about
 * @info: request
 *
 * Return: the device, to be given to khx_registry_put(), or an ERR_PTR with
 * the reason told.
 */
struct khx_device *khx_netlink_device(struct genl_info *info)
{
	struct nlattr *attr = info->attrs[KHX_A_DEV_ID];
	struct khx_device *dev;

	if (!attr) {
		NL_SET_ERR_MSG(info->extack, "dev-id is missing");
		return ERR_PTR(-EINVAL);
	}
	dev = khx_registry_get(nla_get_u32(attr), genl_info_net(info));
	if (!dev) {
		NL_SET_ERR_MSG_ATTR(info->extack, attr,
				    "dev-id: no such device");
		return ERR_PTR(-ENODEV);
	}
	return dev;
}

/* The objects of a device, each kind of which is asked for in the same way. */
static bool khx_netlink_next_dev(struct khx_netlink_subject *subject,
				 unsigned long *index)
{
	return !*index;
}

static bool khx_netlink_next_vq(struct khx_netlink_subject *subject,
				unsigned long *index)
{
	struct khx_device *dev = subject->dev;

	if (*index >= dev->nvqs)
		return false;
	subject->vq = dev->vqs[array_index_nospec(*index, dev->nvqs)];
	return true;
}

static bool khx_netlink_next_worker(struct khx_netlink_subject *subject,
				    unsigned long *index)
{
	subject->worker = xa_find(&subject->dev->workers, index, ULONG_MAX,
				  XA_PRESENT);
	subject->worker_id = *index;
	return subject->worker;
}

/**
 * struct khx_netlink_kind - a kind of object
 * @cmd: asks for one, or for all of them
 * @attr: its number within the device, 0: it is the device
 * @missing: what to say when @attr is, and
 * @unknown: when no object has that number
 * @next: find the first one of a device whose number is @index or more, and
 *	  set @index to that; called under RCU, which keeps it
 * @put: what a message tells of it
 */
struct khx_netlink_kind {
	u8 cmd;
	u8 attr;
	const char *missing;
	const char *unknown;
	bool (*next)(struct khx_netlink_subject *subject, unsigned long *index);
	khx_netlink_put_fn put;
};

static const struct khx_netlink_kind khx_netlink_kind_dev = {
	.cmd = KHX_CMD_DEV_GET,
	.next = khx_netlink_next_dev,
	.put = khx_netlink_put_dev,
};

static const struct khx_netlink_kind khx_netlink_kind_vq = {
	.cmd = KHX_CMD_QUEUE_GET,
	.attr = KHX_A_QUEUE_ID,
	.missing = "queue-id is missing",
	.unknown = "queue-id: no such virtqueue",
	.next = khx_netlink_next_vq,
	.put = khx_netlink_put_vq,
};

static const struct khx_netlink_kind khx_netlink_kind_worker = {
	.cmd = KHX_CMD_WORKER_GET,
	.attr = KHX_A_WORKER_ID,
	.missing = "worker-id is missing",
	.unknown = "worker-id: no such worker",
	.next = khx_netlink_next_worker,
	.put = khx_netlink_put_worker,
};

/* The object of @subject's device that is asked for; under RCU. */
static int khx_netlink_find(struct khx_netlink_subject *subject,
			    const struct khx_netlink_kind *kind,
			    struct genl_info *info)
{
	const struct nlattr *attr = info->attrs[kind->attr];
	unsigned long wanted = 0, index;

	if (kind->attr) {
		if (!attr) {
			khx_netlink_explain(info->extack, NULL, kind->missing);
			return -EINVAL;
		}
		wanted = nla_get_u32(attr);
	}
	index = wanted;
	if (kind->next(subject, &index) && index == wanted)
		return 0;
	khx_netlink_explain(info->extack, attr, kind->unknown);
	return -ENOENT;
}

/* Answer with one message. */
static int khx_netlink_reply(struct genl_info *info,
			     const struct khx_netlink_kind *kind)
{
	struct khx_netlink_msg msg = {
		.portid = info->snd_portid,
		.seq = info->snd_seq,
		.cmd = kind->cmd,
		.pid_ns = task_active_pid_ns(current),
	};
	struct khx_netlink_subject subject = {};
	int ret;

	ret = khx_netlink_check(info, kind->cmd);
	if (ret)
		return ret;
	msg.skb = genlmsg_new(NLMSG_GOODSIZE + KHX_CPUS_LEN_MAX, GFP_KERNEL);
	if (!msg.skb)
		return -ENOMEM;

	subject.dev = khx_netlink_device(info);
	if (IS_ERR(subject.dev)) {
		ret = PTR_ERR(subject.dev);
		goto err_free;
	}
	rcu_read_lock();
	ret = khx_netlink_find(&subject, kind, info) ?:
	      khx_netlink_fill(&msg, &subject, kind->put);
	rcu_read_unlock();
	khx_registry_put(subject.dev);
	if (ret)
		goto err_free;
	return genlmsg_reply(msg.skb, info);

err_free:
	nlmsg_free(msg.skb);
	return ret;
}

static int khx_netlink_dev_get(struct sk_buff *skb, struct genl_info *info)
{
	return khx_netlink_reply(info, &khx_netlink_kind_dev);
}

static int khx_netlink_queue_get(struct sk_buff *skb, struct genl_info *info)
{
	return khx_netlink_reply(info, &khx_netlink_kind_vq);
}

static int khx_netlink_worker_get(struct sk_buff *skb, struct genl_info *info)
{
	return khx_netlink_reply(info, &khx_netlink_kind_worker);
}

/**
 * struct khx_netlink_cursor - where a dump goes on, in its callback's args
 * @dev: first device to look at
 * @index: first of that device's objects
 */
struct khx_netlink_cursor {
	unsigned long dev;
	unsigned long index;
};

static struct khx_netlink_cursor *
khx_netlink_cursor(struct netlink_callback *cb)
{
	static_assert(sizeof(struct khx_netlink_cursor) <= sizeof(cb->args));
	return (struct khx_netlink_cursor *)cb->args;
}

/* What there is of one device, from the cursor on. */
static int khx_netlink_walk_dev(const struct khx_netlink_msg *msg,
				struct khx_device *dev,
				const struct khx_netlink_kind *kind)
{
	struct khx_netlink_cursor *cursor = khx_netlink_cursor(msg->cb);
	struct khx_netlink_subject subject = { .dev = dev };
	int ret = 0;

	rcu_read_lock();
	for (; kind->next(&subject, &cursor->index); cursor->index++) {
		ret = khx_netlink_fill(msg, &subject, kind->put);
		if (ret)
			break;
	}
	rcu_read_unlock();
	return ret;
}

/* As many devices as the message has room for, or the one that is asked for. */
static int khx_netlink_walk(const struct khx_netlink_msg *msg,
			    const struct nlattr *only,
			    const struct khx_netlink_kind *kind)
{
	struct khx_netlink_cursor *cursor = khx_netlink_cursor(msg->cb);
	const struct net *net = sock_net(msg->skb->sk);
	struct khx_device *dev;
	int ret;

	if (only && !cursor->dev) {
		cursor->dev = nla_get_u32(only);
		dev = khx_registry_next(&cursor->dev, net);
		if (!dev || cursor->dev != nla_get_u32(only)) {
			NL_SET_ERR_MSG_ATTR(msg->cb->extack, only,
					    "dev-id: no such device");
			return -ENODEV;
		}
	}
	while ((dev = khx_registry_next(&cursor->dev, net))) {
		if (only && cursor->dev != nla_get_u32(only))
			break;
		ret = khx_netlink_walk_dev(msg, dev, kind);
		if (ret)
			return ret;
		cursor->dev++;
		cursor->index = 0;
	}
	return 0;
}

static int khx_netlink_dump(struct sk_buff *skb, struct netlink_callback *cb,
			    const struct khx_netlink_kind *kind)
{
	struct khx_netlink_msg msg = {
		.skb = skb,
		.portid = NETLINK_CB(cb->skb).portid,
		.seq = cb->nlh->nlmsg_seq,
		.flags = NLM_F_MULTI,
		.cmd = kind->cmd,
		.cb = cb,
		.pid_ns = task_active_pid_ns(current),
	};
	struct nlattr **attrs = genl_info_dump(cb)->attrs;
	int ret;

	/* Those of one device may be asked for. */
	ret = khx_netlink_check_attrs(attrs,
				      kind->attr ? BIT_ULL(KHX_A_DEV_ID) : 0,
				      cb->extack);
	if (ret)
		return ret;
	cb->seq = khx_registry_lock();
	ret = khx_netlink_walk(&msg, attrs[KHX_A_DEV_ID], kind);
	khx_registry_unlock();

	/* A full message is not an error: the next one goes on. */
	return ret && skb->len ? skb->len : ret;
}

static int khx_netlink_dev_dump(struct sk_buff *skb,
				struct netlink_callback *cb)
{
	return khx_netlink_dump(skb, cb, &khx_netlink_kind_dev);
}

static int khx_netlink_queue_dump(struct sk_buff *skb,
				  struct netlink_callback *cb)
{
	return khx_netlink_dump(skb, cb, &khx_netlink_kind_vq);
}

static int khx_netlink_worker_dump(struct sk_buff *skb,
				   struct netlink_callback *cb)
{
	return khx_netlink_dump(skb, cb, &khx_netlink_kind_worker);
}

static const struct genl_small_ops khx_netlink_ops[] = {
	{
		.cmd	= KHX_CMD_DEV_GET,
		.doit	= khx_netlink_dev_get,
		.dumpit	= khx_netlink_dev_dump,
	},
	{
		.cmd	= KHX_CMD_QUEUE_GET,
		.doit	= khx_netlink_queue_get,
		.dumpit	= khx_netlink_queue_dump,
	},
	{
		.cmd	= KHX_CMD_WORKER_GET,
		.doit	= khx_netlink_worker_get,
		.dumpit	= khx_netlink_worker_dump,
	},
	{
		.cmd	= KHX_CMD_WORKER_SET,
		.doit	= khx_netlink_worker_set,
		.flags	= GENL_ADMIN_PERM,
	},
};

static const struct genl_multicast_group khx_netlink_groups[] = {
	[KHX_NETLINK_EVENTS] = { .name = KHX_GENL_MCGRP_EVENTS },
};

/*
 * Requests do not serialize each other: one that has to wait for a device
 * holds nobody else up.
 */
struct genl_family khx_netlink_family __ro_after_init = {
	.name		= KHX_GENL_NAME,
	.version	= KHX_GENL_VERSION,
	.maxattr	= KHX_A_MAX,
	.policy		= khx_netlink_policy,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.small_ops	= khx_netlink_ops,
	.n_small_ops	= ARRAY_SIZE(khx_netlink_ops),
	.mcgrps		= khx_netlink_groups,
	.n_mcgrps	= ARRAY_SIZE(khx_netlink_groups),
};

int __init khx_netlink_init(void)
{
	return genl_register_family(&khx_netlink_family);
}

void khx_netlink_exit(void)
{
	genl_unregister_family(&khx_netlink_family);
}
