// SPDX-License-Identifier: GPL-2.0
#include <linux/kernel.h>
#include <linux/kvm_host.h>	/* the vectors that SVM_EXIT_REASONS names */
#include <uapi/asm/svm.h>
#include <uapi/asm/vmx.h>

#include "reason.h"

#define KHX_EXITS_SVM_HIGH	0x400	/* NPF, AVIC, VMGEXIT */

/* The tables with which the kernel's own trace events are printed. */
struct khx_exits_reason {
	u32 code;
	const char *name;
};

static const struct khx_exits_reason khx_exits_vmx_reasons[] = {
	VMX_EXIT_REASONS
};

static const struct khx_exits_reason khx_exits_svm_reasons[] = {
	SVM_EXIT_REASONS
};

/* The codes at or above KHX_EXITS_CODE_DIRECT, of which NPF is the hot one. */
u32 khx_exits_reason_code_high(u32 reason, u32 isa)
{
	u32 code = KHX_EXITS_CODE_DIRECT + reason - KHX_EXITS_SVM_HIGH;

	if (isa == KHX_EXITS_ISA_SVM && reason >= KHX_EXITS_SVM_HIGH &&
	    code < KHX_EXITS_CODE_REST)
		return code;
	reason = khx_exits_reason_basic(reason, isa);
	return reason < KHX_EXITS_CODE_DIRECT ? reason : KHX_EXITS_CODE_REST;
}

/*
 * VMX adds flags (enclave mode, bus lock) to the basic reason; a failed entry
 * is a reason of its own.
 */
u32 khx_exits_reason_basic(u32 reason, u32 isa)
{
	if (isa != KHX_EXITS_ISA_VMX)
		return reason;
	if (reason & VMX_EXIT_REASONS_FAILED_VMENTRY)
		return VMX_EXIT_REASONS_FAILED_VMENTRY;
	return reason & 0xffff;
}

static const char *khx_exits_reason_name(u32 reason, u32 isa)
{
	const struct khx_exits_reason *table = khx_exits_svm_reasons;
	size_t i, nr = ARRAY_SIZE(khx_exits_svm_reasons);

	if (isa == KHX_EXITS_ISA_VMX) {
		table = khx_exits_vmx_reasons;
		nr = ARRAY_SIZE(khx_exits_vmx_reasons);
	}
	for (i = 0; i < nr; i++)
		if (table[i].code == reason)
			return table[i].name;
	return NULL;
}

/* "CPUID", "L2:CPUID" for an exit from a guest's guest, "0x4d" if unnamed. */
int khx_exits_reason_format(u32 reason, u32 isa, bool nested, char *buf,
			    size_t size)
{
	const char *name = khx_exits_reason_name(reason, isa);
	const char *level = nested ? "L2:" : "";

	if (reason == KHX_EXITS_REASON_OTHER)
		name = "OTHER";
	if (name)
		return scnprintf(buf, size, "%s%s", level, name);
	return scnprintf(buf, size, "%s0x%x", level, reason);
}

static enum khx_exits_kind khx_exits_kind_vmx(u32 reason)
{
	switch (reason) {
	case EXIT_REASON_EPT_VIOLATION:
		return KHX_EXITS_KIND_EPT_VIOLATION;
	case EXIT_REASON_EPT_MISCONFIG:
		return KHX_EXITS_KIND_EPT_MISCONFIG;
	case EXIT_REASON_MSR_READ:
		return KHX_EXITS_KIND_MSR_READ;
	case EXIT_REASON_MSR_WRITE:
		return KHX_EXITS_KIND_MSR_WRITE;
	case EXIT_REASON_IO_INSTRUCTION:
		return KHX_EXITS_KIND_VMX_IO;
	case EXIT_REASON_VMCALL:
		return KHX_EXITS_KIND_HYPERCALL;
	case EXIT_REASON_CR_ACCESS:
		return KHX_EXITS_KIND_VMX_CR;
	case EXIT_REASON_DR_ACCESS:
		return KHX_EXITS_KIND_VMX_DR;
	default:
		return KHX_EXITS_KIND_NONE;
	}
}

static enum khx_exits_kind khx_exits_kind_svm(u32 reason)
{
	switch (reason) {
	case SVM_EXIT_NPF:
		return KHX_EXITS_KIND_NPF;
	case SVM_EXIT_MSR:
		return KHX_EXITS_KIND_SVM_MSR;
	case SVM_EXIT_IOIO:
		return KHX_EXITS_KIND_SVM_IO;
	case SVM_EXIT_VMMCALL:
		return KHX_EXITS_KIND_HYPERCALL;
	case SVM_EXIT_READ_CR0 ... SVM_EXIT_WRITE_DR7:
	case SVM_EXIT_CR0_SEL_WRITE:
		return KHX_EXITS_KIND_SVM_REGISTER;
	default:
		return KHX_EXITS_KIND_NONE;
	}
}

enum khx_exits_kind khx_exits_reason_kind(u32 reason, u32 isa)
{
	if (isa == KHX_EXITS_ISA_VMX)
		return khx_exits_kind_vmx(reason);
	return khx_exits_kind_svm(reason);
}
