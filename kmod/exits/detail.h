/* SPDX-License-Identifier: GPL-2.0 */
/* What an exit was about, beyond its reason: fault causes and table keys. */
#ifndef KHX_EXITS_DETAIL_H
#define KHX_EXITS_DETAIL_H

#include <linux/bits.h>
#include <linux/types.h>

#include "reason.h"

struct khx_exits_info;
struct kvm_vcpu;

/* Why the second-stage page tables did not serve an access. */
enum khx_exits_fault {
	KHX_EXITS_FAULT_ABSENT_READ,
	KHX_EXITS_FAULT_ABSENT_WRITE,
	KHX_EXITS_FAULT_ABSENT_EXEC,
	KHX_EXITS_FAULT_PERM_READ,
	KHX_EXITS_FAULT_PERM_WRITE,
	KHX_EXITS_FAULT_PERM_EXEC,
	KHX_EXITS_FAULT_WALK,
	KHX_EXITS_FAULT_MMIO,
	KHX_EXITS_FAULTS
};

/* The top-N tables. */
enum khx_exits_table {
	KHX_EXITS_TABLE_MSR,
	KHX_EXITS_TABLE_IOPORT,
	KHX_EXITS_TABLE_MMIO,
	KHX_EXITS_TABLE_HYPERCALL,
	KHX_EXITS_TABLE_REGISTER,
	KHX_EXITS_TABLE_INTERRUPT,
	KHX_EXITS_TABLES
};

/*
 * Keys: the low bits say how, the rest says what. The bits of the port key
 * leave its size, 1, 2 or 4, where a number can be read off.
 */
#define KHX_EXITS_KEY_WRITE	BIT_ULL(0)
#define KHX_EXITS_KEY_STRING	BIT_ULL(1)
#define KHX_EXITS_KEY_DR	BIT_ULL(1)
#define KHX_EXITS_KEY_SHIFT	8
#define KHX_EXITS_KEY_SIZE_SHIFT 4
#define KHX_EXITS_KEY_SIZE(key)	(((key) >> KHX_EXITS_KEY_SIZE_SHIFT) & 0xf)

enum khx_exits_fault khx_exits_fault_npf(u64 error_code);
enum khx_exits_fault khx_exits_fault_ept(u64 qualification);
const char *khx_exits_fault_name(enum khx_exits_fault fault);

/* The table that counts this exit, or KHX_EXITS_TABLES if none does. */
enum khx_exits_table khx_exits_detail_key(enum khx_exits_kind kind,
					  const struct kvm_vcpu *vcpu,
					  const struct khx_exits_info *info,
					  u64 *key);
u64 khx_exits_detail_mmio_key(u64 gpa, bool write);
u64 khx_exits_detail_interrupt_key(unsigned int vector, bool reinjected);
const char *khx_exits_table_name(enum khx_exits_table table);

/* Text of a key for people: "0x6e0 write", "0x3f8/1 out" ... */
int khx_exits_key_format(enum khx_exits_table table, u64 key, char *buf,
			 size_t size);

#endif /* KHX_EXITS_DETAIL_H */
