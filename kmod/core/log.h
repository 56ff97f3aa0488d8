/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_LOG_H
#define KHX_CORE_LOG_H

#include <linux/types.h>

struct khx_memory;

int khx_log_write(void __user *base, u64 gpa, u64 len);
int khx_log_write_hva(void __user *base, const struct khx_memory *memory,
		      const void __user *hva, u64 len);
bool khx_log_access_ok(void __user *base, u64 last_gpa);

#endif /* KHX_CORE_LOG_H */
