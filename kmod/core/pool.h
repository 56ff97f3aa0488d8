/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_POOL_H
#define KHX_CORE_POOL_H

#include <linux/khx.h>
#include <linux/types.h>

struct cpumask;
struct khx_device;
struct khx_virtqueue;

int khx_pool_create(struct khx_device *dev);
void khx_pool_destroy(struct khx_device *dev);
int khx_pool_add(struct khx_device *dev, u32 *id);
int khx_pool_remove(struct khx_device *dev, u32 id);
int khx_pool_attach(struct khx_device *dev, struct khx_virtqueue *vq, u32 id);
u32 khx_pool_attached(struct khx_device *dev, struct khx_virtqueue *vq);

/* Whoever the current process is. */
int khx_pool_set_mode(struct khx_device *dev, enum khx_mode mode,
		      unsigned int nworkers, unsigned long deadline);
void khx_pool_set_cpus(struct khx_device *dev, const struct cpumask *cpus);

#endif /* KHX_CORE_POOL_H */
