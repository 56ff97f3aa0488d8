/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_COMPAT_VHOST_TASK_LIMIT_H
#define KHX_COMPAT_VHOST_TASK_LIMIT_H

#include <linux/uidgid.h>

int khx_vhost_task_charge(kuid_t uid, unsigned long limit);
void khx_vhost_task_uncharge(kuid_t uid);

#endif /* KHX_COMPAT_VHOST_TASK_LIMIT_H */
