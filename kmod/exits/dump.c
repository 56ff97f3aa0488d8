// SPDX-License-Identifier: GPL-2.0
/*
 * The three dumps. All of them walk the vCPUs in the same way and differ in the
 * messages each vCPU gives: one, one for each reason, or one for each table.
 *
 * cb->args holds where the walk goes on: [0] the vCPU, counted over all VMs, [1]
 * the message of that vCPU. Both hold only while no VM comes or goes, which
 * readers are told by NLM_F_DUMP_INTR.
 */
#include <linux/slab.h>

#include "netlink.h"
#include "stats.h"
#include "vcpu.h"
#include "vm.h"

/**
 * struct khx_exits_dump - what a dump consists of
 * @cmd: command of its messages
 * @parts: how many messages a vCPU may give
 * @fill: writes one of them; 0 if written or if there is nothing to say,
 *	-EMSGSIZE if there is no room
 */
struct khx_exits_dump {
	u8 cmd;
	u32 (*parts)(const struct khx_exits_stats *stats);
	int (*fill)(struct sk_buff *skb, const struct khx_exits_vcpu *rec,
		    const struct khx_exits_stats *stats, u32 part);
};

static int khx_exits_put_u64(struct sk_buff *skb, int attr, u64 value)
{
	return nla_put_u64_64bit(skb, attr, value, KHX_EXITS_A_PAD);
}

static int khx_exits_put_named(struct sk_buff *skb, int attr, const char *name,
			       u64 count)
{
	struct nlattr *nest = nla_nest_start(skb, attr);

	if (!nest || nla_put_string(skb, KHX_EXITS_A_NAME, name) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_COUNT, count))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static u32 khx_exits_dump_one(const struct khx_exits_stats *stats)
{
	return 1;
}

static int khx_exits_put_total(struct sk_buff *skb,
			       const struct khx_exits_stats *stats)
{
	u64 count = 0, time = 0;
	u32 i;

	for (i = KHX_EXITS_SLOT_OTHER; i < stats->nr_slots; i++) {
		count += stats->slot[i].count;
		time += stats->slot[i].total;
	}
	if (khx_exits_put_u64(skb, KHX_EXITS_A_COUNT, count) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_TIME, time) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_REENTRIES, stats->reentries))
		return -EMSGSIZE;
	return 0;
}

static int khx_exits_put_halt(struct sk_buff *skb,
			      const struct khx_exits_halt *halt)
{
	struct nlattr *nest = nla_nest_start(skb, KHX_EXITS_A_HALT);

	if (!nest ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_POLLED, halt->polled) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_POLLED_TIME, halt->polled_ns) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_BLOCKED, halt->blocked) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_BLOCKED_TIME,
			      halt->blocked_ns) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_INVALID, halt->invalid))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int khx_exits_put_faults(struct sk_buff *skb, const u64 *fault)
{
	struct nlattr *nest = nla_nest_start(skb, KHX_EXITS_A_FAULTS);
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < KHX_EXITS_FAULTS; i++)
		if (fault[i] &&
		    khx_exits_put_named(skb, KHX_EXITS_A_FAULT,
					khx_exits_fault_name(i), fault[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int khx_exits_fill_vcpu(struct sk_buff *skb,
			       const struct khx_exits_vcpu *rec,
			       const struct khx_exits_stats *stats, u32 part)
{
	const char *isa = rec->isa == KHX_EXITS_ISA_VMX ? "vmx" : "svm";

	if (nla_put_string(skb, KHX_EXITS_A_ISA, isa) ||
	    khx_exits_put_total(skb, stats) ||
	    khx_exits_put_halt(skb, &stats->halt) ||
	    khx_exits_put_faults(skb, stats->fault))
		return -EMSGSIZE;
	return 0;
}

static u32 khx_exits_dump_slots(const struct khx_exits_stats *stats)
{
	return stats->nr_slots;
}

static int khx_exits_fill_reason(struct sk_buff *skb,
				 const struct khx_exits_vcpu *rec,
				 const struct khx_exits_stats *stats, u32 part)
{
	const struct khx_exits_slot *slot = &stats->slot[part];
	u64 timed = khx_exits_slot_timed(slot);
	char name[KHX_EXITS_TEXT_SIZE];

	if (!slot->count)
		return -ENODATA;
	khx_exits_reason_format(slot->reason, rec->isa, slot->nested, name,
				sizeof(name));
	if (nla_put_string(skb, KHX_EXITS_A_NAME, name) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_COUNT, slot->count) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_TIMED, timed) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_TIME, slot->total) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_MIN, timed ? slot->min : 0) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_MAX_TIME, slot->max) ||
	    nla_put(skb, KHX_EXITS_A_HISTOGRAM, sizeof(slot->hist),
		    slot->hist))
		return -EMSGSIZE;
	return 0;
}

