// SPDX-License-Identifier: GPL-2.0
/* The generic netlink family khx_merge; uapi/linux/khx_merge.h specifies it. */
#include <linux/dcache.h>
#include <linux/jiffies.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <linux/timekeeping.h>
#include <net/genetlink.h>
#include <linux/khx_merge.h>

#include "control.h"
#include "domain.h"
#include "file.h"
#include "netlink.h"
#include "scan.h"

static struct genl_family khx_merge_family;

#define KHX_MERGE_A_FIRST_SET	KHX_MERGE_A_SET_RUN
#define KHX_MERGE_A_FIRST_STAT	KHX_MERGE_A_STAT_PRIVATE

/* Ranges are checked when a setting is set, by sysfs too. */
static const struct nla_policy khx_merge_set_policy[] = {
	[KHX_MERGE_A_SET_RUN]			= { .type = NLA_U32 },
	[KHX_MERGE_A_SET_PAGES_TO_SCAN]		= { .type = NLA_U32 },
	[KHX_MERGE_A_SET_SLEEP_MSECS]		= { .type = NLA_U32 },
	[KHX_MERGE_A_SET_CPU_LIMIT]		= { .type = NLA_U32 },
	[KHX_MERGE_A_SET_MAX_PAGE_SHARING]	= { .type = NLA_U32 },
	[KHX_MERGE_A_SET_USE_ZERO_PAGES]	= { .type = NLA_U32 },
	[KHX_MERGE_A_SET_MERGE_ACROSS_NODES]	= { .type = NLA_U32 },
	[KHX_MERGE_A_SET_PROFIT_GUARD]		= { .type = NLA_U32 },
};

/* Without a length, a policy would not be looked at. */
static const struct nla_policy khx_merge_no_policy[KHX_MERGE_A_PAD + 1];

/* What GENL_ADMIN_PERM asks for is CAP_NET_ADMIN; this is no matter of networks. */
static int khx_merge_netlink_check(struct sk_buff *skb,
				   struct netlink_ext_ack *extack)
{
	if (netlink_capable(skb, CAP_SYS_ADMIN))
		return 0;
	NL_SET_ERR_MSG(extack, "this needs CAP_SYS_ADMIN");
	return -EPERM;
}

static int khx_merge_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, KHX_MERGE_A_PAD);
}

static int khx_merge_put_totals(struct sk_buff *skb, const unsigned long *totals)
{
	int i;

	for (i = 0; i < KHX_MERGE_NR_STATS; i++)
		if (khx_merge_put_u64(skb, KHX_MERGE_A_FIRST_STAT + i, totals[i]))
			return -EMSGSIZE;
	return 0;
}

static int khx_merge_put_stats(struct sk_buff *skb, struct khx_merge_stats *stats)
{
	unsigned long totals[KHX_MERGE_NR_STATS];
	int i;

	for (i = 0; i < KHX_MERGE_NR_STATS; i++)
		totals[i] = khx_merge_stats_read(stats, i);
	return khx_merge_put_totals(skb, totals);
}

static int khx_merge_put_age(struct sk_buff *skb, time64_t born)
{
	return khx_merge_put_u64(skb, KHX_MERGE_A_AGE,
				 ktime_get_seconds() - born);
}

static int khx_merge_put_settings(struct sk_buff *skb)
{
	int i;

	for (i = 0; i < KHX_MERGE_NR_SETTINGS; i++)
		if (nla_put_u32(skb, KHX_MERGE_A_FIRST_SET + i,
				khx_merge_control_get(i)))
			return -EMSGSIZE;
	return 0;
}

/* A file holds no more than its mount; what more it is long is no promise. RCU only. */
static void khx_merge_add_size(struct khx_merge_file *file, void *arg)
{
	unsigned long max = READ_ONCE(khx_merge_file_super(file)->opt.max_pages);
	u64 size = i_size_read(&file->inode), *sum = arg;

	if (max)
		size = min_t(u64, size, (u64)max << PAGE_SHIFT);
	if (check_add_overflow(*sum, size, sum))
		*sum = U64_MAX;
}

static u64 khx_merge_promised(void)
{
	unsigned long skip = 0;
	u64 promised = 0;

	do
		skip = khx_merge_scan_visit_few(skip, khx_merge_add_size,
						&promised);
	while (skip && !fatal_signal_pending(current));
	return promised;
}

