// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Thresholds
 *
 * A threshold says that more than so many exits of one reason in a second are
 * worth an event. Nothing on the fast path knows of it: while there is at least
 * one threshold, a work item compares every vCPU's counts with those of a second
 * before. It tells once when a vCPU rises above the rate, and once when it is
 * below again; each record remembers, one bit a threshold.
 *
 * khx_exits_vm_lock guards the thresholds as it does what they are held against.
 */
#include <linux/jiffies.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/workqueue.h>

#include "netlink.h"
#include "threshold.h"
#include "vcpu.h"
#include "vm.h"

/**
 * struct khx_exits_threshold - one reason that is watched
 * @name: the reason; empty if this one is free
 * @rate: exits per second that are still fine
 */
struct khx_exits_threshold {
	char name[KHX_EXITS_TEXT_SIZE];
	u64 rate;
};

/* A record has a bit for each. */
static_assert(KHX_EXITS_THRESHOLDS_MAX <= 32);
static struct khx_exits_threshold khx_exits_thresholds[KHX_EXITS_THRESHOLDS_MAX];
static unsigned long khx_exits_threshold_last;

static void khx_exits_threshold_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(khx_exits_threshold_worker,
			    khx_exits_threshold_work);

static struct khx_exits_threshold *khx_exits_threshold_find(const char *name)
{
	unsigned int i;

	lockdep_assert_held(&khx_exits_vm_lock);
	for (i = 0; i < KHX_EXITS_THRESHOLDS_MAX; i++)
		if (!strcmp(khx_exits_thresholds[i].name, name))
			return &khx_exits_thresholds[i];
	return NULL;
}

static u32 khx_exits_threshold_bit(const struct khx_exits_threshold *t)
{
	return BIT(t - khx_exits_thresholds);
}

static void khx_exits_threshold_judge(struct khx_exits_vcpu *rec,
				      const struct khx_exits_threshold *t,
				      u64 rate)
{
	u32 bit = khx_exits_threshold_bit(t);

	if (rate > t->rate && !(rec->over & bit)) {
		rec->over |= bit;
		khx_exits_netlink_threshold(rec, t->name, rate,
					    KHX_EXITS_CMD_THRESHOLD_OVER);
	} else if (rate <= t->rate && (rec->over & bit)) {
		rec->over &= ~bit;
		khx_exits_netlink_threshold(rec, t->name, rate,
					    KHX_EXITS_CMD_THRESHOLD_UNDER);
	}
}

/* What exceeded its threshold and, after a reset, has not occurred again. */
static void khx_exits_threshold_calm(struct khx_exits_vcpu *rec, u32 seen)
{
	unsigned int i;

	for (i = 0; i < KHX_EXITS_THRESHOLDS_MAX; i++)
		if (rec->over & ~seen & BIT(i))
			khx_exits_threshold_judge(rec, &khx_exits_thresholds[i],
						  0);
}

/* After a reset, a slot may be that of another reason. */
static void khx_exits_threshold_forget(struct khx_exits_vcpu *rec)
{
	u32 resets = READ_ONCE(rec->resets);

	if (rec->sampled_resets == resets)
		return;
	memset(rec->sampled, 0, sizeof(rec->sampled));
	rec->sampled_resets = resets;
}

/* Exits of slot @i since it was last looked at. */
static u64 khx_exits_threshold_count(struct khx_exits_vcpu *rec, u32 i,
				     u64 count)
{
	u64 before = rec->sampled[i];

	rec->sampled[i] = count;
	/* A reset that came after we looked for one leaves less than before. */
	return count >= before ? count - before : count;
}

static void khx_exits_threshold_sample(struct khx_exits_vcpu *rec,
				       struct khx_exits_stats *stats,
				       unsigned long elapsed)
{
	char name[KHX_EXITS_TEXT_SIZE];
	const struct khx_exits_threshold *t;
	const struct khx_exits_slot *slot;
	u32 i, seen = 0;
	u64 count;

	khx_exits_threshold_forget(rec);
	khx_exits_vcpu_snapshot(rec, stats);
	for (i = KHX_EXITS_SLOT_OTHER; i < stats->nr_slots; i++) {
		slot = &stats->slot[i];
		count = khx_exits_threshold_count(rec, i, slot->count);
		khx_exits_reason_format(slot->reason, rec->isa, slot->nested,
					name, sizeof(name));
		t = elapsed ? khx_exits_threshold_find(name) : NULL;
		if (!t)
			continue;
		khx_exits_threshold_judge(rec, t, div_u64(count * HZ, elapsed));
		seen |= khx_exits_threshold_bit(t);
	}
	if (elapsed)
		khx_exits_threshold_calm(rec, seen);
}

/*
 * With @elapsed 0 only notes the counts. Without memory to look at them, the next
 * look covers the time since the last one.
 */
