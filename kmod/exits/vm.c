// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: VMs and the worker
 *
 * Probes make and retire records where nothing may sleep. Everything readers
 * see is arranged afterwards by one work item: it groups the records by VM,
 * makes and removes directories, and frees what is dead.
 *
 * khx_exits_vm_lock guards the list of VMs and each VM's list of records.
 * Readers of a single vCPU's files do without it: debugfs keeps a file's object
 * alive while someone is inside. For that reason directories are removed with
 * the lock dropped: a reader may be inside, waiting for it.
 *
 * A VM appears with the first record and goes with the last one: KVM destroys
 * the vCPUs of a VM together, when nothing refers to the VM any more. Dead
 * records are served first: a new VM may have the address, or the name, of one
 * whose last record has just died.
 */
#include <linux/debugfs.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "debugfs.h"
#include "filter.h"
#include "netlink.h"
#include "rows.h"
#include "vm.h"

/* Guards the list of VMs and what is in it, see above. */
DEFINE_MUTEX(khx_exits_vm_lock);
LIST_HEAD(khx_exits_vms);
u32 khx_exits_vm_changes = 1;

/* Whose end was missed may have left its address to another one. */
static struct khx_exits_vm *khx_exits_vm_find(const struct khx_exits_vcpu *rec)
{
	struct khx_exits_vm *vm;

	list_for_each_entry(vm, &khx_exits_vms, node)
		if (vm->kvm == rec->kvm && vm->mm == rec->mm)
			return vm;
	return NULL;
}

/* A VM that KVM has no directory for is told apart by a number of ours. */
static void khx_exits_vm_set_name(struct khx_exits_vm *vm,
				  const struct khx_exits_vcpu *rec)
{
	static unsigned int nr;

	if (rec->name[0])
		strscpy(vm->name, rec->name, sizeof(vm->name));
	else
		snprintf(vm->name, sizeof(vm->name), "%d-x%u", rec->pid, nr++);
}

static struct khx_exits_vm *khx_exits_vm_create(const struct khx_exits_vcpu *rec)
{
	struct khx_exits_vm *vm = kzalloc(sizeof(*vm), GFP_KERNEL);

	lockdep_assert_held(&khx_exits_vm_lock);
	if (!vm)
		return NULL;
	INIT_LIST_HEAD(&vm->vcpus);
	vm->kvm = rec->kvm;
	vm->mm = rec->mm;
	vm->pid = rec->pid;
	khx_exits_vm_set_name(vm, rec);
	khx_exits_debugfs_add_vm(vm);
	list_add_tail(&vm->node, &khx_exits_vms);
	khx_exits_netlink_vm(vm, KHX_EXITS_CMD_VM_NEW);
	return vm;
}

/* Without memory for its VM a record goes on counting, but nobody sees it. */
static void khx_exits_vm_add(struct khx_exits_vcpu *rec)
{
	struct khx_exits_vm *vm = khx_exits_vm_find(rec);

	lockdep_assert_held(&khx_exits_vm_lock);
	if (!vm)
		vm = khx_exits_vm_create(rec);
	if (!vm)
		return;
	rec->vm = vm;
	list_add_tail(&rec->in_vm, &vm->vcpus);
	vm->nr_vcpus++;
	khx_exits_vm_changes++;
	khx_exits_vcpu_mute(rec, khx_exits_filter_mutes(rec->pid));
	khx_exits_debugfs_add_vcpu(rec);
}

/* Puts the VM on @gone if this was its last record. */
static void khx_exits_vm_remove(struct khx_exits_vcpu *rec,
				struct list_head *gone)
{
	struct khx_exits_vm *vm = rec->vm;

	lockdep_assert_held(&khx_exits_vm_lock);
	if (!vm)
		return;
	list_del(&rec->in_vm);
	khx_exits_vm_changes++;
	if (--vm->nr_vcpus)
		return;
	list_move_tail(&vm->node, gone);
	khx_exits_netlink_vm(vm, KHX_EXITS_CMD_VM_DEL);
}

static void khx_exits_vm_free(struct list_head *gone, struct list_head *dead)
{
	struct khx_exits_vcpu *rec, *next_rec;
	struct khx_exits_vm *vm, *next_vm;

	/* A directory that is gone with its VM's is not there to be removed. */
	list_for_each_entry(rec, dead, node)
		if (rec->vm && rec->vm->nr_vcpus)
			debugfs_remove_recursive(rec->dir);
	list_for_each_entry(vm, gone, node)
		debugfs_remove_recursive(vm->dir);

	synchronize_rcu();
	list_for_each_entry_safe(rec, next_rec, dead, node)
		kfree(rec);
	list_for_each_entry_safe(vm, next_vm, gone, node)
		kfree(vm);
}

