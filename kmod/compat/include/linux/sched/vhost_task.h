/* SPDX-License-Identifier: GPL-2.0 */
/* vhost_task of Linux 6.4, for kernels without it; see compat/vhost_task.c. */
#ifndef KHX_COMPAT_VHOST_TASK_H
#define KHX_COMPAT_VHOST_TASK_H

#include <linux/types.h>

struct vhost_task;

struct vhost_task *khx_vhost_task_create(bool (*fn)(void *data),
					 void (*handle_sigkill)(void *data),
					 void *data, const char *name);
void khx_vhost_task_start(struct vhost_task *vtsk);
void khx_vhost_task_stop(struct vhost_task *vtsk);
void khx_vhost_task_wake(struct vhost_task *vtsk);

#define vhost_task_create	khx_vhost_task_create
#define vhost_task_start	khx_vhost_task_start
#define vhost_task_stop		khx_vhost_task_stop
#define vhost_task_wake		khx_vhost_task_wake

#endif /* KHX_COMPAT_VHOST_TASK_H */
