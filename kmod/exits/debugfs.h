/* SPDX-License-Identifier: GPL-2.0 */
/* /sys/kernel/debug/khx/exits: Documentation/ABI/testing/debugfs-khx-exits. */
#ifndef KHX_EXITS_DEBUGFS_H
#define KHX_EXITS_DEBUGFS_H

struct khx_exits_vcpu;
struct khx_exits_vm;

void khx_exits_debugfs_init(void);
void khx_exits_debugfs_exit(void);

/* Under khx_exits_vm_lock: */
void khx_exits_debugfs_add_vm(struct khx_exits_vm *vm);
void khx_exits_debugfs_add_vcpu(struct khx_exits_vcpu *rec);

#endif /* KHX_EXITS_DEBUGFS_H */