static int khx_merge_put_global(struct sk_buff *skb)
{
	unsigned long totals[KHX_MERGE_NR_STATS];
	u64 promised = khx_merge_promised();

	khx_merge_domain_totals(totals);

	if (nla_put_u32(skb, KHX_MERGE_A_STATE, khx_merge_control_state()) ||
	    khx_merge_put_u64(skb, KHX_MERGE_A_FULL_SCANS,
			      khx_merge_control_full_scans()) ||
	    khx_merge_put_u64(skb, KHX_MERGE_A_CPU_NS, khx_merge_control_cpu()) ||
	    khx_merge_put_u64(skb, KHX_MERGE_A_METADATA,
			      khx_merge_control_metadata(totals)) ||
	    nla_put_s64(skb, KHX_MERGE_A_PROFIT, khx_merge_control_profit(totals),
			KHX_MERGE_A_PAD) ||
	    khx_merge_put_u64(skb, KHX_MERGE_A_PROMISED, promised) ||
	    khx_merge_put_settings(skb))
		return -EMSGSIZE;
	return khx_merge_put_totals(skb, totals);
}

static int khx_merge_get_doit(struct sk_buff *skb, struct genl_info *info)
{
	struct sk_buff *reply;
	void *hdr;

	reply = genlmsg_new(GENLMSG_DEFAULT_SIZE, GFP_KERNEL);
	if (!reply)
		return -ENOMEM;
	hdr = genlmsg_put_reply(reply, info, &khx_merge_family, 0,
				KHX_MERGE_CMD_GET);
	if (!hdr || khx_merge_put_global(reply)) {
		nlmsg_free(reply);
		return -EMSGSIZE;
	}
	genlmsg_end(reply, hdr);
	return genlmsg_reply(reply, info);
}

static const char *khx_merge_set_error(enum khx_merge_setting which, int err)
{
	switch (err) {
	case -ERANGE:
		return khx_merge_settings[which].range;
	case -EBUSY:
		return "merge_across_nodes: pages are merged or known; set run to 2 first";
	case -ENOMEM:
		return "run: memory ended before all was unmerged";
	default:
		return NULL;
	}
}

static int khx_merge_set_one(struct genl_info *info, enum khx_merge_setting which)
{
	struct nlattr *attr = info->attrs[KHX_MERGE_A_FIRST_SET + which];
	int ret;

	if (!attr)
		return 0;
	ret = khx_merge_control_set(which, nla_get_u32(attr));
	if (ret && info->extack) {
		NL_SET_BAD_ATTR(info->extack, attr);
		info->extack->_msg = khx_merge_set_error(which, ret);
	}
	return ret;
}

static int khx_merge_set_doit(struct sk_buff *skb, struct genl_info *info)
{
	int i, ret;

	ret = khx_merge_netlink_check(skb, info->extack);
	for (i = 0; i < KHX_MERGE_NR_SETTINGS && !ret; i++)
		ret = khx_merge_set_one(info, i);
	return ret;
}

/*
 * A dump goes over a list by position. If that changes between its messages, they
 * say so (NLM_F_DUMP_INTR), and who asked asks again.
 */
struct khx_merge_dump {
	struct sk_buff *skb;
	struct netlink_callback *cb;
	long skip;
	int ret;
};

static void *khx_merge_dump_begin(struct khx_merge_dump *dump, u8 cmd)
{
	return genlmsg_put(dump->skb, NETLINK_CB(dump->cb->skb).portid,
			   dump->cb->nlh->nlmsg_seq, &khx_merge_family,
			   NLM_F_MULTI, cmd);
}

/* Returns nonzero when the message is full. */
static int khx_merge_dump_end(struct khx_merge_dump *dump, void *hdr, int ret)
{
	if (ret) {
		genlmsg_cancel(dump->skb, hdr);
		return ret;
	}
	genl_dump_check_consistent(dump->cb, hdr);
	genlmsg_end(dump->skb, hdr);
	dump->cb->args[0]++;
	return 0;
}

/*
 * No reference may be taken to the dentry: dropping the last one would evict the
 * inode, and that waits for the scan lock, which the caller holds.
 */
