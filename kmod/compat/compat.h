/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Kernel version differences, and the only place that tests for them.
 *
 * The sources are written for the newest kernel; what an older one lacks is
 * supplied here under the newest name. Force-included by the top-level Kbuild.
 */
#ifndef KHX_COMPAT_H
#define KHX_COMPAT_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 1, 0)
#error "khx needs Linux 6.1 or newer"
#endif

#endif /* KHX_COMPAT_H */
