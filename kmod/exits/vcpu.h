/* SPDX-License-Identifier: GPL-2.0 */
/* Records: one per vCPU that has exited. See the DOC: block in vcpu.c. */
#ifndef KHX_EXITS_VCPU_H
#define KHX_EXITS_VCPU_H

#include <linux/cache.h>
#include <linux/list.h>
#include <linux/percpu-defs.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/types.h>

#include "stats.h"

struct dentry;
struct khx_exits_vm;
struct kvm_vcpu;
struct mm_struct;

/* "<pid>-<fd>", as KVM names the VM's directory in its own debugfs. */
#define KHX_EXITS_VM_NAME_SIZE	(KHX_EXITS_VM_NAME_MAX + 1)

/* What the fast path has to look at besides counting. */
enum khx_exits_attention {
	KHX_EXITS_ATTENTION_RESET,	/* forget the figures */
	KHX_EXITS_ATTENTION_MUTE,	/* the filter leaves this VM out */
};

/*
 * struct khx_exits_vcpu - record of a vCPU
 *
 * The fast path, written by the vCPU's own thread with preemption off:
 * @vcpu: which vCPU; compared, never followed (constant)
 * @task: thread in which the vCPU exited last; compared, never followed
 * @attention: bits of enum khx_exits_attention; set by anyone, atomically
 * @exit_clock: clock at the exit that has not been followed by an entry, or 0
 * @slot: slot of that exit
 * @row: row of the top-N table that is credited with its time, or NULL
 * @top: the table of @row
 * @mmio_read: an MMIO read went to userspace and was counted
 * @unseen: the last exit was not looked at, so the next entry has no exit
 * @seq: even while @stats holds together
 * @resets: how often @stats was cleared; changes inside @seq
 *
 * Constant once the record can be found:
 * @kvm: which VM; compared, never followed
 * @mm: whose VM, as KVM sees it; compared, never followed
 * @isa: enum khx_exits_isa
 * @id: the number KVM gave the vCPU
 * @pid: process in which the vCPU exited first
 * @name: name of the VM's directory
 *
 * Guarded by khx_exits_vcpu_lock:
 * @by_vcpu: node in the hash by @vcpu; readers use RCU
 * @node: on the list of new or of dead records, or on none
 * @stamp: when it was put on one of them, in the order of all records
 * @state: where in its life the record is
 *
 * Guarded by khx_exits_vm_lock:
 * @vm: VM it belongs to, NULL while it is new
 * @in_vm: node in that VM's list
 * @dir: its directory in debugfs
 * @sampled: counts of the slots when thresholds were last looked at
 * @sampled_resets: @resets then
 * @over: thresholds that were exceeded then, one bit each
 *
 * @stats: the figures: written by the vCPU's thread, read inside @seq
 */
struct khx_exits_vcpu {
	const struct kvm_vcpu *vcpu ____cacheline_aligned;
	const struct task_struct *task;
	unsigned long attention;
	u64 exit_clock;
	struct khx_exits_slot *slot;
	struct khx_exits_top_row *row;
	struct khx_exits_top *top;
	bool mmio_read;
	bool unseen;
	seqcount_t seq;
	u32 resets;

	const struct kvm *kvm;
	const struct mm_struct *mm;
	u32 isa;
	u32 id;
	pid_t pid;
	char name[KHX_EXITS_VM_NAME_SIZE];

	struct hlist_node by_vcpu;
	struct list_head node;
	u64 stamp;
	enum {
		KHX_EXITS_VCPU_NEW,
		KHX_EXITS_VCPU_SHOWN,
		KHX_EXITS_VCPU_DEAD,
	} state;

	struct khx_exits_vm *vm;
	struct list_head in_vm;
	struct dentry *dir;
	u64 sampled[KHX_EXITS_SLOTS];
	u32 sampled_resets;
	u32 over;

	struct khx_exits_stats stats ____cacheline_aligned;
};

/* Record of the vCPU that exited last on this CPU: a hint, see vcpu.c. */
DECLARE_PER_CPU(struct khx_exits_vcpu *, khx_exits_vcpu_last);

/* In a probe (preemption off): */
struct khx_exits_vcpu *khx_exits_vcpu_find(const struct kvm_vcpu *vcpu);
struct khx_exits_vcpu *khx_exits_vcpu_find_running(void);
struct khx_exits_vcpu *khx_exits_vcpu_enter(struct kvm_vcpu *vcpu, u32 isa);
bool khx_exits_vcpu_attend(struct khx_exits_vcpu *rec);
void khx_exits_vcpu_gone(const struct kvm_vcpu *vcpu);

/* From a process: */
void khx_exits_vcpu_reset(struct khx_exits_vcpu *rec);
void khx_exits_vcpu_mute(struct khx_exits_vcpu *rec, bool mute);
void khx_exits_vcpu_snapshot(struct khx_exits_vcpu *rec,
			     struct khx_exits_stats *to);
void khx_exits_vcpu_take_dead(struct list_head *dead);
struct khx_exits_vcpu *khx_exits_vcpu_take_new(void);
void khx_exits_vcpu_forget_exits(void);
void khx_exits_vcpu_retire_all(void);
u64 khx_exits_vcpu_missed(void);

#endif /* KHX_EXITS_VCPU_H */
