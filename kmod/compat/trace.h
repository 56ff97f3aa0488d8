/* SPDX-License-Identifier: GPL-2.0 */
/* 6.10 (2c92ca849fcc): a trace event's string knows where it comes from. */
#ifndef KHX_COMPAT_TRACE_H
#define KHX_COMPAT_TRACE_H

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 10, 0)
#define khx_assign_str(dst, src)	__assign_str(dst, src)
#else
#define khx_assign_str(dst, src)	__assign_str(dst)
#endif

#endif /* KHX_COMPAT_TRACE_H */
