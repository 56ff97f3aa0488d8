// SPDX-License-Identifier: GPL-2.0
/*
 * Exits of a guest's guest (L2) are told apart from its own (L1): L1 makes
 * neither more nor less than it takes to run an L2 that makes CPUID.
 */
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "guest.h"
#include "tap.h"

#define EXITS		300
#define OUTS		200

/* What L1 needs, from GUEST_TABLES on. */
#define L1_CONTROL	GUEST_TABLES		/* VMCB or VMCS */
#define L1_HOST		(GUEST_TABLES + 0x2000)	/* VM_HSAVE_PA, VMXON */
#define L1_DIRECTORY	(GUEST_TABLES + 0x4000)
#define L1_TABLE	(GUEST_TABLES + 0x5000)
#define L1_POINTERS	(GUEST_TABLES + 0x6000)	/* to both, for VMX */
#define L1_FIELDS	(GUEST_TABLES + 0x6100)

#define EFER_SVME		0x1000
#define CR0_NE			0x20
#define CR4_VMXE		0x2000
#define MSR_FEATURE_CONTROL	0x3a
#define MSR_VMX_BASIC		0x480
#define MSR_VM_HSAVE_PA		0xc0010117

/* One register: a count of 1 is success. */
struct msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

static bool set_msr(struct guest *g, uint32_t index, uint64_t data)
{
	struct msr msr = {
		.head.nmsrs = 1,
		.entry = { .index = index, .data = data },
	};

	return ioctl(g->vcpu, KVM_SET_MSRS, &msr) == 1;
}

static bool get_msr(struct guest *g, uint32_t index, uint64_t *data)
{
	struct msr msr = { .head.nmsrs = 1, .entry.index = index };
	bool ok = ioctl(g->vcpu, KVM_GET_MSRS, &msr) == 1;

	*data = msr.entry.data;
	return ok;
}

/* L1 needs paging: all of its memory, where it is. */
static bool set_paging(struct guest *g, struct kvm_sregs more)
{
	*(uint32_t *)(g->ram + L1_DIRECTORY) = L1_TABLE | 3;
	for (uint32_t page = 0; page < GUEST_RAM; page += 0x1000)
		((uint32_t *)(g->ram + L1_TABLE))[page >> 12] = page | 3;
	return guest_set_paging(g, L1_DIRECTORY, more);
}

/* Offsets in AMD's VMCB. */
enum {
	VMCB_INTERCEPT3 = 0x00c, VMCB_INTERCEPT4 = 0x010, VMCB_ASID = 0x058,
	VMCB_ES = 0x400, VMCB_CS = 0x410, VMCB_SS = 0x420, VMCB_DS = 0x430,
	VMCB_GDTR = 0x460, VMCB_IDTR = 0x480, VMCB_EFER = 0x4d0,
	VMCB_CR0 = 0x558, VMCB_DR7 = 0x560, VMCB_DR6 = 0x568,
	VMCB_RFLAGS = 0x570, VMCB_RIP = 0x578, VMCB_RSP = 0x5d8,
};

static void put64(unsigned char *vmcb, int offset, uint64_t value)
{
	memcpy(vmcb + offset, &value, sizeof(value));
}

static void put_segment(unsigned char *vmcb, int offset, uint16_t attrib)
{
	put64(vmcb, offset, 0xffffULL << 32 | (uint64_t)attrib << 16);
	put64(vmcb, offset + 8, 0);
}

/* A guest's guest in real mode that makes CPUID, one OUT and one HLT. */
static void make_vmcb(unsigned char *vmcb, enum routine routine)
{
	put64(vmcb, VMCB_INTERCEPT3, 1 << 24);		/* HLT */
	*(uint32_t *)(vmcb + VMCB_INTERCEPT4) = 1;	/* VMRUN */
	*(uint32_t *)(vmcb + VMCB_ASID) = 1;
	put_segment(vmcb, VMCB_CS, 0x9b);
	put_segment(vmcb, VMCB_DS, 0x93);
	put_segment(vmcb, VMCB_ES, 0x93);
	put_segment(vmcb, VMCB_SS, 0x93);
	put_segment(vmcb, VMCB_GDTR, 0);
	put_segment(vmcb, VMCB_IDTR, 0);
	put64(vmcb, VMCB_EFER, EFER_SVME);
	put64(vmcb, VMCB_CR0, 0x10);
	put64(vmcb, VMCB_DR7, 0x400);
	put64(vmcb, VMCB_DR6, 0xffff0ff0);
	put64(vmcb, VMCB_RFLAGS, 2);
	put64(vmcb, VMCB_RIP, guest_routine(routine));
	put64(vmcb, VMCB_RSP, GUEST_STACK);
}

static bool run_svm(struct guest *g, enum routine routine)
{
	struct kvm_sregs svme = { .efer = EFER_SVME };

	if (!set_paging(g, svme) || !set_msr(g, MSR_VM_HSAVE_PA, L1_HOST))
		return false;
	make_vmcb(g->ram + L1_CONTROL, routine);
	guest_do_paged(g, RUN_SVM, (struct kvm_regs) {
			.rax = L1_CONTROL, .rdi = EXITS, .rsi = OUTS });
	return true;
}

/* A field of Intel's VMCS and its value, as L1 writes them. */
struct field {
	uint32_t field;
	uint32_t value;
};

/*
 * L2 has L1's page tables and segments. Controls have the bits that must be 1 on
 * every processor; CPUID always exits.
 */
