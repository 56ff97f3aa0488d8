// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: The fast path
 *
 * kvm_exit stamps the time and counts the reason, kvm_entry measures the time
 * since then. Between the two, what is told by exit (MSR, port, register,
 * hypercall, cause of a fault) is taken from the exit information at once, and
 * what KVM only finds out later (MMIO address, injected vector, outcome of a
 * halt) from further tracepoints, which do not say for which vCPU they fire: it
 * is the one that KVM has loaded on this CPU.
 *
 * All probes run with preemption off and only ever write the record of that
 * vCPU. An exit may have no entry (the vCPU never ran
 * again): it is counted, but not timed. An entry may have no exit (SVM re-enters
 * the guest on its own fast path without a trace): it is counted as such.
 */
#include <linux/kvm_host.h>
#include <linux/percpu.h>

#include "clock.h"
#include "detail.h"
#include "probe.h"
#include "source.h"
#include "vcpu.h"

/* KVM's names for the first argument of kvm_mmio. */
enum khx_exits_mmio {
	KHX_EXITS_MMIO_READ_UNSATISFIED,
	KHX_EXITS_MMIO_READ,
	KHX_EXITS_MMIO_WRITE,
};

static void khx_exits_probe_key(struct khx_exits_vcpu *rec,
				enum khx_exits_table table, u64 key)
{
	struct khx_exits_top *top = &rec->stats.top[table];

	rec->top = top;
	rec->row = khx_exits_top_add(top, key);
}

static noinline void khx_exits_probe_detail(struct khx_exits_vcpu *rec,
					    struct kvm_vcpu *vcpu,
					    const struct khx_exits_info *info)
{
	enum khx_exits_kind kind = rec->slot->kind;
	enum khx_exits_fault fault;
	enum khx_exits_table table;
	u64 key;

	if (kind == KHX_EXITS_KIND_OTHER)
		kind = khx_exits_reason_kind(khx_exits_reason_basic(info->reason,
								    rec->isa),
					     rec->isa);
	switch (kind) {
	case KHX_EXITS_KIND_NPF:
		fault = khx_exits_fault_npf(info->info1);
		rec->stats.fault[fault]++;
		break;
	case KHX_EXITS_KIND_EPT_VIOLATION:
		fault = khx_exits_fault_ept(info->info1);
		rec->stats.fault[fault]++;
		break;
	case KHX_EXITS_KIND_EPT_MISCONFIG:
		rec->stats.fault[KHX_EXITS_FAULT_MMIO]++;
		break;
	default:
		table = khx_exits_detail_key(kind, vcpu, info, &key);
		if (table != KHX_EXITS_TABLES)
			khx_exits_probe_key(rec, table, key);
	}
}

static void khx_exits_probe_exit(void *data, struct kvm_vcpu *vcpu, u32 isa)
{
	struct khx_exits_vcpu *rec = this_cpu_read(khx_exits_vcpu_last);
	struct khx_exits_info info;
	struct khx_exits_slot *slot;

	if (unlikely(!rec || rec->vcpu != vcpu || rec->task != current)) {
		rec = khx_exits_vcpu_enter(vcpu, isa);
		if (!rec)
			return;
	}
	if (unlikely(READ_ONCE(rec->attention)) && !khx_exits_vcpu_attend(rec)) {
		rec->unseen = true;
		return;
	}

	khx_exits_source_get(vcpu, &info);
	raw_write_seqcount_begin(&rec->seq);
	slot = khx_exits_stats_slot(&rec->stats, info.reason, isa,
				    vcpu->arch.hflags & HF_GUEST_MASK);
	slot->count++;
	rec->slot = slot;
	if (slot->kind != KHX_EXITS_KIND_NONE)
		khx_exits_probe_detail(rec, vcpu, &info);
	raw_write_seqcount_end(&rec->seq);
	rec->exit_clock = khx_exits_clock();
}

static void khx_exits_probe_time(struct khx_exits_vcpu *rec)
{
	u64 ns = khx_exits_clock_ns(rec->exit_clock, khx_exits_clock());

	rec->exit_clock = 0;
	raw_write_seqcount_begin(&rec->seq);
	khx_exits_slot_time(rec->slot, ns);
	if (rec->row) {
		rec->row->time += ns;
		rec->top->time += ns;
		rec->row = NULL;
	}
	raw_write_seqcount_end(&rec->seq);
}

