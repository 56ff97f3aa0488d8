/* SPDX-License-Identifier: GPL-2.0 */
/* Devices as the core's ioctls see them; all under the device's mutex. */
#ifndef KHX_CORE_DEVICE_INTERNAL_H
#define KHX_CORE_DEVICE_INTERNAL_H

#include "core/device.h"

/* device.c */
int khx_device_check_owner(struct khx_device *dev);
int khx_device_set_owner(struct khx_device *dev);
void khx_device_disown(struct khx_device *dev);
int khx_device_set_features(struct khx_device *dev, u64 features);
int khx_device_set_memory(struct khx_device *dev,
			  const struct vhost_memory __user *table);
int khx_device_set_log_base(struct khx_device *dev, u64 base);
void khx_device_set_log_event(struct khx_device *dev,
			      struct eventfd_ctx *event);

/* vring.c */
long khx_vring_ioctl(struct khx_device *dev, unsigned int cmd,
		     void __user *argp);

#endif /* KHX_CORE_DEVICE_INTERNAL_H */
