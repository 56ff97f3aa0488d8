/* SPDX-License-Identifier: GPL-2.0 */
/* 6.8 (3652117f8548): eventfd_signal() adds 1, and takes no count. */
#ifndef KHX_COMPAT_EVENTFD_H
#define KHX_COMPAT_EVENTFD_H

#include <linux/eventfd.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 8, 0)
static inline void khx_eventfd_signal(struct eventfd_ctx *ctx)
{
	eventfd_signal(ctx, 1);
}
#define eventfd_signal khx_eventfd_signal
#endif

#endif /* KHX_COMPAT_EVENTFD_H */
