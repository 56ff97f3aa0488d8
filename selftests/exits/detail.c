// SPDX-License-Identifier: GPL-2.0
/*
 * What exit information says beyond the reason, for both vendors: the kernel's
 * own source, built for userspace, and fed with what the manuals say a processor
 * reports. Some of it no guest of ours can bring about.
 */
#include <linux/kvm_host.h>
#include <string.h>

#include "tap.h"

#include "../../kmod/exits/detail.c"

struct fault {
	const char *what;
	enum khx_exits_fault (*decode)(u64 word);
	u64 word;
	const char *wanted;
};

static const struct fault faults[] = {
	{ "NPF, read", khx_exits_fault_npf, 0x100000004, "not-present:read" },
	{ "NPF, write", khx_exits_fault_npf, 0x100000006, "not-present:write" },
	{ "NPF, fetch", khx_exits_fault_npf, 0x100000014, "not-present:exec" },
	{ "NPF, mapped, read", khx_exits_fault_npf, 0x100000005,
	  "permission:read" },
	{ "NPF, mapped, write", khx_exits_fault_npf, 0x100000007,
	  "permission:write" },
	{ "NPF, mapped, fetch", khx_exits_fault_npf, 0x100000015,
	  "permission:exec" },
	{ "NPF, guest's tables", khx_exits_fault_npf, 0x200000006, "page-walk" },
	{ "NPF, guest's tables, mapped", khx_exits_fault_npf, 0x200000007,
	  "page-walk" },
	{ "NPF, reserved bit", khx_exits_fault_npf, 0x10000000d, "mmio" },
	{ "EPT, read", khx_exits_fault_ept, 0x181, "not-present:read" },
	{ "EPT, write", khx_exits_fault_ept, 0x182, "not-present:write" },
	{ "EPT, read and write", khx_exits_fault_ept, 0x183,
	  "not-present:write" },
	{ "EPT, fetch", khx_exits_fault_ept, 0x184, "not-present:exec" },
	{ "EPT, execute-only, read", khx_exits_fault_ept, 0x1a1,
	  "permission:read" },
	{ "EPT, read-only, write", khx_exits_fault_ept, 0x18a,
	  "permission:write" },
	{ "EPT, no fetch", khx_exits_fault_ept, 0x19c, "permission:exec" },
	{ "EPT, guest's tables", khx_exits_fault_ept, 0x81, "page-walk" },
	{ "EPT, accessed bit in guest's tables", khx_exits_fault_ept, 0x8a,
	  "page-walk" },
	{ "EPT, no linear address", khx_exits_fault_ept, 0x1,
	  "not-present:read" },
};

struct key {
	const char *what;
	enum khx_exits_kind kind;
	u32 reason;
	u64 info1;
	const char *table;	/* NULL: none */
	const char *wanted;
};