static u32 khx_exits_dump_tops(const struct khx_exits_stats *stats)
{
	return KHX_EXITS_TABLES;
}

static int khx_exits_put_row(struct sk_buff *skb, enum khx_exits_table table,
			     const struct khx_exits_top_row *row)
{
	struct nlattr *nest = nla_nest_start(skb, KHX_EXITS_A_ROW);
	char key[KHX_EXITS_TEXT_SIZE];

	khx_exits_key_format(table, row->key, key, sizeof(key));
	if (!nest || nla_put_string(skb, KHX_EXITS_A_NAME, key) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_COUNT,
			      khx_exits_top_sure(row)) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_ERROR, row->error) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_TIME, row->time))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int khx_exits_put_rows(struct sk_buff *skb, enum khx_exits_table table,
			      const struct khx_exits_top *top)
{
	struct nlattr *nest = nla_nest_start(skb, KHX_EXITS_A_ROWS);
	u32 i;

	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < top->nr; i++)
		if (khx_exits_put_row(skb, table, &top->row[i]))
			return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

static int khx_exits_fill_table(struct sk_buff *skb,
				const struct khx_exits_vcpu *rec,
				const struct khx_exits_stats *stats, u32 part)
{
	const struct khx_exits_top *top = &stats->top[part];

	if (!top->nr)
		return -ENODATA;
	if (nla_put_string(skb, KHX_EXITS_A_NAME, khx_exits_table_name(part)) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_COUNT, top->total) ||
	    khx_exits_put_u64(skb, KHX_EXITS_A_TIME, top->time) ||
	    khx_exits_put_rows(skb, part, top))
		return -EMSGSIZE;
	return 0;
}

static const struct khx_exits_dump khx_exits_vcpu_dump = {
	.cmd	= KHX_EXITS_CMD_VCPU_GET,
	.parts	= khx_exits_dump_one,
	.fill	= khx_exits_fill_vcpu,
};

static const struct khx_exits_dump khx_exits_reason_dump = {
	.cmd	= KHX_EXITS_CMD_REASON_GET,
	.parts	= khx_exits_dump_slots,
	.fill	= khx_exits_fill_reason,
};

static const struct khx_exits_dump khx_exits_table_dump = {
	.cmd	= KHX_EXITS_CMD_TABLE_GET,
	.parts	= khx_exits_dump_tops,
	.fill	= khx_exits_fill_table,
};

static int khx_exits_dump_message(struct sk_buff *skb,
				  struct netlink_callback *cb,
				  const struct khx_exits_dump *dump,
				  const struct khx_exits_vcpu *rec,
				  const struct khx_exits_stats *stats, u32 part)
{
	void *msg = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				cb->nlh->nlmsg_seq, &khx_exits_netlink_family,
				NLM_F_MULTI, dump->cmd);
	int ret = -EMSGSIZE;

	if (!msg)
		return ret;
	genl_dump_check_consistent(cb, msg);
	if (nla_put_string(skb, KHX_EXITS_A_VM, rec->vm->name) ||
	    nla_put_u32(skb, KHX_EXITS_A_PID, rec->pid) ||
	    nla_put_u32(skb, KHX_EXITS_A_VCPU, rec->id))
		goto cancel;
	ret = dump->fill(skb, rec, stats, part);
	if (ret)
		goto cancel;
	genlmsg_end(skb, msg);
	return 0;