static void khx_exits_vm_bury(void)
{
	struct khx_exits_vcpu *rec;
	LIST_HEAD(dead);
	LIST_HEAD(gone);

	khx_exits_vcpu_take_dead(&dead);
	if (list_empty(&dead))
		return;
	mutex_lock(&khx_exits_vm_lock);
	list_for_each_entry(rec, &dead, node)
		khx_exits_vm_remove(rec, &gone);
	mutex_unlock(&khx_exits_vm_lock);
	khx_exits_vm_free(&gone, &dead);
}

static void khx_exits_vm_welcome(void)
{
	struct khx_exits_vcpu *rec;

	mutex_lock(&khx_exits_vm_lock);
	while ((rec = khx_exits_vcpu_take_new()))
		khx_exits_vm_add(rec);
	mutex_unlock(&khx_exits_vm_lock);
}

/* Whoever dies meanwhile has the worker run once more. */
static void khx_exits_vm_update(void)
{
	khx_exits_vm_bury();
	khx_exits_vm_welcome();
}

static void khx_exits_vm_work(struct work_struct *work)
{
	khx_exits_vm_update();
}

static DECLARE_WORK(khx_exits_vm_worker, khx_exits_vm_work);

/* There is something to collect; callable where nothing may sleep. */
void khx_exits_vm_kick(void)
{
	queue_work(system_unbound_wq, &khx_exits_vm_worker);
}

/* After the probes are gone, and all records retired. */
void khx_exits_vm_exit(void)
{
	cancel_work_sync(&khx_exits_vm_worker);
	khx_exits_vm_update();
}

/**
 * khx_exits_vm_sum() - figures of a VM
 * @vm: the VM
 * @sum: gets the sum over its vCPUs; its top-N tables are not filled
 * @isa: gets the instruction set of its reasons
 *
 * Return: 0 or -ENOMEM.
 */
int khx_exits_vm_sum(struct khx_exits_vm *vm, struct khx_exits_stats *sum,
		     u32 *isa)
{
	struct khx_exits_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	struct khx_exits_vcpu *rec;

	if (!stats)
		return -ENOMEM;
	khx_exits_stats_init(sum);
	mutex_lock(&khx_exits_vm_lock);
	list_for_each_entry(rec, &vm->vcpus, in_vm) {
		khx_exits_vcpu_snapshot(rec, stats);
		khx_exits_stats_add(sum, stats, rec->isa);
		*isa = rec->isa;
	}
	mutex_unlock(&khx_exits_vm_lock);
	kfree(stats);
	return 0;
}

/**
 * khx_exits_vm_rows() - a top-N table of a VM
 * @vm: the VM
 * @table: which table
 * @rows: gets the rows of all its vCPUs, added up by key
 *
 * Return: 0 or -ENOMEM.
 */
int khx_exits_vm_rows(struct khx_exits_vm *vm, enum khx_exits_table table,
		      struct khx_exits_rows *rows)
{
	struct khx_exits_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	struct khx_exits_vcpu *rec;
	int ret = -ENOMEM;

	if (!stats)
		return ret;
	mutex_lock(&khx_exits_vm_lock);
	ret = khx_exits_rows_alloc(rows, vm->nr_vcpus);
	if (ret)
		goto out;
	list_for_each_entry(rec, &vm->vcpus, in_vm) {
		khx_exits_vcpu_snapshot(rec, stats);
		khx_exits_rows_add(rows, &stats->top[table]);
	}
out:
	mutex_unlock(&khx_exits_vm_lock);
	kfree(stats);
	return ret;
}

void khx_exits_vm_reset(struct khx_exits_vm *vm)
{
	struct khx_exits_vcpu *rec;

	lockdep_assert_held(&khx_exits_vm_lock);
	list_for_each_entry(rec, &vm->vcpus, in_vm)
		khx_exits_vcpu_reset(rec);
}

/* Records that are still to be added are reset, too: the worker comes first. */
void khx_exits_vm_reset_all(void)
{
	struct khx_exits_vm *vm;

	flush_work(&khx_exits_vm_worker);
	mutex_lock(&khx_exits_vm_lock);
	list_for_each_entry(vm, &khx_exits_vms, node)
		khx_exits_vm_reset(vm);
	mutex_unlock(&khx_exits_vm_lock);
}

/* After the filter changed; records still to be added look for themselves. */
void khx_exits_vm_apply_filter(void)
{
	struct khx_exits_vcpu *rec;
	struct khx_exits_vm *vm;

	mutex_lock(&khx_exits_vm_lock);
	list_for_each_entry(vm, &khx_exits_vms, node)
		list_for_each_entry(rec, &vm->vcpus, in_vm)
			khx_exits_vcpu_mute(rec, khx_exits_filter_mutes(rec->pid));
	mutex_unlock(&khx_exits_vm_lock);
}
