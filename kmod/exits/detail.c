// SPDX-License-Identifier: GPL-2.0
#include <linux/kvm_host.h>
#include <asm/svm.h>
#include <asm/vmx.h>

#include "detail.h"
#include "source.h"

/* VMX: exit qualification of a control-register access. */
#define KHX_EXITS_VMX_CR_NUM		0xf
#define KHX_EXITS_VMX_CR_TYPE(q)	(((q) >> 4) & 3)
#define KHX_EXITS_VMX_CR_FROM		1	/* MOV from CR: a read */

/* VMX: exit qualification of an I/O instruction. */
#define KHX_EXITS_VMX_IO_SIZE(q)	(((q) & 7) + 1)
#define KHX_EXITS_VMX_IO_IN		BIT_ULL(3)
#define KHX_EXITS_VMX_IO_STRING		BIT_ULL(4)

static const char * const khx_exits_fault_names[KHX_EXITS_FAULTS] = {
	[KHX_EXITS_FAULT_ABSENT_READ]	= "not-present:read",
	[KHX_EXITS_FAULT_ABSENT_WRITE]	= "not-present:write",
	[KHX_EXITS_FAULT_ABSENT_EXEC]	= "not-present:exec",
	[KHX_EXITS_FAULT_PERM_READ]	= "permission:read",
	[KHX_EXITS_FAULT_PERM_WRITE]	= "permission:write",
	[KHX_EXITS_FAULT_PERM_EXEC]	= "permission:exec",
	[KHX_EXITS_FAULT_WALK]		= "page-walk",
	[KHX_EXITS_FAULT_MMIO]		= "mmio",
};

static const char * const khx_exits_table_names[KHX_EXITS_TABLES] = {
	[KHX_EXITS_TABLE_MSR]		= "msr",
	[KHX_EXITS_TABLE_IOPORT]	= "ioport",
	[KHX_EXITS_TABLE_MMIO]		= "mmio",
	[KHX_EXITS_TABLE_HYPERCALL]	= "hypercall",
	[KHX_EXITS_TABLE_REGISTER]	= "register",
	[KHX_EXITS_TABLE_INTERRUPT]	= "interrupt",
};

static enum khx_exits_fault khx_exits_fault(bool present, bool write, bool exec)
{
	int base = present ? KHX_EXITS_FAULT_PERM_READ :
			     KHX_EXITS_FAULT_ABSENT_READ;

	return base + (write ? 1 : exec ? 2 : 0);
}

/* AMD's nested page fault: an error code as of an ordinary page fault. */
enum khx_exits_fault khx_exits_fault_npf(u64 error_code)
{
	if (error_code & PFERR_RSVD_MASK)
		return KHX_EXITS_FAULT_MMIO;
	if (error_code & PFERR_GUEST_PAGE_MASK)
		return KHX_EXITS_FAULT_WALK;
	return khx_exits_fault(error_code & PFERR_PRESENT_MASK,
			       error_code & PFERR_WRITE_MASK,
			       error_code & PFERR_FETCH_MASK);
}

/*
 * Intel's EPT violation. A linear address that was valid but not yet
 * translated means that the walk through the guest's own tables faulted.
 */
enum khx_exits_fault khx_exits_fault_ept(u64 qualification)
{
	if ((qualification & EPT_VIOLATION_GVA_IS_VALID) &&
	    !(qualification & EPT_VIOLATION_GVA_TRANSLATED))
		return KHX_EXITS_FAULT_WALK;
	return khx_exits_fault(qualification & EPT_VIOLATION_RWX_MASK,
			       qualification & EPT_VIOLATION_ACC_WRITE,
			       qualification & EPT_VIOLATION_ACC_INSTR);
}

const char *khx_exits_fault_name(enum khx_exits_fault fault)
{
	return khx_exits_fault_names[fault];
}

const char *khx_exits_table_name(enum khx_exits_table table)
{
	return khx_exits_table_names[table];
}

static u64 khx_exits_key(u64 what, bool write)
{
	return what << KHX_EXITS_KEY_SHIFT | (write ? KHX_EXITS_KEY_WRITE : 0);
}

static u64 khx_exits_key_msr(const struct kvm_vcpu *vcpu, bool write)
{
	return khx_exits_key((u32)vcpu->arch.regs[VCPU_REGS_RCX], write);
}

static u64 khx_exits_key_io(u64 port, u64 size, bool out, bool string)
{
	return khx_exits_key(port, out) | size << KHX_EXITS_KEY_SIZE_SHIFT |
	       (string ? KHX_EXITS_KEY_STRING : 0);
}

static u64 khx_exits_key_svm_io(u64 info1)
{
	return khx_exits_key_io(info1 >> 16 & 0xffff,
				(info1 & SVM_IOIO_SIZE_MASK) >>
				SVM_IOIO_SIZE_SHIFT,
				!(info1 & SVM_IOIO_TYPE_MASK),
				info1 & SVM_IOIO_STR_MASK);
}

static u64 khx_exits_key_vmx_io(u64 qual)
{
	return khx_exits_key_io(qual >> 16 & 0xffff,
				KHX_EXITS_VMX_IO_SIZE(qual),
				!(qual & KHX_EXITS_VMX_IO_IN),
				qual & KHX_EXITS_VMX_IO_STRING);
}