static const struct key keys[] = {
	{ "SVM, RDMSR", KHX_EXITS_KIND_SVM_MSR, 0x7c, 0, "msr",
	  "0xc0000080 read" },
	{ "SVM, WRMSR", KHX_EXITS_KIND_SVM_MSR, 0x7c, 1, "msr",
	  "0xc0000080 write" },
	{ "VMX, RDMSR", KHX_EXITS_KIND_MSR_READ, 31, 0, "msr",
	  "0xc0000080 read" },
	{ "VMX, WRMSR", KHX_EXITS_KIND_MSR_WRITE, 32, 0, "msr",
	  "0xc0000080 write" },
	{ "SVM, OUT", KHX_EXITS_KIND_SVM_IO, 0x7b, 0x03f80210, "ioport",
	  "0x3f8/1 out" },
	{ "SVM, IN", KHX_EXITS_KIND_SVM_IO, 0x7b, 0x0cfc0241, "ioport",
	  "0xcfc/4 in" },
	{ "SVM, REP OUTSW", KHX_EXITS_KIND_SVM_IO, 0x7b, 0x01f0022c, "ioport",
	  "0x1f0/2 outs" },
	{ "SVM, INSB at the last port", KHX_EXITS_KIND_SVM_IO, 0x7b, 0xffff0215,
	  "ioport", "0xffff/1 ins" },
	{ "VMX, OUT", KHX_EXITS_KIND_VMX_IO, 30, 0x03f80000, "ioport",
	  "0x3f8/1 out" },
	{ "VMX, IN", KHX_EXITS_KIND_VMX_IO, 30, 0x0cfc000b, "ioport",
	  "0xcfc/4 in" },
	{ "VMX, REP OUTSW", KHX_EXITS_KIND_VMX_IO, 30, 0x01f00031, "ioport",
	  "0x1f0/2 outs" },
	{ "VMX, INSB at the last port", KHX_EXITS_KIND_VMX_IO, 30, 0xffff0018,
	  "ioport", "0xffff/1 ins" },
	{ "hypercall", KHX_EXITS_KIND_HYPERCALL, 18, 0, "hypercall", "5 call" },
	{ "SVM, MOV from CR8", KHX_EXITS_KIND_SVM_REGISTER, 0x08, 0, "register",
	  "cr8 read" },
	{ "SVM, MOV to CR4", KHX_EXITS_KIND_SVM_REGISTER, 0x14, 0, "register",
	  "cr4 write" },
	{ "SVM, MOV from DR7", KHX_EXITS_KIND_SVM_REGISTER, 0x27, 0, "register",
	  "dr7 read" },
	{ "SVM, MOV to DR6", KHX_EXITS_KIND_SVM_REGISTER, 0x36, 0, "register",
	  "dr6 write" },
	{ "SVM, selective write of CR0", KHX_EXITS_KIND_SVM_REGISTER, 0x65, 0,
	  "register", "cr0 write" },
	{ "VMX, MOV to CR4", KHX_EXITS_KIND_VMX_CR, 28, 0x004, "register",
	  "cr4 write" },
	{ "VMX, MOV from CR8", KHX_EXITS_KIND_VMX_CR, 28, 0x318, "register",
	  "cr8 read" },
	{ "VMX, CLTS", KHX_EXITS_KIND_VMX_CR, 28, 0x20, "register",
	  "cr0 write" },
	{ "VMX, LMSW", KHX_EXITS_KIND_VMX_CR, 28, 0x00010030, "register",
	  "cr0 write" },
	{ "VMX, MOV to DR6", KHX_EXITS_KIND_VMX_DR, 29, 0x006, "register",
	  "dr6 write" },
	{ "VMX, MOV from DR7", KHX_EXITS_KIND_VMX_DR, 29, 0x217, "register",
	  "dr7 read" },
	{ "a reason without more", KHX_EXITS_KIND_NONE, 10, 0, NULL, NULL },
};

#define COUNT(array)	(sizeof(array) / sizeof((array)[0]))

static void test_fault(const struct fault *fault)
{
	const char *name = khx_exits_fault_name(fault->decode(fault->word));

	if (!tap_ok(!strcmp(name, fault->wanted), "%s", fault->what))
		tap_diag("got %s, wanted %s", name, fault->wanted);
}

/* ECX and EAX have an MSR and a hypercall; their upper halves do not count. */
static void test_key(const struct key *key)
{
	const struct kvm_vcpu vcpu = { .arch.regs = {
		[VCPU_REGS_RAX] = 0xffffffff00000005,
		[VCPU_REGS_RCX] = 0xffffffffc0000080,
	} };
	const struct khx_exits_info info = {
		.reason = key->reason, .info1 = key->info1,
	};
	enum khx_exits_table table;
	char text[48] = "";
	u64 value = 0;

	table = khx_exits_detail_key(key->kind, &vcpu, &info, &value);
	if (!key->table) {
		tap_is(table, KHX_EXITS_TABLES, "%s", key->what);
		return;
	}
	khx_exits_key_format(table, value, text, sizeof(text));
	if (!tap_ok(!strcmp(khx_exits_table_name(table), key->table) &&
		    !strcmp(text, key->wanted), "%s", key->what))
		tap_diag("got %s of %s, wanted %s of %s", text,
			 khx_exits_table_name(table), key->wanted, key->table);
}

static void test_text(enum khx_exits_table table, u64 key, const char *wanted)
{
	char text[48];

	khx_exits_key_format(table, key, text, sizeof(text));
	if (!tap_ok(!strcmp(text, wanted), "%s", wanted))
		tap_diag("got %s", text);
}

int main(void)
{
	tap_plan(COUNT(faults) + COUNT(keys) + 4);
	for (unsigned int i = 0; i < COUNT(faults); i++)
		test_fault(&faults[i]);
	for (unsigned int i = 0; i < COUNT(keys); i++)
		test_key(&keys[i]);
	test_text(KHX_EXITS_TABLE_MMIO,
		  khx_exits_detail_mmio_key(0xfebc0fff, false),
		  "0xfebc0000 read");
	test_text(KHX_EXITS_TABLE_MMIO,
		  khx_exits_detail_mmio_key(0xffffffffff123, true),
		  "0xffffffffff000 write");
	test_text(KHX_EXITS_TABLE_INTERRUPT,
		  khx_exits_detail_interrupt_key(236, false), "236 inject");
	test_text(KHX_EXITS_TABLE_INTERRUPT,
		  khx_exits_detail_interrupt_key(255, true), "255 reinject");
	return tap_exit();
}
