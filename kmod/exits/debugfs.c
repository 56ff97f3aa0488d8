// SPDX-License-Identifier: GPL-2.0
/*
 * A file of a vCPU has its record in i_private, a file of a VM has the VM.
 * debugfs keeps both alive while someone reads, because the worker removes the
 * file, which waits for readers, before it frees the object.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "attach.h"
#include "debugfs.h"
#include "show.h"
#include "vcpu.h"
#include "vm.h"

#define KHX_EXITS_DEBUGFS_TOP	"khx"	/* no other module of khx has files there */
#define KHX_EXITS_DEBUGFS_DIR	"exits"

static struct dentry *khx_exits_debugfs_top;
static struct dentry *khx_exits_debugfs_dir;

typedef void (*khx_exits_show_t)(struct seq_file *m,
				 struct khx_exits_stats *stats, u32 isa);

static int khx_exits_debugfs_vm_stats(struct seq_file *m,
				      khx_exits_show_t show)
{
	struct khx_exits_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	u32 isa = 0;
	int ret;

	if (!stats)
		return -ENOMEM;
	ret = khx_exits_vm_sum(m->private, stats, &isa);
	if (!ret)
		show(m, stats, isa);
	kfree(stats);
	return ret;
}

static int khx_exits_debugfs_vcpu_stats(struct seq_file *m,
					khx_exits_show_t show)
{
	struct khx_exits_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	struct khx_exits_vcpu *rec = m->private;

	if (!stats)
		return -ENOMEM;
	khx_exits_vcpu_snapshot(rec, stats);
	show(m, stats, rec->isa);
	kfree(stats);
	return 0;
}

static int khx_exits_debugfs_vm_rows(struct seq_file *m,
				     enum khx_exits_table table)
{
	struct khx_exits_rows rows;
	int ret = khx_exits_vm_rows(m->private, table, &rows);

	if (ret)
		return ret;
	khx_exits_rows_finish(&rows);
	khx_exits_show_rows(m, &rows, table);
	khx_exits_rows_free(&rows);
	return 0;
}

static int khx_exits_debugfs_vcpu_rows(struct seq_file *m,
				       enum khx_exits_table table)
{
	struct khx_exits_stats *stats = kmalloc(sizeof(*stats), GFP_KERNEL);
	struct khx_exits_rows rows;
	int ret = -ENOMEM;

	if (!stats)
		return ret;
	ret = khx_exits_rows_alloc(&rows, 1);
	if (ret)
		goto out;
	khx_exits_vcpu_snapshot(m->private, stats);
	khx_exits_rows_add(&rows, &stats->top[table]);
	khx_exits_rows_finish(&rows);
	khx_exits_show_rows(m, &rows, table);
	khx_exits_rows_free(&rows);
out:
	kfree(stats);
	return ret;
}

