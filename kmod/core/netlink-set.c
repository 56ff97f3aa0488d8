// SPDX-License-Identifier: GPL-2.0
/*
 * KHX_CMD_WORKER_SET: how a device is served. The only request that takes a
 * device's mutex, and that waits for its workers, if only for a while: all
 * others of generic netlink may have to wait for this one.
 */
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/lockdep.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "core/device.h"
#include "core/netlink-internal.h"
#include "core/pool.h"
#include "core/registry.h"

/*
 * Far longer than any of this takes, unless the owner's memory does not answer:
 * it may be backed by anything, and is needed at each step.
 */
#define KHX_NETLINK_PATIENCE	(5 * HZ)

/* A mask to be given to khx_pool_set_cpus(), NULL for none, or an ERR_PTR. */
static struct cpumask *khx_netlink_parse_cpus(const struct nlattr *attr,
					      struct netlink_ext_ack *extack)
{
	struct cpumask *cpus;

	if (!attr)
		return NULL;
	cpus = kzalloc(cpumask_size(), GFP_KERNEL);
	if (!cpus)
		return ERR_PTR(-ENOMEM);
	if (cpulist_parse(nla_data(attr), cpus)) {
		NL_SET_ERR_MSG_ATTR(extack, attr,
				    "cpus: not a list of CPUs, as 0-3,8");
	} else if (!cpumask_intersects(cpus, cpu_online_mask)) {
		NL_SET_ERR_MSG_ATTR(extack, attr, "cpus: none is online");
	} else {
		return cpus;
	}
	kfree(cpus);
	return ERR_PTR(-EINVAL);
}

/* Why the mode stays as it was. */
static void khx_netlink_explain_mode(struct genl_info *info, int error)
{
	struct nlattr *mode = info->attrs[KHX_A_MODE];
	struct nlattr *workers = info->attrs[KHX_A_WORKERS];

	switch (error) {
	case -EBUSY:
		NL_SET_ERR_MSG_ATTR(info->extack, workers,
				    "workers: other devices share another number of them");
		break;
	case -ETIMEDOUT:
		NL_SET_ERR_MSG_ATTR(info->extack, mode,
				    "mode: the owner's memory holds a worker up");
		break;
	case -EAGAIN:
		NL_SET_ERR_MSG_ATTR(info->extack, workers ?: mode,
				    "mode: the owner may have no more threads");
		break;
	case -ESRCH:
		NL_SET_ERR_MSG_ATTR(info->extack, mode,
				    "mode: the owner is dying");
		break;
	}
}

static int khx_netlink_set_mode(struct khx_device *dev, struct genl_info *info,
				unsigned long deadline)
{
	struct nlattr *mode = info->attrs[KHX_A_MODE];
	struct nlattr *workers = info->attrs[KHX_A_WORKERS];
	int ret;

	if (workers && (!mode || nla_get_u32(mode) != KHX_MODE_SHARED)) {
		NL_SET_ERR_MSG_ATTR(info->extack, workers,
				    "workers: only with mode shared");
		return -EINVAL;
	}
	if (!mode)
		return 0;
	ret = khx_pool_set_mode(dev, nla_get_u32(mode),
				workers ? nla_get_u32(workers) : 0, deadline);
	if (ret)
		khx_netlink_explain_mode(info, ret);
	return ret;
}

/* What takes effect when a queue is served next. */
static void khx_netlink_set_queues(struct khx_device *dev,
				   struct nlattr **attrs)
{
	struct nlattr *poll_us = attrs[KHX_A_POLL_US];
	struct nlattr *weight = attrs[KHX_A_WEIGHT];
	unsigned int i;

	for (i = 0; i < dev->nvqs; i++) {
		if (poll_us)
			WRITE_ONCE(dev->vqs[i]->busyloop_us,
				   nla_get_u32(poll_us));
		if (weight)
			WRITE_ONCE(dev->vqs[i]->weight, nla_get_u32(weight));
	}
}

/* What can be refused comes first: then nothing has changed. */
static int khx_netlink_set(struct khx_device *dev, struct genl_info *info,
			   unsigned long deadline)
{
	struct cpumask *cpus;
	int ret;

	lockdep_assert_held(&dev->mutex);
	if (!dev->mm) {
		NL_SET_ERR_MSG_ATTR(info->extack, info->attrs[KHX_A_DEV_ID],
				    "dev-id: the device has no owner");
		return -ENOTCONN;
	}
	cpus = khx_netlink_parse_cpus(info->attrs[KHX_A_CPUS], info->extack);
	if (IS_ERR(cpus))
		return PTR_ERR(cpus);
	ret = khx_netlink_set_mode(dev, info, deadline);
	if (ret) {
		kfree(cpus);
		return ret;
	}
	if (cpus)
		khx_pool_set_cpus(dev, cpus);
	khx_netlink_set_queues(dev, info->attrs);
	return 0;
}

/* The owner keeps the mutex while the kernel reads what he asks for. */
static int khx_netlink_lock(struct khx_device *dev, unsigned long deadline,
			    struct genl_info *info)
{
	while (!mutex_trylock(&dev->mutex)) {
		if (time_after(jiffies, deadline)) {
			NL_SET_ERR_MSG_ATTR(info->extack,
					    info->attrs[KHX_A_DEV_ID],
					    "dev-id: the owner keeps the device busy");
			return -ETIMEDOUT;
		}
		schedule_timeout_killable(1);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

int khx_netlink_worker_set(struct sk_buff *skb, struct genl_info *info)
{
	unsigned long deadline = jiffies + KHX_NETLINK_PATIENCE;
	struct khx_device *dev;
	int ret;

	ret = khx_netlink_check(info, KHX_CMD_WORKER_SET);
	if (ret)
		return ret;
	dev = khx_netlink_device(info);
	if (IS_ERR(dev))
		return PTR_ERR(dev);

	ret = khx_netlink_lock(dev, deadline, info);
	if (!ret) {
		ret = khx_netlink_set(dev, info, deadline);
		mutex_unlock(&dev->mutex);
	}
	if (!ret)
		khx_netlink_settings_event(dev, info->attrs);
	khx_registry_put(dev);
	return ret;
}