static void khx_exits_threshold_sample_all(unsigned long elapsed)
{
	struct khx_exits_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	struct khx_exits_vcpu *rec;
	struct khx_exits_vm *vm;

	lockdep_assert_held(&khx_exits_vm_lock);
	if (!stats)
		return;
	list_for_each_entry(vm, &khx_exits_vms, node)
		list_for_each_entry(rec, &vm->vcpus, in_vm)
			khx_exits_threshold_sample(rec, stats, elapsed);
	khx_exits_threshold_last = jiffies;
	kfree(stats);
}

static bool khx_exits_threshold_any(void)
{
	unsigned int i;

	for (i = 0; i < KHX_EXITS_THRESHOLDS_MAX; i++)
		if (khx_exits_thresholds[i].name[0])
			return true;
	return false;
}

static void khx_exits_threshold_work(struct work_struct *work)
{
	unsigned long elapsed;

	mutex_lock(&khx_exits_vm_lock);
	if (khx_exits_threshold_any()) {
		elapsed = jiffies - khx_exits_threshold_last;
		/* Less: all were deleted, and one added, since we were scheduled. */
		if (elapsed >= HZ) {
			khx_exits_threshold_sample_all(elapsed);
			elapsed = 0;
		}
		schedule_delayed_work(&khx_exits_threshold_worker, HZ - elapsed);
	}
	mutex_unlock(&khx_exits_vm_lock);
}

/**
 * khx_exits_threshold_add() - watch a reason
 * @name: the reason
 * @rate: exits per second and vCPU that are still fine
 *
 * Return: 0; -EINVAL for an empty name, -EEXIST if it is being watched, -ENOSPC
 * if too many are.
 */
int khx_exits_threshold_add(const char *name, u64 rate)
{
	struct khx_exits_threshold *t;
	int ret = 0;

	if (!*name)
		return -EINVAL;
	mutex_lock(&khx_exits_vm_lock);
	if (khx_exits_threshold_find(name)) {
		ret = -EEXIST;
		goto out;
	}
	t = khx_exits_threshold_find("");
	if (!t) {
		ret = -ENOSPC;
		goto out;
	}
	if (!khx_exits_threshold_any()) {
		khx_exits_threshold_last = jiffies;
		khx_exits_threshold_sample_all(0);
		schedule_delayed_work(&khx_exits_threshold_worker, HZ);
	}
	strscpy(t->name, name, sizeof(t->name));
	t->rate = rate;
out:
	mutex_unlock(&khx_exits_vm_lock);
	return ret;
}

/* Its bit must not tell the next one that a vCPU is above already. */
static void khx_exits_threshold_clear(u32 bit)
{
	struct khx_exits_vcpu *rec;
	struct khx_exits_vm *vm;

	list_for_each_entry(vm, &khx_exits_vms, node)
		list_for_each_entry(rec, &vm->vcpus, in_vm)
			rec->over &= ~bit;
}

int khx_exits_threshold_del(const char *name)
{
	struct khx_exits_threshold *t;
	int ret = -ENOENT;

	mutex_lock(&khx_exits_vm_lock);
	t = *name ? khx_exits_threshold_find(name) : NULL;
	if (t) {
		khx_exits_threshold_clear(khx_exits_threshold_bit(t));
		t->name[0] = 0;
		ret = 0;
	}
	mutex_unlock(&khx_exits_vm_lock);
	return ret;
}

static int khx_exits_threshold_put(struct sk_buff *skb,
				   struct netlink_callback *cb,
				   const struct khx_exits_threshold *t)
{
	void *msg = genlmsg_put(skb, NETLINK_CB(cb->skb).portid,
				cb->nlh->nlmsg_seq, &khx_exits_netlink_family,
				NLM_F_MULTI, KHX_EXITS_CMD_THRESHOLD_GET);

	if (!msg)
		return -EMSGSIZE;
	if (nla_put_string(skb, KHX_EXITS_A_NAME, t->name) ||
	    nla_put_u64_64bit(skb, KHX_EXITS_A_RATE, t->rate,
			      KHX_EXITS_A_PAD)) {
		genlmsg_cancel(skb, msg);
		return -EMSGSIZE;
	}
	genlmsg_end(skb, msg);
	return 0;
}

int khx_exits_threshold_dump(struct sk_buff *skb, struct netlink_callback *cb)
{
	struct khx_exits_threshold *t;

	mutex_lock(&khx_exits_vm_lock);
	for (; cb->args[0] < KHX_EXITS_THRESHOLDS_MAX; cb->args[0]++) {
		t = &khx_exits_thresholds[cb->args[0]];
		if (t->name[0] && khx_exits_threshold_put(skb, cb, t))
			break;
	}
	mutex_unlock(&khx_exits_vm_lock);
	return skb->len;
}

/* After the family is gone. */
void khx_exits_threshold_exit(void)
{
	mutex_lock(&khx_exits_vm_lock);
	memset(khx_exits_thresholds, 0, sizeof(khx_exits_thresholds));
	mutex_unlock(&khx_exits_vm_lock);
	cancel_delayed_work_sync(&khx_exits_threshold_worker);
}