cancel:
	genlmsg_cancel(skb, msg);
	return ret == -ENODATA ? 0 : ret;
}

static int khx_exits_dump_rec(struct sk_buff *skb, struct netlink_callback *cb,
			      const struct khx_exits_dump *dump,
			      struct khx_exits_vcpu *rec,
			      struct khx_exits_stats *stats)
{
	int ret;

	khx_exits_vcpu_snapshot(rec, stats);
	for (; cb->args[1] < dump->parts(stats); cb->args[1]++) {
		ret = khx_exits_dump_message(skb, cb, dump, rec, stats,
					     cb->args[1]);
		if (ret)
			return ret;
	}
	cb->args[1] = 0;
	return 0;
}

static bool khx_exits_dump_wants(struct netlink_callback *cb,
				 const struct khx_exits_vm *vm)
{
	const struct nlattr *name =
		genl_info_dump(cb)->attrs[KHX_EXITS_A_VM];

	return !name || !nla_strcmp(name, vm->name);
}

static int khx_exits_dump_all(struct sk_buff *skb, struct netlink_callback *cb,
			      const struct khx_exits_dump *dump,
			      struct khx_exits_stats *stats)
{
	struct khx_exits_vcpu *rec;
	struct khx_exits_vm *vm;
	long nr = 0;
	int ret;

	lockdep_assert_held(&khx_exits_vm_lock);
	list_for_each_entry(vm, &khx_exits_vms, node) {
		if (!khx_exits_dump_wants(cb, vm))
			continue;
		list_for_each_entry(rec, &vm->vcpus, in_vm) {
			if (nr++ < cb->args[0])
				continue;
			ret = khx_exits_dump_rec(skb, cb, dump, rec, stats);
			if (ret)
				return ret;
			cb->args[0] = nr;
		}
	}
	return 0;
}

static int khx_exits_dump(struct sk_buff *skb, struct netlink_callback *cb,
			  const struct khx_exits_dump *dump)
{
	struct khx_exits_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	int ret;

	if (!stats)
		return -ENOMEM;
	mutex_lock(&khx_exits_vm_lock);
	cb->seq = khx_exits_vm_changes;
	ret = khx_exits_dump_all(skb, cb, dump, stats);
	mutex_unlock(&khx_exits_vm_lock);
	kfree(stats);
	/* What did not fit any more comes with the next call. */
	return skb->len ? skb->len : ret;
}

/* When and how often somebody else's guest is busy: as perf_event_open() has it. */
static bool khx_exits_dump_allowed(const struct netlink_callback *cb)
{
	return netlink_capable(cb->skb, CAP_PERFMON) ||
	       netlink_capable(cb->skb, CAP_SYS_ADMIN);
}

int khx_exits_dump_vcpus(struct sk_buff *skb, struct netlink_callback *cb)
{
	if (!khx_exits_dump_allowed(cb))
		return -EPERM;
	return khx_exits_dump(skb, cb, &khx_exits_vcpu_dump);
}

int khx_exits_dump_reasons(struct sk_buff *skb, struct netlink_callback *cb)
{
	if (!khx_exits_dump_allowed(cb))
		return -EPERM;
	return khx_exits_dump(skb, cb, &khx_exits_reason_dump);
}

int khx_exits_dump_tables(struct sk_buff *skb, struct netlink_callback *cb)
{
	if (!netlink_capable(cb->skb, CAP_SYS_ADMIN))
		return -EPERM;
	return khx_exits_dump(skb, cb, &khx_exits_table_dump);
}