static int khx_merge_put_name(struct sk_buff *skb, struct inode *inode)
{
	struct name_snapshot name;
	struct dentry *dentry;
	int ret = 0;

	spin_lock(&inode->i_lock);
	hlist_for_each_entry(dentry, &inode->i_dentry, d_u.d_alias) {
		if (d_unlinked(dentry))
			continue;
		take_dentry_name_snapshot(&name, dentry);
		ret = nla_put_string(skb, KHX_MERGE_A_NAME, name.name.name);
		release_dentry_name_snapshot(&name);
		break;
	}
	spin_unlock(&inode->i_lock);
	return ret;
}

static int khx_merge_put_file(struct sk_buff *skb, struct khx_merge_file *file)
{
	struct inode *inode = &file->inode;
	pid_t owner = READ_ONCE(file->owner);

	if (nla_put_u32(skb, KHX_MERGE_A_DEV, new_encode_dev(inode->i_sb->s_dev)) ||
	    khx_merge_put_u64(skb, KHX_MERGE_A_INO, inode->i_ino) ||
	    khx_merge_put_u64(skb, KHX_MERGE_A_SIZE, i_size_read(inode)) ||
	    nla_put_u32(skb, KHX_MERGE_A_DOMAIN_ID, file->domain->id) ||
	    (owner && nla_put_u32(skb, KHX_MERGE_A_OWNER, owner)) ||
	    khx_merge_put_age(skb, file->born) ||
	    khx_merge_put_name(skb, inode))
		return -EMSGSIZE;
	return khx_merge_put_stats(skb, &file->stats);
}

static bool khx_merge_dump_file(struct khx_merge_file *file, void *arg)
{
	struct khx_merge_dump *dump = arg;
	void *hdr;

	if (dump->skip-- > 0)
		return false;
	hdr = khx_merge_dump_begin(dump, KHX_MERGE_CMD_FILE_GET);
	if (!hdr)
		return true;
	return khx_merge_dump_end(dump, hdr, khx_merge_put_file(dump->skb, file));
}

/* Names of files and domains, and what merges there, are their owners' business. */
static int khx_merge_dump_start(struct netlink_callback *cb)
{
	return khx_merge_netlink_check(cb->skb, cb->extack);
}

static int khx_merge_file_dumpit(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct khx_merge_dump dump = { skb, cb, cb->args[0] };

	cb->seq = khx_merge_scan_changes() + 1;	/* 0 is for "not yet known" */
	khx_merge_scan_visit(khx_merge_dump_file, &dump);
	return skb->len;
}

static int khx_merge_dump_domain(struct khx_merge_domain *domain, void *arg)
{
	struct khx_merge_dump *dump = arg;
	void *hdr;
	int ret;

	if (dump->skip-- > 0)
		return 0;
	hdr = khx_merge_dump_begin(dump, KHX_MERGE_CMD_DOMAIN_GET);
	if (!hdr)
		return -EMSGSIZE;
	ret = nla_put_u32(dump->skb, KHX_MERGE_A_DOMAIN_ID, domain->id) ?:
	      nla_put_string(dump->skb, KHX_MERGE_A_DOMAIN, domain->name) ?:
	      khx_merge_put_age(dump->skb, domain->born) ?:
	      khx_merge_put_stats(dump->skb, &domain->stats);
	return khx_merge_dump_end(dump, hdr, ret);
}

static int khx_merge_domain_dumpit(struct sk_buff *skb,
				   struct netlink_callback *cb)
{
	struct khx_merge_dump dump = { skb, cb, cb->args[0] };

	cb->seq = khx_merge_domain_changes() + 1;
	khx_merge_domain_each(khx_merge_dump_domain, &dump);
	return skb->len;
}

