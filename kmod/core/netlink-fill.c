// SPDX-License-Identifier: GPL-2.0
/*
 * What a device, a virtqueue and a worker look like in a message. Nothing is
 * locked that a device could hold: values are read once, as they are.
 */
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "core/device.h"
#include "core/netlink-internal.h"

/* Each counter, and where it is. */
static const struct {
	u16 attr;
	u16 offset;
} khx_netlink_stats[] = {
#define STAT(attr, member) \
	{ KHX_A_STATS_##attr, offsetof(struct khx_virtqueue_stats, member) }
	STAT(KICKS, kicks),
	STAT(SIGNALS, signals),
	STAT(SIGNALS_SUPPRESSED, signals_suppressed),
	STAT(CHAINS, chains),
	STAT(DESCS, descs),
	STAT(BYTES, bytes),
	STAT(BATCHES, batches),
	STAT(ERRORS, errors),
	STAT(DROPS, drops),
	STAT(POLLS, polls),
	STAT(POLL_HITS, poll_hits),
#undef STAT
};

static u64 khx_netlink_stat(const struct khx_virtqueue *vq, unsigned int i)
{
	const void *stats = &vq->stats;

	return READ_ONCE(*(const u64 *)(stats + khx_netlink_stats[i].offset));
}

/* The sums over @nvqs virtqueues. */
static int khx_netlink_put_stats(struct sk_buff *skb,
				 struct khx_virtqueue **vqs, unsigned int nvqs)
{
	struct nlattr *nest;
	unsigned int i, q;
	u64 sum;

	nest = nla_nest_start(skb, KHX_A_STATS);
	if (!nest)
		return -EMSGSIZE;
	for (i = 0; i < ARRAY_SIZE(khx_netlink_stats); i++) {
		for (sum = 0, q = 0; q < nvqs; q++)
			sum += khx_netlink_stat(vqs[q], i);
		if (nla_put_u64_64bit(skb, khx_netlink_stats[i].attr, sum,
				      KHX_A_STATS_PAD))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static void khx_netlink_sum_op(struct khx_op_stats *sum,
			       struct khx_virtqueue **vqs, unsigned int nvqs,
			       unsigned int op)
{
	const struct khx_op_stats *stats;
	unsigned int i, q;

	memset(sum, 0, sizeof(*sum));
	for (q = 0; q < nvqs; q++) {
		stats = &vqs[q]->dev->ops->op_stats(vqs[q])[op];
		sum->requests += READ_ONCE(stats->requests);
		sum->bytes += READ_ONCE(stats->bytes);
		sum->errors += READ_ONCE(stats->errors);
		for (i = 0; i < KHX_LATENCY_BUCKETS; i++)
			sum->latency[i] += READ_ONCE(stats->latency[i]);
	}
}

static int khx_netlink_put_op(struct sk_buff *skb, const char *name,
			      const struct khx_op_stats *stats)
{
	struct nlattr *nest = nla_nest_start(skb, KHX_A_OPS_OP);

	if (!nest ||
	    nla_put_string(skb, KHX_A_OP_NAME, name) ||
	    nla_put_u64_64bit(skb, KHX_A_OP_REQUESTS, stats->requests,
			      KHX_A_OP_PAD) ||
	    nla_put_u64_64bit(skb, KHX_A_OP_BYTES, stats->bytes,
			      KHX_A_OP_PAD) ||
	    nla_put_u64_64bit(skb, KHX_A_OP_ERRORS, stats->errors,
			      KHX_A_OP_PAD) ||
	    nla_put_64bit(skb, KHX_A_OP_LATENCY, sizeof(stats->latency),
			  stats->latency, KHX_A_OP_PAD))
		return -EMSGSIZE;
	nla_nest_end(skb, nest);
	return 0;
}

/* The sums over @nvqs virtqueues of @dev. */
static int khx_netlink_put_ops(struct sk_buff *skb, struct khx_device *dev,
			       struct khx_virtqueue **vqs, unsigned int nvqs)
{
	const char *const *names = dev->ops->op_names;
	struct khx_op_stats sum;
	struct nlattr *nest;
	unsigned int op;

	if (!names)
		return 0;
	nest = nla_nest_start(skb, KHX_A_OPS);
	if (!nest)
		return -EMSGSIZE;
	for (op = 0; names[op]; op++) {
		khx_netlink_sum_op(&sum, vqs, nvqs, op);
		if (khx_netlink_put_op(skb, names[op], &sum))
			return -EMSGSIZE;
	}
	nla_nest_end(skb, nest);
	return 0;
}

static u32 khx_netlink_state(const struct khx_virtqueue *vq)
{
	if (!READ_ONCE(vq->backend))
		return KHX_STATE_STOPPED;
	return READ_ONCE(vq->fault) ? KHX_STATE_FAILED : KHX_STATE_RUNNING;
}

static unsigned int khx_netlink_count(const struct khx_device *dev, u32 state)
{
	unsigned int i, n = 0;

	for (i = 0; i < dev->nvqs; i++)
		n += khx_netlink_state(dev->vqs[i]) == state;
	return n;
}

static const char *khx_netlink_ring(u64 features)
{
	return features & BIT_ULL(VIRTIO_F_RING_PACKED) ?
	       khx_packed_ops.name : khx_split_ops.name;
}

/* A reader in another pid namespace may not see the process at all. */
static int khx_netlink_put_owner(const struct khx_netlink_msg *msg,
				 struct khx_device *dev)
{
	struct sk_buff *skb = msg->skb;
	struct khx_registration *reg = &dev->reg;
	char comm[TASK_COMM_LEN];
	pid_t pid;

	spin_lock(&reg->lock);
	pid = msg->pid_ns ? pid_nr_ns(reg->owner, msg->pid_ns) : 0;
	memcpy(comm, reg->comm, sizeof(comm));
	spin_unlock(&reg->lock);

	if (pid && nla_put_u32(skb, KHX_A_OWNER_PID, pid))
		return -EMSGSIZE;
	if (comm[0] && nla_put_string(skb, KHX_A_OWNER_COMM, comm))
		return -EMSGSIZE;
	return 0;
}

static unsigned int khx_netlink_workers(struct khx_device *dev)
{
	struct khx_worker *worker;
	unsigned int n = 0;
	unsigned long id;

	xa_for_each(&dev->workers, id, worker)
		n++;
	return n;
}

int khx_netlink_put_dev(const struct khx_netlink_msg *msg,
			const struct khx_netlink_subject *subject)
{
	struct khx_device *dev = subject->dev;
	struct sk_buff *skb = msg->skb;
	u64 features = READ_ONCE(dev->features);

	if (nla_put_u32(skb, KHX_A_DEV_ID, dev->reg.id) ||
	    nla_put_string(skb, KHX_A_DEV_TYPE, dev->ops->name) ||
	    nla_put_u32(skb, KHX_A_NETNS, dev->reg.net->ns.inum) ||
	    khx_netlink_put_owner(msg, dev) ||
	    nla_put_u64_64bit(skb, KHX_A_FEATURES, features, KHX_A_PAD) ||
	    nla_put_string(skb, KHX_A_RING, khx_netlink_ring(features)) ||
	    nla_put_u32(skb, KHX_A_QUEUES, dev->nvqs) ||
	    nla_put_u32(skb, KHX_A_QUEUES_RUNNING,
			khx_netlink_count(dev, KHX_STATE_RUNNING)) ||
	    nla_put_u32(skb, KHX_A_QUEUES_FAILED,
			khx_netlink_count(dev, KHX_STATE_FAILED)) ||
	    nla_put_u32(skb, KHX_A_MODE, READ_ONCE(dev->mode)) ||
	    nla_put_u32(skb, KHX_A_WORKERS, khx_netlink_workers(dev)))
		return -EMSGSIZE;
	return khx_netlink_put_stats(skb, dev->vqs, dev->nvqs) ?:
	       khx_netlink_put_ops(skb, dev, dev->vqs, dev->nvqs);
}

static int khx_netlink_put_worker_of(const struct khx_netlink_msg *msg,
				     struct khx_virtqueue *vq)
{
	struct sk_buff *skb = msg->skb;
	struct khx_worker *worker;
	u32 id = 0;
	pid_t tid = 0;

	rcu_read_lock();
	worker = rcu_dereference(vq->worker);
	if (worker) {
		id = khx_worker_id(worker);
		tid = khx_worker_tid(worker, msg->pid_ns);
	}
	rcu_read_unlock();

	if (!worker)
		return 0;
	if (nla_put_u32(skb, KHX_A_WORKER_ID, id) ||
	    (tid && nla_put_u32(skb, KHX_A_WORKER_TID, tid)))
		return -EMSGSIZE;
	return 0;
}

int khx_netlink_put_vq(const struct khx_netlink_msg *msg,
		       const struct khx_netlink_subject *subject)
{
	struct khx_virtqueue *vq = subject->vq;
	struct sk_buff *skb = msg->skb;
	const char *fault = READ_ONCE(vq->fault);
	u64 features = READ_ONCE(vq->features);

	if (nla_put_u32(skb, KHX_A_DEV_ID, vq->dev->reg.id) ||
	    nla_put_u32(skb, KHX_A_QUEUE_ID, vq->index) ||
	    nla_put_u32(skb, KHX_A_STATE, khx_netlink_state(vq)) ||
	    nla_put_string(skb, KHX_A_RING, khx_netlink_ring(features)) ||
	    nla_put_u32(skb, KHX_A_RING_SIZE, READ_ONCE(vq->num)) ||
	    nla_put_u32(skb, KHX_A_AVAIL_INDEX, READ_ONCE(vq->next_avail)) ||
	    nla_put_u32(skb, KHX_A_USED_INDEX, READ_ONCE(vq->next_used)) ||
	    nla_put_u32(skb, KHX_A_POLL_US, READ_ONCE(vq->busyloop_us)) ||
	    nla_put_u32(skb, KHX_A_POLL_NOW_US, READ_ONCE(vq->poll_us)) ||
	    nla_put_u32(skb, KHX_A_WEIGHT, READ_ONCE(vq->weight)))
		return -EMSGSIZE;
	if (fault && READ_ONCE(vq->backend) &&
	    nla_put_string(skb, KHX_A_FAULT, fault))
		return -EMSGSIZE;
	if (khx_netlink_put_worker_of(msg, vq))
		return -EMSGSIZE;
	return khx_netlink_put_stats(skb, &vq, 1) ?:
	       khx_netlink_put_ops(skb, vq->dev, &vq, 1);
}

static unsigned int khx_netlink_serves(const struct khx_device *dev,
				       const struct khx_worker *worker)
{
	unsigned int i, n = 0;

	for (i = 0; i < dev->nvqs; i++)
		n += rcu_access_pointer(dev->vqs[i]->worker) == worker;
	return n;
}

static int khx_netlink_put_cpus(struct sk_buff *skb,
				const struct cpumask *cpus)
{
	char *list = kasprintf(GFP_NOWAIT, "%*pbl", cpumask_pr_args(cpus));
	int ret;

	if (!list)
		return -ENOMEM;
	ret = nla_put_string(skb, KHX_A_CPUS, list);
	kfree(list);
	return ret;
}

/* Under RCU, which keeps the worker. */
int khx_netlink_put_worker(const struct khx_netlink_msg *msg,
			   const struct khx_netlink_subject *subject)
{
	const struct khx_worker *worker = subject->worker;
	struct khx_device *dev = subject->dev;
	struct sk_buff *skb = msg->skb;
	pid_t tid = khx_worker_tid(worker, msg->pid_ns);

	if (nla_put_u32(skb, KHX_A_DEV_ID, dev->reg.id) ||
	    nla_put_u32(skb, KHX_A_WORKER_ID, subject->worker_id) ||
	    (tid && nla_put_u32(skb, KHX_A_WORKER_TID, tid)) ||
	    nla_put_u32(skb, KHX_A_MODE, READ_ONCE(dev->mode)) ||
	    nla_put_u32(skb, KHX_A_QUEUES, khx_netlink_serves(dev, worker)) ||
	    nla_put_u64_64bit(skb, KHX_A_RUNTIME, khx_worker_runtime(worker),
			      KHX_A_PAD))
		return -EMSGSIZE;
	return khx_netlink_put_cpus(skb, khx_worker_cpus(worker));
}

/* The settings that were changed, as they came. */
int khx_netlink_put_settings(const struct khx_netlink_msg *msg,
			     const struct khx_netlink_subject *subject)
{
	static const u8 settings[] = {
		KHX_A_MODE, KHX_A_WORKERS, KHX_A_CPUS, KHX_A_POLL_US,
		KHX_A_WEIGHT,
	};
	const struct nlattr *attr;
	unsigned int i;
	int ret;

	ret = nla_put_u32(msg->skb, KHX_A_DEV_ID, subject->dev->reg.id);
	for (i = 0; i < ARRAY_SIZE(settings) && !ret; i++) {
		attr = subject->attrs[settings[i]];
		if (attr)
			ret = nla_put(msg->skb, settings[i], nla_len(attr),
				      nla_data(attr));
	}
	return ret;
}

int khx_netlink_fill(const struct khx_netlink_msg *msg,
		     const struct khx_netlink_subject *subject,
		     khx_netlink_put_fn put)
{
	void *hdr = genlmsg_put(msg->skb, msg->portid, msg->seq,
				&khx_netlink_family, msg->flags, msg->cmd);
	int ret;

	if (!hdr)
		return -EMSGSIZE;
	if (msg->cb)
		genl_dump_check_consistent(msg->cb, hdr);
	ret = put(msg, subject);
	if (ret)
		genlmsg_cancel(msg->skb, hdr);
	else
		genlmsg_end(msg->skb, hdr);
	return ret;
}
