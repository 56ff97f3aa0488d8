/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/* Which khx this is: modinfo, `khx --version` and the packages say the same. */
#ifndef _UAPI_LINUX_KHX_VERSION_H
#define _UAPI_LINUX_KHX_VERSION_H

#define KHX_VERSION "0.1"

#endif /* _UAPI_LINUX_KHX_VERSION_H */
