/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_REGISTRY_H
#define KHX_CORE_REGISTRY_H

#include <linux/completion.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct khx_device;
struct net;
struct pid;

/**
 * struct khx_registration - how others than its owner know a device
 * @id: its number
 * @net: network namespace of who opened it, with a reference
 * @refs: one while it is registered, one for each who works on it
 * @unused: completed with the last of @refs
 * @lock: guards what follows
 * @owner: the owner's process, with a reference, or NULL
 * @comm: its name when it took the device
 */
struct khx_registration {
	u32 id;
	struct net *net;
	refcount_t refs;
	struct completion unused;

	spinlock_t lock; /* of what follows */
	struct pid *owner;
	char comm[TASK_COMM_LEN];
};

/* For the device. */
int khx_registry_add(struct khx_device *dev);
void khx_registry_remove(struct khx_device *dev);
void khx_registry_end(struct khx_device *dev);
void khx_registry_set_owner(struct khx_device *dev);
void khx_registry_clear_owner(struct khx_device *dev);
bool khx_registry_is_others(struct khx_device *dev);

/* For others. */
struct khx_device *khx_registry_get(u32 id, const struct net *net);
void khx_registry_put(struct khx_device *dev);
unsigned int khx_registry_lock(void);
void khx_registry_unlock(void);
struct khx_device *khx_registry_next(unsigned long *id,
				     const struct net *net);

#endif /* KHX_CORE_REGISTRY_H */
