// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Registry
 *
 * All devices by number, for those who do not hold the open file. A device is
 * here from the end of khx_device_init() until it begins to end, so all that is
 * fixed in between can be read. There are two ways to look:
 *
 * - khx_registry_lock() keeps all of them here for a moment. What is done
 *   under it must not wait for a device, as every open and close waits for it.
 * - khx_registry_get() keeps one of them from being destroyed until
 *   khx_registry_put(): its owner's close waits.
 *
 * Neither of them takes a mutex of a device, which an owner whose memory does
 * not answer can hold for as long as he likes.
 */
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/nsproxy.h>
#include <linux/pid.h>
#include <linux/xarray.h>
#include <net/net_namespace.h>

#include "core/device.h"
#include "core/netlink.h"
#include "core/registry.h"

static DEFINE_MUTEX(khx_registry_mutex);

/* Guarded by the mutex, like all that follows. */
static DEFINE_XARRAY_FLAGS(khx_registry, XA_FLAGS_ALLOC1);
static u32 khx_registry_last;
static unsigned int khx_registry_generation = 1;

/* The host sees all devices, a container its own. */
static bool khx_registry_sees(const struct net *net,
			      const struct khx_device *dev)
{
	return net_eq(net, &init_net) || net_eq(net, dev->reg.net);
}

/* A dump that sees two generations is not consistent; 0 means none to it. */
static void khx_registry_changed(void)
{
	lockdep_assert_held(&khx_registry_mutex);
	if (!++khx_registry_generation)
		khx_registry_generation = 1;
}

/**
 * khx_registry_add - let others see a device
 * @dev: device, ready but for this
 *
 * Context: Process context of who opens it. May sleep.
 * Return: 0 or -ENOMEM.
 */
int khx_registry_add(struct khx_device *dev)
{
	struct khx_registration *reg = &dev->reg;
	int ret;

	refcount_set(&reg->refs, 1);
	init_completion(&reg->unused);
	spin_lock_init(&reg->lock);
	reg->net = get_net(current->nsproxy->net_ns);

	mutex_lock(&khx_registry_mutex);
	ret = xa_alloc_cyclic(&khx_registry, &reg->id, dev,
			      XA_LIMIT(1, INT_MAX), &khx_registry_last,
			      GFP_KERNEL_ACCOUNT);
	if (ret >= 0)
		khx_registry_changed();
	mutex_unlock(&khx_registry_mutex);

	if (ret < 0) {
		put_net(reg->net);
		return ret;
	}
	khx_netlink_dev_event(dev, KHX_CMD_DEV_ADD_NTF);
	return 0;
}

/**
 * khx_registry_remove - hide a device again
 * @dev: device
 *
 * Context: Process context, without mutexes of the device: waits for who
 * still works on it.
 */
void khx_registry_remove(struct khx_device *dev)
{
	mutex_lock(&khx_registry_mutex);
	xa_erase(&khx_registry, dev->reg.id);
	khx_registry_changed();
	mutex_unlock(&khx_registry_mutex);

	khx_registry_put(dev);
	wait_for_completion(&dev->reg.unused);
}

/* The other end of khx_registry_add(): nothing more will happen to it. */
void khx_registry_end(struct khx_device *dev)
{
	khx_netlink_dev_event(dev, KHX_CMD_DEV_DEL_NTF);
	put_net(dev->reg.net);
}

/* The current process becomes the owner. */
void khx_registry_set_owner(struct khx_device *dev)
{
	struct khx_registration *reg = &dev->reg;
	struct pid *pid = get_task_pid(current, PIDTYPE_TGID);

	spin_lock(&reg->lock);
	reg->owner = pid;
	get_task_comm(reg->comm, current->group_leader);
	spin_unlock(&reg->lock);
}

void khx_registry_clear_owner(struct khx_device *dev)
{
	struct khx_registration *reg = &dev->reg;
	struct pid *pid = NULL;

	spin_lock(&reg->lock);
	swap(pid, reg->owner);
	spin_unlock(&reg->lock);
	put_pid(pid);
}

/* Has it an owner, who is not the current process? */
bool khx_registry_is_others(struct khx_device *dev)
{
	struct khx_registration *reg = &dev->reg;
	bool others;

	spin_lock(&reg->lock);
	others = reg->owner && reg->owner != task_tgid(current);
	spin_unlock(&reg->lock);
	return others;
}

/**
 * khx_registry_get - find a device and keep it
 * @id: its number
 * @net: network namespace of who asks
 *
 * Return: the device, to be given to khx_registry_put(), or NULL.
 */
struct khx_device *khx_registry_get(u32 id, const struct net *net)
{
	struct khx_device *dev;

	mutex_lock(&khx_registry_mutex);
	dev = xa_load(&khx_registry, id);
	if (dev && khx_registry_sees(net, dev))
		refcount_inc(&dev->reg.refs);
	else
		dev = NULL;
	mutex_unlock(&khx_registry_mutex);
	return dev;
}

void khx_registry_put(struct khx_device *dev)
{
	if (refcount_dec_and_test(&dev->reg.refs))
		complete(&dev->reg.unused);
}

/**
 * khx_registry_lock - keep all devices, for a moment
 *
 * Return: the generation of the list: another one means that it changed.
 */
unsigned int khx_registry_lock(void)
{
	mutex_lock(&khx_registry_mutex);
	return khx_registry_generation;
}

void khx_registry_unlock(void)
{
	mutex_unlock(&khx_registry_mutex);
}

/**
 * khx_registry_next - walk over all devices
 * @id: smallest number to consider; that of the device afterwards
 * @net: network namespace of who asks
 *
 * Context: Under khx_registry_lock().
 * Return: a device or NULL.
 */
struct khx_device *khx_registry_next(unsigned long *id, const struct net *net)
{
	struct khx_device *dev;

	lockdep_assert_held(&khx_registry_mutex);
	dev = xa_find(&khx_registry, id, ULONG_MAX, XA_PRESENT);
	while (dev && !khx_registry_sees(net, dev))
		dev = xa_find_after(&khx_registry, id, ULONG_MAX, XA_PRESENT);
	return dev;
}