#define KHX_MERGE_POLICY(name)						\
	.policy		= khx_merge_##name##_policy,			\
	.maxattr	= ARRAY_SIZE(khx_merge_##name##_policy) - 1

static const struct genl_ops khx_merge_ops[] = {
	{
		.cmd	= KHX_MERGE_CMD_GET,
		.doit	= khx_merge_get_doit,
		KHX_MERGE_POLICY(no),
	},
	{
		.cmd	= KHX_MERGE_CMD_SET,
		.doit	= khx_merge_set_doit,
		KHX_MERGE_POLICY(set),
	},
	{
		.cmd	= KHX_MERGE_CMD_FILE_GET,
		.start	= khx_merge_dump_start,
		.dumpit	= khx_merge_file_dumpit,
		KHX_MERGE_POLICY(no),
	},
	{
		.cmd	= KHX_MERGE_CMD_DOMAIN_GET,
		.start	= khx_merge_dump_start,
		.dumpit	= khx_merge_domain_dumpit,
		KHX_MERGE_POLICY(no),
	},
};

static const struct genl_multicast_group khx_merge_groups[] = {
	{ .name = KHX_MERGE_GENL_EVENTS },
};

static struct genl_family khx_merge_family __ro_after_init = {
	.name		= KHX_MERGE_GENL_NAME,
	.version	= KHX_MERGE_GENL_VERSION,
	.ops		= khx_merge_ops,
	.n_ops		= ARRAY_SIZE(khx_merge_ops),
	.resv_start_op	= KHX_MERGE_CMD_GET,
	.mcgrps		= khx_merge_groups,
	.n_mcgrps	= ARRAY_SIZE(khx_merge_groups),
	/* All have locks of their own; unmerging takes long. */
	.parallel_ops	= true,
	.module		= THIS_MODULE,
};

static struct sk_buff *khx_merge_event_begin(u8 cmd, void **hdr, gfp_t gfp)
{
	struct sk_buff *skb;

	if (!genl_has_listeners(&khx_merge_family, &init_net, 0))
		return NULL;
	skb = genlmsg_new(GENLMSG_DEFAULT_SIZE, gfp);
	if (!skb)
		return NULL;
	*hdr = genlmsg_put(skb, 0, 0, &khx_merge_family, 0, cmd);
	if (*hdr)
		return skb;
	nlmsg_free(skb);
	return NULL;
}

/* Events are news, not records: one that does not fit or arrive is lost. */
static void khx_merge_event_end(struct sk_buff *skb, void *hdr, int ret,
				gfp_t gfp)
{
	if (ret) {
		nlmsg_free(skb);
		return;
	}
	genlmsg_end(skb, hdr);
	genlmsg_multicast(&khx_merge_family, skb, 0, 0, gfp);
}

void khx_merge_netlink_pass(void)
{
	unsigned long totals[KHX_MERGE_NR_STATS];
	static unsigned long next;
	struct sk_buff *skb;
	void *hdr;
	int ret;

	if (next && time_before(jiffies, next))
		return;
	next = jiffies + HZ;
	skb = khx_merge_event_begin(KHX_MERGE_CMD_PASS, &hdr, GFP_KERNEL);
	if (!skb)
		return;
	khx_merge_domain_totals(totals);
	ret = khx_merge_put_u64(skb, KHX_MERGE_A_FULL_SCANS,
				khx_merge_control_full_scans()) ?:
	      khx_merge_put_totals(skb, totals);
	khx_merge_event_end(skb, hdr, ret, GFP_KERNEL);
}

void khx_merge_netlink_guard(void)
{
	unsigned long totals[KHX_MERGE_NR_STATS];
	struct sk_buff *skb;
	void *hdr;
	int ret;

	skb = khx_merge_event_begin(KHX_MERGE_CMD_GUARD, &hdr, GFP_KERNEL);
	if (!skb)
		return;
	khx_merge_domain_totals(totals);
	ret = nla_put_u32(skb, KHX_MERGE_A_STATE, khx_merge_control_state()) ?:
	      nla_put_s64(skb, KHX_MERGE_A_PROFIT,
			  khx_merge_control_profit(totals), KHX_MERGE_A_PAD);
	khx_merge_event_end(skb, hdr, ret, GFP_KERNEL);
}

void khx_merge_netlink_full(struct khx_merge_super *super)
{
	struct sk_buff *skb;
	void *hdr;
	int ret;

	if (!genl_has_listeners(&khx_merge_family, &init_net, 0) ||
	    !__ratelimit(&super->full_events))
		return;
	skb = khx_merge_event_begin(KHX_MERGE_CMD_LIMIT, &hdr, GFP_NOWAIT);
	if (!skb)
		return;
	ret = nla_put_u32(skb, KHX_MERGE_A_DOMAIN_ID, super->domain->id) ?:
	      khx_merge_put_u64(skb, KHX_MERGE_A_SIZE,
				(u64)READ_ONCE(super->opt.max_pages) << PAGE_SHIFT);
	khx_merge_event_end(skb, hdr, ret, GFP_NOWAIT);
}

int khx_merge_netlink_init(void)
{
	return genl_register_family(&khx_merge_family);
}

void khx_merge_netlink_exit(void)
{
	genl_unregister_family(&khx_merge_family);
}
