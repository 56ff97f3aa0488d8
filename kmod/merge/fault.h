/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_FAULT_H
#define KHX_MERGE_FAULT_H

#include <linux/mm.h>

extern const struct vm_operations_struct khx_merge_vm_ops;
/* For mounts whose pages never merge: lets long-term pins through. */
extern const struct vm_operations_struct khx_merge_nomerge_vm_ops;

#endif /* KHX_MERGE_FAULT_H */