static unsigned int put_fields(struct guest *g)
{
	const uint32_t cr0 = 0x80000031;
	const struct field fields[] = {
		{ 0x4000, 0x16 },		/* pin-based controls */
		{ 0x4002, 0x0401e172 },		/* processor-based */
		{ 0x400c, 0x36dff },		/* exit controls */
		{ 0x4012, 0x11ff },		/* entry controls */
		{ 0x2800, -1 }, { 0x2801, -1 },	/* no VMCS is linked */
		/* L1 after an exit: CR0, CR3, CR4, RSP, RIP, ES to DS, TR */
		{ 0x6c00, cr0 }, { 0x6c02, L1_DIRECTORY },
		{ 0x6c04, CR4_VMXE }, { 0x6c14, GUEST_STACK },
		{ 0x6c16, guest_routine(RUN_VMX_EXIT) },
		{ 0x0c00, 8 }, { 0x0c02, 8 }, { 0x0c04, 8 }, { 0x0c06, 8 },
		{ 0x0c0c, 8 },
		/* L2: CR0, CR3, CR4, DR7, RSP, RIP, RFLAGS */
		{ 0x6800, cr0 }, { 0x6802, L1_DIRECTORY },
		{ 0x6804, CR4_VMXE }, { 0x681a, 0x400 },
		{ 0x681c, GUEST_STACK }, { 0x681e, guest_routine(RUN_VMX_L2) },
		{ 0x6820, 2 },
		/* Selectors, limits, access: ES, CS, SS, DS, TR, then none */
		{ 0x0800, 8 }, { 0x4800, -1 }, { 0x4814, 0xc093 },
		{ 0x0802, 8 }, { 0x4802, -1 }, { 0x4816, 0xc09b },
		{ 0x0804, 8 }, { 0x4804, -1 }, { 0x4818, 0xc093 },
		{ 0x0806, 8 }, { 0x4806, -1 }, { 0x481a, 0xc093 },
		{ 0x080e, 8 }, { 0x480e, 0xffff }, { 0x4822, 0x8b },
		{ 0x481c, 0x10000 }, { 0x481e, 0x10000 }, { 0x4820, 0x10000 },
	};

	memcpy(g->ram + L1_FIELDS, fields, sizeof(fields));
	return sizeof(fields) / sizeof(fields[0]);
}

static bool run_vmx(struct guest *g)
{
	uint64_t pointers[] = { L1_HOST, L1_CONTROL }, revision;
	struct kvm_sregs vmxe = { .cr0 = CR0_NE, .cr4 = CR4_VMXE };

	if (!set_msr(g, MSR_FEATURE_CONTROL, 5) ||	/* VMXON allowed */
	    !get_msr(g, MSR_VMX_BASIC, &revision) ||
	    !set_paging(g, vmxe))
		return false;
	memcpy(g->ram + L1_HOST, &revision, 4);
	memcpy(g->ram + L1_CONTROL, &revision, 4);
	memcpy(g->ram + L1_POINTERS, pointers, sizeof(pointers));
	guest_do_paged(g, RUN_VMX, (struct kvm_regs) {
			.rax = L1_POINTERS, .rbx = L1_POINTERS + 8,
			.rsi = L1_FIELDS, .rcx = put_fields(g), .rdi = EXITS });
	return true;
}

static long long count(struct guest *g, const char *svm, const char *vmx)
{
	return exits_figure(g, "exit_reason", reason(g, svm, vmx), 0);
}

/*
 * A vCPU has room for so many reasons, each for L1 and for L2; the rest share a
 * row. What those access must show all the same, whatever the guest did first.
 */
static void test_many_reasons(void)
{
	struct guest g;

	guest_create(&g);
	if (g.intel) {
		tap_skip("no such guest for VMX", "more reasons than rows");
		tap_skip("no such guest for VMX", "what they access");
		return;
	}
	guest_do(&g, RUN_MANY_REASONS, OUTS, (struct kvm_regs) {});
	run_svm(&g, RUN_MANY_REASONS);
	tap_ok(count(&g, "OTHER", "") >= OUTS,
	       "more reasons than rows: %lld exits share one",
	       count(&g, "OTHER", ""));
	tap_is(exits_figure(&g, "ioport", "0x81/1 out", 0), 2 * OUTS,
	       "what they access is counted all the same");
	guest_destroy(&g);
}

int main(void)
{
	struct guest g;

	guest_begin(&g);
	if (!(g.intel ? run_vmx(&g) : run_svm(&g, RUN_SVM_L2)))
		tap_skip_all("KVM runs no guests in guests here");
	tap_plan(8);
	tap_is(count(&g, "L2:cpuid", "L2:CPUID"), EXITS, "%d exits of L2",
	       EXITS);
	tap_is(count(&g, "cpuid", "CPUID"), 0, "which are not L1's");
	tap_is(count(&g, "vmrun", "VMLAUNCH"), 1, "L1 entered it");
	/* On VMX, L1 sees each CPUID, and enters L2 again. */
	if (g.intel) {
		tap_is(count(&g, "", "VMRESUME"), EXITS - 1,
		       "and after each of its exits");
		tap_skip("L1 serves all there is", "what L2 accesses");
	} else {
		tap_is(count(&g, "L2:hlt", ""), 1, "and left it for a HLT");
		tap_is(exits_figure(&g, "ioport", "0x80/1 out", 0), 1,
		       "what L2 accesses is in the tables");
	}
	tap_is(count(&g, "hlt", "HLT"), 1, "L1 ends with a HLT of its own");
	guest_destroy(&g);
	test_many_reasons();
	return tap_exit();
}
