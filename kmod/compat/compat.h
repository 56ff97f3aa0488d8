/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel version differences, and the only place that tests for them.
 *
 * The sources are written for the newest kernel; what an older one lacks is
 * supplied here under the newest name, whole headers in compat/include/.
 * Force-included by the top-level Kbuild. Each entry names the release that
 * brought the change; it goes when we no longer build for older ones.
 */
#ifndef KHX_COMPAT_H
#define KHX_COMPAT_H

#ifndef __ASSEMBLY__

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "khx needs Linux 6.1 or newer"
#endif

/* vhost_task_create() had another type in these; none is kept up any more. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0) && \
	LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#error "khx does not support Linux 6.4 to 6.9: use 6.1 to 6.3, 6.10 or newer"
#endif

/* What is known of newer ones are differences that are not in here. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#error "khx does not support Linux 6.13 and newer yet"
#endif

#include "eventfd.h"
#include "genetlink.h"
#include "trace.h"
#include "vhost.h"

#endif /* __ASSEMBLY__ */
#endif /* KHX_COMPAT_H */
