// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Records of vCPUs
 *
 * A vCPU that exits gets a record (struct khx_exits_vcpu) with all its figures
 * in one block of fixed size. It is the only thing the fast path allocates, once
 * in the life of a vCPU, charged to the memory cgroup of its process.
 *
 * **Who finds it.** Each CPU remembers the record of the vCPU that exited there
 * last. As long as that is still the right one (one comparison), no hash is
 * walked; otherwise the record is looked for by the vCPU. Probes that are not
 * told which vCPU an event is about (MMIO, injected interrupts, halts) ask KVM
 * for the one it has loaded on this CPU. Pointers to KVM's objects are keys:
 * they are compared, never followed, once the first exit has been seen.
 *
 * **Who writes.** Only the thread that runs the vCPU, in a probe, with preemption
 * off: KVM lets one thread at a time do that, and all probes go by the vCPU it
 * has loaded, never by what the thread ran before. So there is no lock and no
 * atomic, even if threads pass their vCPUs around as fast as they can. A
 * sequence counter tells readers that a copy holds together. Others ask the
 * thread to do something by setting a bit in @attention; while RESET is set,
 * readers take the figures for zero, so a vCPU that never exits again is reset
 * all the same.
 *
 * **How it ends.** A kprobe on kvm_arch_vcpu_destroy() calls
 * khx_exits_vcpu_gone(): nobody can run the vCPU any more, so no probe will ask
 * for the record. It is
 *
 * 1. taken out of the hash and out of every CPU's memory, under
 *    khx_exits_vcpu_lock, so that no probe can find it any more;
 * 2. put on the list of the dead for the worker (vm.c), which removes its
 *    directory; debugfs waits for readers that are inside;
 * 3. freed by the worker after an RCU grace period, which waits for probes that
 *    compared it with their own vCPU just before step 1.
 *
 * A record may die before the worker ever saw it; then there is nothing to
 * remove. Module unload takes all records the same way, after the probes are
 * gone. Should the kprobe have been switched off (debugfs ``kprobes/enabled``,
 * sysctl ``kernel.ftrace_enabled``), a dead vCPU's record stays until the module
 * goes; it is never taken for that of another process. What tells processes
 * apart is the mm, as for KVM itself: several may share one, and run the same
 * vCPU in turn.
 */
#include <linux/atomic.h>
#include <linux/hashtable.h>
#include <linux/jiffies.h>
#include <linux/kvm_host.h>
#include <linux/percpu.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

#include "filter.h"
#include "source.h"
#include "vcpu.h"
#include "vm.h"

#define KHX_EXITS_HASH_BITS	10
#define KHX_EXITS_COPY_TRIES	64
#define KHX_EXITS_SNAPSHOT_TRIES 4

/* Memory a guest's owner can make us use, per vCPU; one kmalloc() of 16 KiB. */
static_assert(sizeof(struct khx_exits_vcpu) <= SZ_16K);

DEFINE_PER_CPU(struct khx_exits_vcpu *, khx_exits_vcpu_last);

/*
 * Guards the hash and the two lists. Taken when a vCPU appears or goes; raw
 * because VMX calls the exit probe with interrupts off.
 */
static DEFINE_RAW_SPINLOCK(khx_exits_vcpu_lock);
static DEFINE_HASHTABLE(khx_exits_by_vcpu, KHX_EXITS_HASH_BITS);
static LIST_HEAD(khx_exits_vcpu_fresh);
static LIST_HEAD(khx_exits_vcpu_dead);
static u64 khx_exits_vcpu_stamp;

/* Exits that could not be counted because there was no memory for a record. */
static atomic64_t khx_exits_vcpu_missed_exits;

/*
 * Memory pressure must not turn every exit into a failing allocation: the vCPU
 * that got no record on this CPU is refused until the next tick. Others are not:
 * theirs may be another memory cgroup.
 */
struct khx_exits_refusal {
	const struct kvm_vcpu *vcpu;
	unsigned long tick;
};

static DEFINE_PER_CPU(struct khx_exits_refusal, khx_exits_vcpu_refusal);

u64 khx_exits_vcpu_missed(void)
{
	return atomic64_read(&khx_exits_vcpu_missed_exits);
}

struct khx_exits_vcpu *khx_exits_vcpu_find(const struct kvm_vcpu *vcpu)
{
	struct khx_exits_vcpu *rec;

