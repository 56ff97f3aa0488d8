// SPDX-License-Identifier: GPL-2.0
#include <linux/capability.h>
#include <linux/errno.h>
#include <net/genetlink.h>

#include "attach.h"
#include "filter.h"
#include "netlink.h"
#include "threshold.h"
#include "vcpu.h"
#include "vm.h"

static_assert(KHX_EXITS_FILTER_MAX == KHX_EXITS_PIDS_MAX);

/*
 * What each command takes. An attribute that is not there is refused: a reset
 * of one VM with the name in the wrong attribute must not be one of all VMs.
 */
static const struct nla_policy khx_exits_status_policy[] = {
	[KHX_EXITS_A_ENABLED]	= NLA_POLICY_MAX(NLA_U8, 1),
	[KHX_EXITS_A_PIDS]	= { .type = NLA_NESTED },
};

static const struct nla_policy khx_exits_vm_policy[] = {
	[KHX_EXITS_A_VM]	= { .type = NLA_NUL_STRING,
				    .len = KHX_EXITS_VM_NAME_MAX },
};

static const struct nla_policy khx_exits_threshold_policy[] = {
	[KHX_EXITS_A_NAME]	= { .type = NLA_NUL_STRING,
				    .len = KHX_EXITS_REASON_NAME_MAX },
	[KHX_EXITS_A_RATE]	= { .type = NLA_U64 },
};

/* Without a length, a policy would not be looked at. */
static const struct nla_policy khx_exits_no_policy[KHX_EXITS_A_PAD + 1];

static int khx_exits_netlink_check(struct sk_buff *skb, struct genl_info *info)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(info->extack, "changing khx_exits needs CAP_SYS_ADMIN");
	return -EPERM;
}

static int khx_exits_put_filter(struct sk_buff *skb)
{
	struct khx_exits_filter *filter = kmalloc(sizeof(*filter), GFP_KERNEL);
	struct nlattr *nest = nla_nest_start(skb, KHX_EXITS_A_PIDS);
	unsigned int i;
	int ret = 0;

	if (!filter || !nest) {
		kfree(filter);
		return -EMSGSIZE;
	}
	khx_exits_filter_get(filter);
	for (i = 0; i < filter->nr && !ret; i++)
		ret = nla_put_u32(skb, KHX_EXITS_A_PID, filter->pid[i]);
	nla_nest_end(skb, nest);
	kfree(filter);
	return ret;
}

static int khx_exits_status_get(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);
	void *msg;

	if (!reply)
		return -ENOMEM;
	msg = genlmsg_put_reply(reply, info, &khx_exits_netlink_family, 0,
				KHX_EXITS_CMD_STATUS_GET);
	if (!msg ||
	    nla_put_u8(reply, KHX_EXITS_A_ENABLED,
		       khx_exits_attach_is_enabled()) ||
	    nla_put_u8(reply, KHX_EXITS_A_ATTACHED,
		       khx_exits_attach_is_attached()) ||
	    nla_put_u64_64bit(reply, KHX_EXITS_A_MISSED,
			      khx_exits_vcpu_missed(), KHX_EXITS_A_PAD) ||
	    nla_put_u32(reply, KHX_EXITS_A_VCPU_BYTES,
			sizeof(struct khx_exits_vcpu)) ||
	    khx_exits_put_filter(reply)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, msg);
	return genlmsg_reply(reply, info);
}

static int khx_exits_parse_pid(const struct nlattr *attr, pid_t *pid,
			       struct netlink_ext_ack *extack)
{
	if (nla_type(attr) != KHX_EXITS_A_PID || nla_len(attr) != sizeof(u32)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "PIDS: only PID belongs here");
		return -EINVAL;
	}
	*pid = nla_get_u32(attr);
	if (*pid <= 0) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "PID: not a process");
		return -ERANGE;
	}
	return 0;
}

static int khx_exits_parse_filter(const struct nlattr *pids,
				  struct khx_exits_filter *filter,
				  struct netlink_ext_ack *extack)
{
	const struct nlattr *attr;
	int left, ret;

	nla_for_each_nested(attr, pids, left) {
		if (filter->nr == KHX_EXITS_FILTER_MAX) {
			NL_SET_ERR_MSG_ATTR(extack, attr,
					    "PIDS: more than 64 processes");
			return -E2BIG;
		}
		ret = khx_exits_parse_pid(attr, &filter->pid[filter->nr],
					  extack);
		if (ret)
			return ret;
		filter->nr++;
	}
	return 0;
}

