/* SPDX-License-Identifier: GPL-2.0 */
/* Exit reasons: names, numbers and what more there is to know of each. */
#ifndef KHX_EXITS_REASON_H
#define KHX_EXITS_REASON_H

#include <linux/compiler.h>
#include <linux/khx_exits.h>
#include <linux/types.h>

/* KVM's own numbers for the second argument of its kvm_exit tracepoint. */
enum khx_exits_isa {
	KHX_EXITS_ISA_VMX = 1,
	KHX_EXITS_ISA_SVM = 2,
};

/* What more there is to know about an exit than its reason. */
enum khx_exits_kind {
	KHX_EXITS_KIND_NONE,
	KHX_EXITS_KIND_NPF,
	KHX_EXITS_KIND_EPT_VIOLATION,
	KHX_EXITS_KIND_EPT_MISCONFIG,
	KHX_EXITS_KIND_SVM_MSR,
	KHX_EXITS_KIND_MSR_READ,
	KHX_EXITS_KIND_MSR_WRITE,
	KHX_EXITS_KIND_SVM_IO,
	KHX_EXITS_KIND_VMX_IO,
	KHX_EXITS_KIND_HYPERCALL,
	KHX_EXITS_KIND_SVM_REGISTER,
	KHX_EXITS_KIND_VMX_CR,
	KHX_EXITS_KIND_VMX_DR,
	KHX_EXITS_KIND_OTHER,	/* of reasons that share a slot: to be asked */
};

/* Slot map: 240 direct codes, then SVM's 0x400 block, then all the rest. */
#define KHX_EXITS_CODE_DIRECT	0xf0
#define KHX_EXITS_CODE_REST	0xff
#define KHX_EXITS_CODES		0x100

/* Not a reason of any vendor: those there was no slot for. */
#define KHX_EXITS_REASON_OTHER	0xfffffffe

/* A reason's name, or a row's key, for whoever prints it. */
#define KHX_EXITS_TEXT_SIZE	(KHX_EXITS_REASON_NAME_MAX + 1)

u32 khx_exits_reason_code_high(u32 reason, u32 isa);
u32 khx_exits_reason_basic(u32 reason, u32 isa);
int khx_exits_reason_format(u32 reason, u32 isa, bool nested, char *buf,
			    size_t size);
enum khx_exits_kind khx_exits_reason_kind(u32 reason, u32 isa);

/*
 * Index of a reason in a slot map: below KHX_EXITS_CODES, and
 * KHX_EXITS_CODE_REST for those that have no index of their own.
 */
static __always_inline u32 khx_exits_reason_code(u32 reason, u32 isa)
{
	if (likely(reason < KHX_EXITS_CODE_DIRECT))
		return reason;
	return khx_exits_reason_code_high(reason, isa);
}

#endif /* KHX_EXITS_REASON_H */