/* Defines the file operations khx_exits_vcpu_<name>_fops and ..._vm_... */
#define KHX_EXITS_FILE(name, how, what)					\
static int khx_exits_vm_##name##_show(struct seq_file *m, void *v)	\
{									\
	return khx_exits_debugfs_vm##how(m, what);			\
}									\
DEFINE_SHOW_ATTRIBUTE(khx_exits_vm_##name);				\
static int khx_exits_vcpu_##name##_show(struct seq_file *m, void *v)	\
{									\
	return khx_exits_debugfs_vcpu##how(m, what);			\
}									\
DEFINE_SHOW_ATTRIBUTE(khx_exits_vcpu_##name)

KHX_EXITS_FILE(exit_reason,	_stats, khx_exits_show_reason);
KHX_EXITS_FILE(histogram,	_stats, khx_exits_show_histogram);
KHX_EXITS_FILE(ept_violation,	_stats, khx_exits_show_fault);
KHX_EXITS_FILE(halt,		_stats, khx_exits_show_halt);
KHX_EXITS_FILE(msr,		_rows, KHX_EXITS_TABLE_MSR);
KHX_EXITS_FILE(ioport,		_rows, KHX_EXITS_TABLE_IOPORT);
KHX_EXITS_FILE(mmio,		_rows, KHX_EXITS_TABLE_MMIO);
KHX_EXITS_FILE(hypercall,	_rows, KHX_EXITS_TABLE_HYPERCALL);
KHX_EXITS_FILE(register,	_rows, KHX_EXITS_TABLE_REGISTER);
KHX_EXITS_FILE(interrupt,	_rows, KHX_EXITS_TABLE_INTERRUPT);

struct khx_exits_file {
	const char *name;
	const struct file_operations *vm;
	const struct file_operations *vcpu;
};

#define KHX_EXITS_FILE_ENTRY(name) \
	{ #name, &khx_exits_vm_##name##_fops, &khx_exits_vcpu_##name##_fops }

static const struct khx_exits_file khx_exits_files[] = {
	KHX_EXITS_FILE_ENTRY(exit_reason),
	KHX_EXITS_FILE_ENTRY(histogram),
	KHX_EXITS_FILE_ENTRY(ept_violation),
	KHX_EXITS_FILE_ENTRY(msr),
	KHX_EXITS_FILE_ENTRY(ioport),
	KHX_EXITS_FILE_ENTRY(mmio),
	KHX_EXITS_FILE_ENTRY(hypercall),
	KHX_EXITS_FILE_ENTRY(register),
	KHX_EXITS_FILE_ENTRY(interrupt),
	KHX_EXITS_FILE_ENTRY(halt),
};

void khx_exits_debugfs_add_vm(struct khx_exits_vm *vm)
{
	unsigned int i;

	vm->dir = debugfs_create_dir(vm->name, khx_exits_debugfs_dir);
	for (i = 0; i < ARRAY_SIZE(khx_exits_files); i++)
		debugfs_create_file(khx_exits_files[i].name, 0400, vm->dir, vm,
				    khx_exits_files[i].vm);
}

void khx_exits_debugfs_add_vcpu(struct khx_exits_vcpu *rec)
{
	char name[16];
	unsigned int i;

	snprintf(name, sizeof(name), "vcpu%u", rec->id);
	rec->dir = debugfs_create_dir(name, rec->vm->dir);
	for (i = 0; i < ARRAY_SIZE(khx_exits_files); i++)
		debugfs_create_file(khx_exits_files[i].name, 0400, rec->dir,
				    rec, khx_exits_files[i].vcpu);
}

static ssize_t khx_exits_enable_read(struct file *file, char __user *buf,
				     size_t size, loff_t *pos)
{
	const char *text = khx_exits_attach_is_enabled() ? "1\n" : "0\n";

	return simple_read_from_buffer(buf, size, pos, text, 2);
}

static ssize_t khx_exits_enable_write(struct file *file,
				      const char __user *buf, size_t size,
				      loff_t *pos)
{
	bool enable;
	int ret = kstrtobool_from_user(buf, size, &enable);

	if (!ret)
		ret = khx_exits_attach_enable(enable);
	return ret ? ret : size;
}

static const struct file_operations khx_exits_enable_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.read	= khx_exits_enable_read,
	.write	= khx_exits_enable_write,
	.llseek	= default_llseek,
};

static ssize_t khx_exits_reset_write(struct file *file, const char __user *buf,
				     size_t size, loff_t *pos)
{
	khx_exits_vm_reset_all();
	return size;
}

static const struct file_operations khx_exits_reset_fops = {
	.owner	= THIS_MODULE,
	.open	= simple_open,
	.write	= khx_exits_reset_write,
	.llseek	= noop_llseek,
};

/* State of the module itself, for those who doubt the figures. */
static int khx_exits_status_show(struct seq_file *m, void *v)
{
	seq_printf(m, "attached %d\n", khx_exits_attach_is_attached());
	seq_printf(m, "missed_exits %llu\n", khx_exits_vcpu_missed());
	seq_printf(m, "bytes_per_vcpu %zu\n", sizeof(struct khx_exits_vcpu));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(khx_exits_status);

void khx_exits_debugfs_init(void)
{
	struct dentry *dir;

	khx_exits_debugfs_top = debugfs_create_dir(KHX_EXITS_DEBUGFS_TOP, NULL);
	dir = debugfs_create_dir(KHX_EXITS_DEBUGFS_DIR, khx_exits_debugfs_top);
	debugfs_create_file("enable", 0600, dir, NULL, &khx_exits_enable_fops);
	debugfs_create_file("reset", 0200, dir, NULL, &khx_exits_reset_fops);
	debugfs_create_file("status", 0400, dir, NULL, &khx_exits_status_fops);
	khx_exits_debugfs_dir = dir;
}

void khx_exits_debugfs_exit(void)
{
	debugfs_remove_recursive(khx_exits_debugfs_top);
}
