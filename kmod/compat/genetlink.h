/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_COMPAT_GENETLINK_H
#define KHX_COMPAT_GENETLINK_H

/*
 * 6.7 put what a dump was asked into struct genl_info, as of other requests;
 * before, struct genl_dumpit_info had the attributes itself.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
#define genl_info_dump(cb)	genl_dumpit_info(cb)
#endif

#endif /* KHX_COMPAT_GENETLINK_H */