static void khx_exits_probe_entry(void *data, struct kvm_vcpu *vcpu,
				  bool force_immediate_exit)
{
	struct khx_exits_vcpu *rec = this_cpu_read(khx_exits_vcpu_last);

	if (unlikely(!rec || rec->vcpu != vcpu)) {
		rec = khx_exits_vcpu_find(vcpu);
		if (!rec)
			return;
	}
	if (likely(rec->exit_clock)) {
		khx_exits_probe_time(rec);
		return;
	}
	rec->row = NULL;
	if (!rec->unseen && !READ_ONCE(rec->attention) &&
	    READ_ONCE(khx_exits_probes[KHX_EXITS_PROBE_EXIT].registered))
		rec->stats.reentries++;
	rec->unseen = false;
}

/* For probes that are not told the vCPU; NULL if it is not to be counted. */
static struct khx_exits_vcpu *khx_exits_probe_running(void)
{
	struct khx_exits_vcpu *rec = khx_exits_vcpu_find_running();

	if (!rec || (READ_ONCE(rec->attention) && !khx_exits_vcpu_attend(rec)))
		return NULL;
	return rec;
}

static void khx_exits_probe_mmio_count(struct khx_exits_vcpu *rec, u64 gpa,
				       bool write)
{
	raw_write_seqcount_begin(&rec->seq);
	khx_exits_probe_key(rec, KHX_EXITS_TABLE_MMIO,
			    khx_exits_detail_mmio_key(gpa, write));
	raw_write_seqcount_end(&rec->seq);
}

/*
 * A read that userspace serves is traced twice: when it is found that nobody in
 * the kernel serves it, and when userspace has.
 */
static void khx_exits_probe_mmio(void *data, int type, int len, u64 gpa,
				 void *val)
{
	struct khx_exits_vcpu *rec = khx_exits_probe_running();
	bool completed;

	if (!rec)
		return;
	completed = type == KHX_EXITS_MMIO_READ && rec->mmio_read;
	rec->mmio_read = type == KHX_EXITS_MMIO_READ_UNSATISFIED;
	if (!completed)
		khx_exits_probe_mmio_count(rec, gpa,
					   type == KHX_EXITS_MMIO_WRITE);
}

/* VMX: a write that an ioeventfd takes without decoding the instruction. */
static void khx_exits_probe_fast_mmio(void *data, u64 gpa)
{
	struct khx_exits_vcpu *rec = khx_exits_probe_running();

	if (rec)
		khx_exits_probe_mmio_count(rec, gpa, true);
}

static void khx_exits_probe_inject(void *data, unsigned int vector, bool soft,
				   bool reinjected)
{
	struct khx_exits_vcpu *rec = khx_exits_probe_running();

	if (!rec)
		return;
	raw_write_seqcount_begin(&rec->seq);
	khx_exits_top_add(&rec->stats.top[KHX_EXITS_TABLE_INTERRUPT],
			  khx_exits_detail_interrupt_key(vector, reinjected));
	raw_write_seqcount_end(&rec->seq);
}

static void khx_exits_probe_wakeup(void *data, u64 ns, bool waited, bool valid)
{
	struct khx_exits_vcpu *rec = khx_exits_probe_running();
	struct khx_exits_halt *halt;

	if (!rec)
		return;
	halt = &rec->stats.halt;
	raw_write_seqcount_begin(&rec->seq);
	if (waited) {
		halt->blocked++;
		halt->blocked_ns += ns;
	} else {
		halt->polled++;
		halt->polled_ns += ns;
	}
	if (!valid)
		halt->invalid++;
	raw_write_seqcount_end(&rec->seq);
}

struct khx_exits_probe khx_exits_probes[] = {
	[KHX_EXITS_PROBE_ENTRY]	= { "kvm_entry", khx_exits_probe_entry, 1, 2, true },
	[KHX_EXITS_PROBE_EXIT]	= { "kvm_exit", khx_exits_probe_exit, 2, 2, true },
	{ "kvm_mmio",		khx_exits_probe_mmio,		4, 4 },
	{ "kvm_fast_mmio",	khx_exits_probe_fast_mmio,	1, 1 },
	{ "kvm_inj_virq",	khx_exits_probe_inject,		3, 3 },
	{ "kvm_vcpu_wakeup",	khx_exits_probe_wakeup,		3, 3 },
};

const unsigned int khx_exits_nr_probes = ARRAY_SIZE(khx_exits_probes);