	hash_for_each_possible_rcu(khx_exits_by_vcpu, rec, by_vcpu,
				   (unsigned long)vcpu)
		if (rec->vcpu == vcpu)
			return rec;
	return NULL;
}

/* The record of the vCPU that the current thread is running. */
struct khx_exits_vcpu *khx_exits_vcpu_find_running(void)
{
	const struct kvm_vcpu *vcpu = khx_exits_source_running();
	struct khx_exits_vcpu *rec = this_cpu_read(khx_exits_vcpu_last);

	if (likely(rec && rec->vcpu == vcpu))
		return rec;
	return vcpu ? khx_exits_vcpu_find(vcpu) : NULL;
}

static struct khx_exits_vcpu *
khx_exits_vcpu_alloc(const struct kvm_vcpu *vcpu)
{
	struct khx_exits_refusal *last = this_cpu_ptr(&khx_exits_vcpu_refusal);
	struct khx_exits_vcpu *rec = NULL;

	if (last->vcpu == vcpu && !time_after(jiffies, last->tick))
		return NULL;
	if (khx_exits_source_check())
		rec = kmalloc(sizeof(*rec),
			      GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT);
	if (!rec)
		*last = (struct khx_exits_refusal) { vcpu, jiffies };
	return rec;
}

static void khx_exits_vcpu_init(struct khx_exits_vcpu *rec,
				const struct kvm_vcpu *vcpu, u32 isa)
{
	const struct dentry *dir = vcpu->kvm->debugfs_dentry;

	memset(rec, 0, offsetof(struct khx_exits_vcpu, stats));
	khx_exits_stats_init(&rec->stats);
	seqcount_init(&rec->seq);
	rec->vcpu = vcpu;
	rec->task = current;
	rec->kvm = vcpu->kvm;
	rec->mm = vcpu->kvm->mm;
	rec->isa = isa;
	rec->id = vcpu->vcpu_id;
	rec->pid = task_tgid_nr(current);
	rec->state = KHX_EXITS_VCPU_NEW;
	/* KVM has no directory for the second VM of the same name. */
	if (!IS_ERR_OR_NULL(dir))
		snprintf(rec->name, sizeof(rec->name), "%pd", dir);
}

static struct khx_exits_vcpu *khx_exits_vcpu_create(struct kvm_vcpu *vcpu,
						    u32 isa)
{
	struct khx_exits_vcpu *rec = khx_exits_vcpu_alloc(vcpu);
	unsigned long flags;

	if (!rec) {
		atomic64_inc(&khx_exits_vcpu_missed_exits);
		return NULL;
	}
	khx_exits_vcpu_init(rec, vcpu, isa);
	khx_exits_vcpu_mute(rec, khx_exits_filter_mutes(rec->pid));

	raw_spin_lock_irqsave(&khx_exits_vcpu_lock, flags);
	hash_add_rcu(khx_exits_by_vcpu, &rec->by_vcpu, (unsigned long)vcpu);
	rec->stamp = ++khx_exits_vcpu_stamp;
	list_add_tail(&rec->node, &khx_exits_vcpu_fresh);
	raw_spin_unlock_irqrestore(&khx_exits_vcpu_lock, flags);
	khx_exits_vm_kick();
	return rec;
}

/* Steps 1 and 2 of the end of a record. */
static void khx_exits_vcpu_retire(struct khx_exits_vcpu *rec)
{
	struct khx_exits_vcpu **last;
	int cpu;

	lockdep_assert_held(&khx_exits_vcpu_lock);
	hash_del_rcu(&rec->by_vcpu);
	/* Only its own thread puts it there. Others' lines are theirs: look first. */
	for_each_possible_cpu(cpu) {
		last = per_cpu_ptr(&khx_exits_vcpu_last, cpu);
		if (READ_ONCE(*last) == rec)
			cmpxchg(last, rec, NULL);
	}
	if (rec->state == KHX_EXITS_VCPU_NEW)
		list_del(&rec->node);
	rec->state = KHX_EXITS_VCPU_DEAD;
	rec->stamp = ++khx_exits_vcpu_stamp;
	list_add_tail(&rec->node, &khx_exits_vcpu_dead);
}

/* Whether a record is of this vCPU, not of one that had its address before. */
static bool khx_exits_vcpu_is(const struct khx_exits_vcpu *rec,
			      const struct kvm_vcpu *vcpu)
{
	return rec->kvm == vcpu->kvm && rec->id == vcpu->vcpu_id &&
	       rec->mm == vcpu->kvm->mm;
}

