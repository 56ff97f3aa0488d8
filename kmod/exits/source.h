/* SPDX-License-Identifier: GPL-2.0 */
/* What KVM is asked: why a vCPU exited, and which one is running. */
#ifndef KHX_EXITS_SOURCE_H
#define KHX_EXITS_SOURCE_H

#include <linux/compiler.h>
#include <linux/types.h>

struct kvm_vcpu;
struct module;

/**
 * struct khx_exits_info - what KVM's get_exit_info() says of one exit
 * @reason: the vendor's exit reason, as the hardware reports it
 * @intr_info: not used here, but KVM writes it
 * @error_code: not used here, but KVM writes it
 * @info1: exit qualification (VMX), EXITINFO1 (SVM)
 * @info2: EXITINFO2 (SVM)
 */
struct khx_exits_info {
	u32 reason;
	u32 intr_info;
	u32 error_code;
	u64 info1;
	u64 info2;
};

typedef void (*khx_exits_get_info_t)(struct kvm_vcpu *vcpu, u32 *reason,
				     u64 *info1, u64 *info2,
				     u32 *intr_info, u32 *error_code);

/* Where KVM keeps the function of the vendor module loaded now. */
extern khx_exits_get_info_t *khx_exits_source;

/* KVM's kvm_get_running_vcpu(). */
extern struct kvm_vcpu *(*khx_exits_source_running)(void);

int khx_exits_source_init(struct module *kvm);
bool khx_exits_source_check(void);

static __always_inline void khx_exits_source_get(struct kvm_vcpu *vcpu,
						 struct khx_exits_info *info)
{
	READ_ONCE(*khx_exits_source)(vcpu, &info->reason, &info->info1,
				     &info->info2, &info->intr_info,
				     &info->error_code);
}

#endif /* KHX_EXITS_SOURCE_H */