/* SVM exit codes 0x00-0x3f: 16 each of CR read, CR write, DR read, DR write. */
static u64 khx_exits_key_svm_register(u32 reason)
{
	if (reason == SVM_EXIT_CR0_SEL_WRITE)
		return khx_exits_key(0, true);
	return khx_exits_key(reason & 0xf, reason & 0x10) |
	       (reason & 0x20 ? KHX_EXITS_KEY_DR : 0);
}

static u64 khx_exits_key_vmx_cr(u64 qual)
{
	return khx_exits_key(qual & KHX_EXITS_VMX_CR_NUM,
			     KHX_EXITS_VMX_CR_TYPE(qual) !=
			     KHX_EXITS_VMX_CR_FROM);
}

static u64 khx_exits_key_vmx_dr(u64 qual)
{
	return khx_exits_key(qual & DEBUG_REG_ACCESS_NUM,
			     !(qual & DEBUG_REG_ACCESS_TYPE)) |
	       KHX_EXITS_KEY_DR;
}

/*
 * An interrupt is injected again if its delivery was cut short by an exit; KVM
 * says the same of those that userspace injects by KVM_INTERRUPT.
 */
u64 khx_exits_detail_interrupt_key(unsigned int vector, bool reinjected)
{
	return khx_exits_key(vector, reinjected);
}

/* MMIO is counted by page: a device's registers, not each address. */
u64 khx_exits_detail_mmio_key(u64 gpa, bool write)
{
	return khx_exits_key(gpa >> PAGE_SHIFT, write);
}

enum khx_exits_table khx_exits_detail_key(enum khx_exits_kind kind,
					  const struct kvm_vcpu *vcpu,
					  const struct khx_exits_info *info,
					  u64 *key)
{
	switch (kind) {
	case KHX_EXITS_KIND_SVM_MSR:
		*key = khx_exits_key_msr(vcpu, info->info1 & 1);
		return KHX_EXITS_TABLE_MSR;
	case KHX_EXITS_KIND_MSR_READ:
	case KHX_EXITS_KIND_MSR_WRITE:
		*key = khx_exits_key_msr(vcpu,
					 kind == KHX_EXITS_KIND_MSR_WRITE);
		return KHX_EXITS_TABLE_MSR;
	case KHX_EXITS_KIND_SVM_IO:
		*key = khx_exits_key_svm_io(info->info1);
		return KHX_EXITS_TABLE_IOPORT;
	case KHX_EXITS_KIND_VMX_IO:
		*key = khx_exits_key_vmx_io(info->info1);
		return KHX_EXITS_TABLE_IOPORT;
	case KHX_EXITS_KIND_HYPERCALL:
		*key = khx_exits_key((u32)vcpu->arch.regs[VCPU_REGS_RAX],
				     false);
		return KHX_EXITS_TABLE_HYPERCALL;
	case KHX_EXITS_KIND_SVM_REGISTER:
		*key = khx_exits_key_svm_register(info->reason);
		return KHX_EXITS_TABLE_REGISTER;
	case KHX_EXITS_KIND_VMX_CR:
		*key = khx_exits_key_vmx_cr(info->info1);
		return KHX_EXITS_TABLE_REGISTER;
	case KHX_EXITS_KIND_VMX_DR:
		*key = khx_exits_key_vmx_dr(info->info1);
		return KHX_EXITS_TABLE_REGISTER;
	default:
		return KHX_EXITS_TABLES;
	}
}

/**
 * khx_exits_key_format() - a key in the words of its table
 * @table: the table
 * @key: a key from that table
 * @buf: where to write
 * @size: room there
 *
 * Two words: what (MSR, port/size, guest-physical page, hypercall, register or
 * vector) and how (read, write, in, out, string forms, call, inject, reinject).
 *
 * Return: length of the text, as scnprintf() has it.
 */
int khx_exits_key_format(enum khx_exits_table table, u64 key, char *buf,
			 size_t size)
{
	u64 what = key >> KHX_EXITS_KEY_SHIFT;
	bool write = key & KHX_EXITS_KEY_WRITE;

	switch (table) {
	case KHX_EXITS_TABLE_IOPORT:
		return scnprintf(buf, size, "0x%llx/%llu %s%s", what,
				 KHX_EXITS_KEY_SIZE(key), write ? "out" : "in",
				 key & KHX_EXITS_KEY_STRING ? "s" : "");
	case KHX_EXITS_TABLE_MMIO:
		return scnprintf(buf, size, "0x%llx %s", what << PAGE_SHIFT,
				 write ? "write" : "read");
	case KHX_EXITS_TABLE_HYPERCALL:
		return scnprintf(buf, size, "%llu call", what);
	case KHX_EXITS_TABLE_REGISTER:
		return scnprintf(buf, size, "%s%llu %s",
				 key & KHX_EXITS_KEY_DR ? "dr" : "cr", what,
				 write ? "write" : "read");
	case KHX_EXITS_TABLE_INTERRUPT:
		return scnprintf(buf, size, "%llu %s", what,
				 write ? "reinject" : "inject");
	default:
		return scnprintf(buf, size, "0x%llx %s", what,
				 write ? "write" : "read");
	}
}
