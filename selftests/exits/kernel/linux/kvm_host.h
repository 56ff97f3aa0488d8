/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What kmod/exits/detail.c needs of the kernel, to build it for a test. The
 * numbers are those of the processors' manuals, so that a wrong one on the
 * other side shows.
 */
#ifndef KHX_EXITS_KVM_HOST_H
#define KHX_EXITS_KVM_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

typedef unsigned long long u64;
typedef unsigned int u32;

#define BIT_ULL(n)		(1ULL << (n))
#define likely(x)		(x)
#define READ_ONCE(x)		(x)
#define scnprintf		snprintf
#define PAGE_SHIFT		12

/* Error code of a page fault. */
#define PFERR_PRESENT_MASK	0x1
#define PFERR_WRITE_MASK	0x2
#define PFERR_RSVD_MASK		0x8
#define PFERR_FETCH_MASK	0x10
#define PFERR_GUEST_PAGE_MASK	0x200000000ULL

/* Exit qualification of an EPT violation, and of an access to a register. */
#define EPT_VIOLATION_ACC_WRITE		0x2
#define EPT_VIOLATION_ACC_INSTR		0x4
#define EPT_VIOLATION_RWX_MASK		0x38
#define EPT_VIOLATION_GVA_IS_VALID	0x80
#define EPT_VIOLATION_GVA_TRANSLATED	0x100
#define DEBUG_REG_ACCESS_NUM		0x7
#define DEBUG_REG_ACCESS_TYPE		0x10

/* EXITINFO1 of an I/O instruction. */
#define SVM_IOIO_TYPE_MASK	0x1
#define SVM_IOIO_STR_MASK	0x4
#define SVM_IOIO_SIZE_MASK	0x70
#define SVM_IOIO_SIZE_SHIFT	4

#define SVM_EXIT_CR0_SEL_WRITE	0x65

enum { VCPU_REGS_RAX, VCPU_REGS_RCX, NR_VCPU_REGS };

struct kvm_vcpu {
	struct {
		unsigned long regs[NR_VCPU_REGS];
	} arch;
};

#endif
