/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest of a few instructions on /dev/kvm, which exits exactly as often as it
 * is told, and what khx_exits has to say about it.
 */
#ifndef KHX_EXITS_GUEST_H
#define KHX_EXITS_GUEST_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXITS_DIR	"/sys/kernel/debug/khx/exits"

/* Guest-physical layout. Below 1 MiB, so that real mode reaches it. */
#define GUEST_CODE	0x1000		/* the routines */
#define GUEST_STACK	0x8000
#define GUEST_TABLES	0x10000		/* page tables and VMCB, as needed */
#define GUEST_PAGES	0x20000		/* pages to touch */
#define GUEST_RAM	0xc0000		/* end of memory */
#define GUEST_MMIO	0xd0000		/* nobody is there */

struct guest {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	unsigned char *ram;
	bool intel;
	char dir[64];		/* below EXITS_DIR */
	int id;			/* of the vCPU, in there */
};

/* The routines (guest_code.S). Each ends with HLT; %esi says how often. */
enum routine {
	RUN_CPUID,
	RUN_OUTB,		/* to port %dx */
	RUN_INL,		/* from port %dx */
	RUN_RDMSR,		/* MSR %ecx */
	RUN_WRMSR,
	RUN_HYPERCALL,		/* number %eax */
	RUN_MMIO_READ,
	RUN_MMIO_WRITE,
	RUN_HLT,		/* all of them, the last included */
	RUN_READ_PAGES,		/* from segment %bx on */
	RUN_WRITE_PAGES,
	RUN_EXEC_PAGES,		/* every eighth page */
	RUN_CR0,		/* reads it, writes it with bits %ecx changed */
	RUN_DR3,		/* CPUID after a read and after a write of it */
	RUN_INTERRUPTS,		/* HLT with interrupts on */
	RUN_HALTS,		/* the same, OUT before each of them and no HLT last */
	RUN_ALL_PORTS,		/* each port once, port %dx 65536 times */
	RUN_ALL_MSRS,		/* from %ecx on, each once */
	RUN_WALK,		/* paging on: a word of every 4 MiB */
	RUN_SVM,		/* VMRUN of the VMCB at %eax */
	RUN_SVM_L2,		/* where that starts: %edi times CPUID, OUT, HLT */
	RUN_VMX,		/* VMLAUNCH, see nested.c */
	RUN_VMX_EXIT,		/* where that ends: VMRESUME, %edi times */
	RUN_VMX_L2,		/* where that starts: CPUID */
	RUN_MANY_REASONS,	/* one exit each for many, then OUT to port 0x81 */
	RUN_FOREVER,		/* CPUID and OUT without end */
};

/* Skips the test where there is no KVM or no khx_exits. */
void guest_need(void);

void guest_create(struct guest *g);
/* With KVM's own interrupt controllers, so that halts are KVM's, too. */
void guest_create_irqchip(struct guest *g);
/* One more vCPU of the same VM, which @g goes on owning. */
void guest_create_vcpu(struct guest *more, const struct guest *g, int id);
void guest_destroy_vcpu(struct guest *more);
void guest_destroy(struct guest *g);
uint16_t guest_routine(enum routine routine);

/* Registers for a run; real mode, segments at 0, stack ready. */
void guest_set_regs(struct guest *g, enum routine routine,
		    const struct kvm_regs *more);

/* Runs until the guest has halted @hlts times. */
void guest_run(struct guest *g, unsigned int hlts);

/* Both: %esi = count, others as given. */
void guest_do(struct guest *g, enum routine routine, unsigned int count,
	      struct kvm_regs more);

/*
 * 32-bit protected mode with the page directory at @directory; bits of @more's
 * CR0, CR4 and EFER are set, too. False if KVM does not want that.
 */
bool guest_set_paging(struct guest *g, uint32_t directory,
		      struct kvm_sregs more);

/* A routine there, until it halts once. */
void guest_do_paged(struct guest *g, enum routine routine,
		    struct kvm_regs regs);

/* Empties all tables. */
void exits_reset(void);

/*
 * The beginning of most tests: guest_need(), and a guest that the module knows, as
 * it has exited once, with all figures at 0.
 */
void guest_begin(struct guest *g);
void exits_enable(bool enable);

/*
 * A figure of the guest's vCPU: column @column (0 is the first after the key) of
 * the row that starts with @key, in FILE. 0 if there is no such row.
 */
long long exits_figure(struct guest *g, const char *file, const char *key,
		       int column);
/* Sum of a column over all rows. */
long long exits_sum(struct guest *g, const char *file, int column);

/* Name of a reason: the first on AMD, the second on Intel. */
const char *reason(struct guest *g, const char *svm, const char *vmx);

#endif