/* All of it or nothing: what can fail comes before the filter is set. */
static int khx_exits_status_apply(const struct nlattr *enabled,
				  const struct nlattr *pids,
				  struct khx_exits_filter *filter,
				  struct netlink_ext_ack *extack)
{
	int ret = 0;

	if (pids)
		ret = khx_exits_parse_filter(pids, filter, extack);
	if (!ret && enabled)
		ret = khx_exits_attach_enable(nla_get_u8(enabled));
	if (!ret && pids)
		khx_exits_filter_set(filter);
	return ret;
}

static int khx_exits_status_set(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *enabled = info->attrs[KHX_EXITS_A_ENABLED];
	const struct nlattr *pids = info->attrs[KHX_EXITS_A_PIDS];
	int ret = khx_exits_netlink_check(skb, info);
	struct khx_exits_filter *filter;

	if (ret)
		return ret;
	if (!enabled && !pids) {
		NL_SET_ERR_MSG(info->extack,
			       "neither ENABLED nor PIDS is given");
		return -EINVAL;
	}
	filter = kzalloc(sizeof(*filter), GFP_KERNEL);
	if (!filter)
		return -ENOMEM;
	ret = khx_exits_status_apply(enabled, pids, filter, info->extack);
	kfree(filter);
	return ret;
}

static int khx_exits_reset(struct sk_buff *skb, struct genl_info *info)
{
	const struct nlattr *name = info->attrs[KHX_EXITS_A_VM];
	struct khx_exits_vm *vm;
	int ret = khx_exits_netlink_check(skb, info);

	if (ret)
		return ret;
	if (!name) {
		khx_exits_vm_reset_all();
		return 0;
	}
	ret = -ENOENT;
	mutex_lock(&khx_exits_vm_lock);
	list_for_each_entry(vm, &khx_exits_vms, node) {
		if (nla_strcmp(name, vm->name))
			continue;
		khx_exits_vm_reset(vm);
		ret = 0;
	}
	mutex_unlock(&khx_exits_vm_lock);
	if (ret)
		NL_SET_ERR_MSG_ATTR(info->extack, name, "VM: no such VM");
	return ret;
}

static void khx_exits_threshold_explain(struct genl_info *info, int error)
{
	const struct nlattr *name = info->attrs[KHX_EXITS_A_NAME];

	switch (error) {
	case -EINVAL:
		NL_SET_ERR_MSG_ATTR(info->extack, name, "NAME: empty");
		break;
	case -EEXIST:
		NL_SET_ERR_MSG_ATTR(info->extack, name,
				    "NAME: reason has a threshold");
		break;
	case -ENOENT:
		NL_SET_ERR_MSG_ATTR(info->extack, name,
				    "NAME: reason has no threshold");
		break;
	case -ENOSPC:
		NL_SET_ERR_MSG(info->extack, "too many thresholds");
		break;
	}
}

static int khx_exits_threshold_cmd_add(struct sk_buff *skb,
				       struct genl_info *info)
{
	int ret = khx_exits_netlink_check(skb, info);

	if (ret)
		return ret;
	if (GENL_REQ_ATTR_CHECK(info, KHX_EXITS_A_NAME) ||
	    GENL_REQ_ATTR_CHECK(info, KHX_EXITS_A_RATE)) {
		NL_SET_ERR_MSG(info->extack, "NAME and RATE are needed");
		return -EINVAL;
	}
	ret = khx_exits_threshold_add(nla_data(info->attrs[KHX_EXITS_A_NAME]),
				      nla_get_u64(info->attrs[KHX_EXITS_A_RATE]));
	khx_exits_threshold_explain(info, ret);
	return ret;
}

static int khx_exits_threshold_cmd_del(struct sk_buff *skb,
				       struct genl_info *info)
{
	int ret = khx_exits_netlink_check(skb, info);

	if (ret)
		return ret;
	if (GENL_REQ_ATTR_CHECK(info, KHX_EXITS_A_NAME)) {
		NL_SET_ERR_MSG(info->extack, "NAME is needed");
		return -EINVAL;
	}
	ret = khx_exits_threshold_del(nla_data(info->attrs[KHX_EXITS_A_NAME]));
	khx_exits_threshold_explain(info, ret);
	return ret;
}

