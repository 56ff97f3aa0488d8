/* SPDX-License-Identifier: GPL-2.0 */
/* 6.7 (7288dd2fd488): what a dump was asked for, under one name with a do. */
#ifndef KHX_COMPAT_GENETLINK_H
#define KHX_COMPAT_GENETLINK_H

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define genl_info_dump(cb)	genl_dumpit_info(cb)
#endif

#endif /* KHX_COMPAT_GENETLINK_H */
