/* SPDX-License-Identifier: GPL-2.0 */
/* The VMs whose vCPUs have records: what readers walk. */
#ifndef KHX_EXITS_VM_H
#define KHX_EXITS_VM_H

#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/types.h>

#include "stats.h"
#include "vcpu.h"

struct dentry;
struct khx_exits_rows;
struct kvm;
struct mm_struct;

/**
 * struct khx_exits_vm - a VM; all fields guarded by khx_exits_vm_lock
 * @node: on khx_exits_vms
 * @vcpus: its records, by @in_vm, in the order of their first exits
 * @nr_vcpus: how many
 * @kvm: which VM; compared, never followed
 * @mm: whose; compared, never followed
 * @pid: the process in which it exited first (constant)
 * @name: of its directory (constant)
 * @dir: its directory in debugfs
 */
struct khx_exits_vm {
	struct list_head node;
	struct list_head vcpus;
	unsigned int nr_vcpus;
	const struct kvm *kvm;
	const struct mm_struct *mm;
	pid_t pid;
	char name[KHX_EXITS_VM_NAME_SIZE];
	struct dentry *dir;
};

extern struct mutex khx_exits_vm_lock;
extern struct list_head khx_exits_vms;
extern u32 khx_exits_vm_changes;	/* for readers who come back */

void khx_exits_vm_kick(void);
void khx_exits_vm_exit(void);

/* Readers, for which the VM or record cannot go away meanwhile: */
int khx_exits_vm_sum(struct khx_exits_vm *vm, struct khx_exits_stats *sum,
		     u32 *isa);
int khx_exits_vm_rows(struct khx_exits_vm *vm, enum khx_exits_table table,
		      struct khx_exits_rows *rows);
void khx_exits_vm_reset(struct khx_exits_vm *vm);
void khx_exits_vm_reset_all(void);
void khx_exits_vm_apply_filter(void);

#endif /* KHX_EXITS_VM_H */