/**
 * khx_exits_vcpu_enter() - make a vCPU this CPU's last one
 * @vcpu: a vCPU that has just exited in the current thread
 * @isa: enum khx_exits_isa
 *
 * The slow path of the exit probe: the vCPU is new, came from another CPU, took
 * turns with another one on this CPU, or changed its thread.
 *
 * Return: its record, or NULL if there is no memory for one.
 */
struct khx_exits_vcpu *khx_exits_vcpu_enter(struct kvm_vcpu *vcpu, u32 isa)
{
	struct khx_exits_vcpu *rec = khx_exits_vcpu_find(vcpu);

	if (rec && rec->task != current) {
		if (khx_exits_vcpu_is(rec, vcpu)) {
			rec->task = current;
		} else {
			khx_exits_vcpu_gone(vcpu);
			rec = NULL;
		}
	}
	if (!rec)
		rec = khx_exits_vcpu_create(vcpu, isa);
	if (rec)
		this_cpu_write(khx_exits_vcpu_last, rec);
	return rec;
}

static void khx_exits_vcpu_clear(struct khx_exits_vcpu *rec)
{
	raw_write_seqcount_begin(&rec->seq);
	khx_exits_stats_init(&rec->stats);
	rec->resets++;
	clear_bit(KHX_EXITS_ATTENTION_RESET, &rec->attention);
	raw_write_seqcount_end(&rec->seq);
	/* An exit that still waits for its entry was before the reset. */
	if (rec->exit_clock)
		rec->unseen = true;
	rec->exit_clock = 0;
	rec->row = NULL;
}

/**
 * khx_exits_vcpu_attend() - do what others have asked for
 * @rec: record of the vCPU that the current thread is running
 *
 * Return: false if nothing of this vCPU is to be counted.
 */
bool khx_exits_vcpu_attend(struct khx_exits_vcpu *rec)
{
	if (test_bit(KHX_EXITS_ATTENTION_RESET, &rec->attention))
		khx_exits_vcpu_clear(rec);
	return !test_bit(KHX_EXITS_ATTENTION_MUTE, &rec->attention);
}

/**
 * khx_exits_vcpu_gone() - the vCPU is being destroyed
 * @vcpu: it; may be one that never ran
 */
void khx_exits_vcpu_gone(const struct kvm_vcpu *vcpu)
{
	struct khx_exits_vcpu *rec;
	unsigned long flags;

	raw_spin_lock_irqsave(&khx_exits_vcpu_lock, flags);
	rec = khx_exits_vcpu_find(vcpu);
	if (rec)
		khx_exits_vcpu_retire(rec);
	raw_spin_unlock_irqrestore(&khx_exits_vcpu_lock, flags);
	if (rec)
		khx_exits_vm_kick();
}

/*
 * For when the probes are gone and no vCPU will say goodbye any more. The lock
 * is dropped between buckets: there may be thousands of records, and interrupts
 * are off.
 */
void khx_exits_vcpu_retire_all(void)
{
	struct khx_exits_vcpu *rec;
	struct hlist_node *next;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < HASH_SIZE(khx_exits_by_vcpu); i++) {
		raw_spin_lock_irqsave(&khx_exits_vcpu_lock, flags);
		hlist_for_each_entry_safe(rec, next, &khx_exits_by_vcpu[i],
					  by_vcpu)
			khx_exits_vcpu_retire(rec);
		raw_spin_unlock_irqrestore(&khx_exits_vcpu_lock, flags);
	}
}

/*
 * After the probes were taken away and before they come back: an exit seen
 * before has long been followed by an entry that nobody saw.
 */
void khx_exits_vcpu_forget_exits(void)
{
	struct khx_exits_vcpu *rec;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < HASH_SIZE(khx_exits_by_vcpu); i++) {
		raw_spin_lock_irqsave(&khx_exits_vcpu_lock, flags);
		hlist_for_each_entry(rec, &khx_exits_by_vcpu[i], by_vcpu) {
			rec->exit_clock = 0;
			rec->row = NULL;
			rec->mmio_read = false;
			rec->unseen = true;
		}
		raw_spin_unlock_irqrestore(&khx_exits_vcpu_lock, flags);
	}
}

/**
 * khx_exits_vcpu_take_dead() - take the records whose vCPUs are gone
 * @dead: gets them; those with a @vm have been shown
 */