#define KHX_EXITS_POLICY(name)						\
	.policy		= khx_exits_##name##_policy,			\
	.maxattr	= ARRAY_SIZE(khx_exits_##name##_policy) - 1

static const struct genl_ops khx_exits_netlink_ops[] = {
	{
		.cmd	= KHX_EXITS_CMD_STATUS_GET,
		.doit	= khx_exits_status_get,
		KHX_EXITS_POLICY(no),
	},
	{
		.cmd	= KHX_EXITS_CMD_STATUS_SET,
		.doit	= khx_exits_status_set,
		KHX_EXITS_POLICY(status),
	},
	{
		.cmd	= KHX_EXITS_CMD_RESET,
		.doit	= khx_exits_reset,
		KHX_EXITS_POLICY(vm),
	},
	{
		.cmd	= KHX_EXITS_CMD_VCPU_GET,
		.dumpit	= khx_exits_dump_vcpus,
		KHX_EXITS_POLICY(vm),
	},
	{
		.cmd	= KHX_EXITS_CMD_REASON_GET,
		.dumpit	= khx_exits_dump_reasons,
		KHX_EXITS_POLICY(vm),
	},
	{
		.cmd	= KHX_EXITS_CMD_TABLE_GET,
		.dumpit	= khx_exits_dump_tables,
		KHX_EXITS_POLICY(vm),
	},
	{
		.cmd	= KHX_EXITS_CMD_THRESHOLD_ADD,
		.doit	= khx_exits_threshold_cmd_add,
		KHX_EXITS_POLICY(threshold),
	},
	{
		.cmd	= KHX_EXITS_CMD_THRESHOLD_DEL,
		.doit	= khx_exits_threshold_cmd_del,
		KHX_EXITS_POLICY(threshold),
	},
	{
		.cmd	= KHX_EXITS_CMD_THRESHOLD_GET,
		.dumpit	= khx_exits_threshold_dump,
		KHX_EXITS_POLICY(no),
	},
};

static const struct genl_multicast_group khx_exits_netlink_groups[] = {
	{ .name = KHX_EXITS_MCGRP_EVENTS },
};

struct genl_family khx_exits_netlink_family __ro_after_init = {
	.name		= KHX_EXITS_GENL_NAME,
	.version	= KHX_EXITS_GENL_VERSION,
	.module		= THIS_MODULE,
	.ops		= khx_exits_netlink_ops,
	.n_ops		= ARRAY_SIZE(khx_exits_netlink_ops),
	.resv_start_op	= KHX_EXITS_CMD_STATUS_GET,
	.mcgrps		= khx_exits_netlink_groups,
	.n_mcgrps	= ARRAY_SIZE(khx_exits_netlink_groups),
	/* Some requests wait; what they change has locks of its own. */
	.parallel_ops	= true,
};

static struct sk_buff *khx_exits_event_start(u8 cmd, const char *vm, pid_t pid,
					     void **msg)
{
	struct sk_buff *skb = genlmsg_new(NLMSG_DEFAULT_SIZE, GFP_KERNEL);

	if (!skb)
		return NULL;
	*msg = genlmsg_put(skb, 0, 0, &khx_exits_netlink_family, 0, cmd);
	if (*msg && !nla_put_string(skb, KHX_EXITS_A_VM, vm) &&
	    !nla_put_u32(skb, KHX_EXITS_A_PID, pid))
		return skb;
	nlmsg_free(skb);
	return NULL;
}

/* Listeners that are too slow lose events: netlink tells them so. */
static void khx_exits_event_send(struct sk_buff *skb, void *msg)
{
	genlmsg_end(skb, msg);
	genlmsg_multicast(&khx_exits_netlink_family, skb, 0, 0, GFP_KERNEL);
}

void khx_exits_netlink_vm(const struct khx_exits_vm *vm, u8 cmd)
{
	struct sk_buff *skb;
	void *msg;

	skb = khx_exits_event_start(cmd, vm->name, vm->pid, &msg);
	if (skb)
		khx_exits_event_send(skb, msg);
}

void khx_exits_netlink_threshold(const struct khx_exits_vcpu *rec,
				 const char *reason, u64 rate, u8 cmd)
{
	struct sk_buff *skb;
	void *msg;

	skb = khx_exits_event_start(cmd, rec->vm->name, rec->pid, &msg);
	if (!skb)
		return;
	if (nla_put_u32(skb, KHX_EXITS_A_VCPU, rec->id) ||
	    nla_put_string(skb, KHX_EXITS_A_NAME, reason) ||
	    nla_put_u64_64bit(skb, KHX_EXITS_A_RATE, rate, KHX_EXITS_A_PAD)) {
		nlmsg_free(skb);
		return;
	}
	khx_exits_event_send(skb, msg);
}

int khx_exits_netlink_init(void)
{
	return genl_register_family(&khx_exits_netlink_family);
}

void khx_exits_netlink_exit(void)
{
	genl_unregister_family(&khx_exits_netlink_family);
}