void khx_exits_vcpu_take_dead(struct list_head *dead)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&khx_exits_vcpu_lock, flags);
	list_splice_tail_init(&khx_exits_vcpu_dead, dead);
	raw_spin_unlock_irqrestore(&khx_exits_vcpu_lock, flags);
}

/**
 * khx_exits_vcpu_take_new() - take a record to be shown
 *
 * One at a time, because it may die as soon as the lock is dropped, and is put
 * on the list of the dead then. Only the caller frees those, so it stays.
 *
 * Records that died before this one came have to be taken first, as its VM may
 * have the address and the name of theirs. Those that died later need not be,
 * so guests that end all the time keep nobody else's from being shown.
 *
 * Return: a record, on no list; NULL if there is none, or none that may be shown
 * yet.
 */
struct khx_exits_vcpu *khx_exits_vcpu_take_new(void)
{
	struct khx_exits_vcpu *rec, *dead;
	unsigned long flags;

	raw_spin_lock_irqsave(&khx_exits_vcpu_lock, flags);
	rec = list_first_entry_or_null(&khx_exits_vcpu_fresh,
				       struct khx_exits_vcpu, node);
	dead = list_first_entry_or_null(&khx_exits_vcpu_dead,
					struct khx_exits_vcpu, node);
	if (rec && dead && dead->stamp < rec->stamp)
		rec = NULL;
	if (rec) {
		list_del_init(&rec->node);
		rec->state = KHX_EXITS_VCPU_SHOWN;
	}
	raw_spin_unlock_irqrestore(&khx_exits_vcpu_lock, flags);
	return rec;
}

void khx_exits_vcpu_reset(struct khx_exits_vcpu *rec)
{
	set_bit(KHX_EXITS_ATTENTION_RESET, &rec->attention);
}

void khx_exits_vcpu_mute(struct khx_exits_vcpu *rec, bool mute)
{
	if (mute)
		set_bit(KHX_EXITS_ATTENTION_MUTE, &rec->attention);
	else
		clear_bit(KHX_EXITS_ATTENTION_MUTE, &rec->attention);
}

/*
 * Copies a part of the figures that holds together. The writer may win a few
 * times in a row, but hardly all of them: a part is copied in a fraction of the
 * time between two exits. If it does, the last copy stands; it may be off by
 * the exit that was being counted.
 */
static void khx_exits_vcpu_copy(struct khx_exits_vcpu *rec, void *to,
				const void *from, size_t size)
{
	unsigned int seq, tries = 0;

	do {
		seq = raw_read_seqcount_begin(&rec->seq);
		memcpy(to, from, size);
	} while (read_seqcount_retry(&rec->seq, seq) &&
		 ++tries < KHX_EXITS_COPY_TRIES);
}

static bool khx_exits_vcpu_copy_all(struct khx_exits_vcpu *rec,
				    struct khx_exits_stats *to)
{
	const struct khx_exits_stats *from = &rec->stats;
	u32 resets = READ_ONCE(rec->resets);
	u32 i;

	khx_exits_vcpu_copy(rec, to, from,
			    offsetof(struct khx_exits_stats, slot));
	for (i = KHX_EXITS_SLOT_OTHER; i < to->nr_slots; i++)
		khx_exits_vcpu_copy(rec, &to->slot[i], &from->slot[i],
				    sizeof(to->slot[i]));
	khx_exits_vcpu_copy(rec, &to->reentries, &from->reentries,
			    offsetof(struct khx_exits_stats, top) -
			    offsetof(struct khx_exits_stats, reentries));
	for (i = 0; i < KHX_EXITS_TABLES; i++)
		khx_exits_vcpu_copy(rec, &to->top[i], &from->top[i],
				    sizeof(to->top[i]));
	return READ_ONCE(rec->resets) == resets;
}

/**
 * khx_exits_vcpu_snapshot() - copy the figures while the vCPU goes on
 * @rec: a record that cannot be freed meanwhile
 * @to: gets the figures
 *
 * Each reason and each table holds together. They may be a few exits apart from
 * each other, but not on different sides of a reset.
 */
void khx_exits_vcpu_snapshot(struct khx_exits_vcpu *rec,
			     struct khx_exits_stats *to)
{
	int tries = 0;

	khx_exits_stats_init(to);
	while (!test_bit(KHX_EXITS_ATTENTION_RESET, &rec->attention)) {
		if (khx_exits_vcpu_copy_all(rec, to))
			return;
		khx_exits_stats_init(to);
		if (++tries == KHX_EXITS_SNAPSHOT_TRIES)
			return;
	}
}
