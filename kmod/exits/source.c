// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Where the exit reason comes from
 *
 * KVM's kvm_exit tracepoint says that a vCPU exited, not why: its own trace
 * code asks ``kvm_x86_ops.get_exit_info()``. So does this module.
 *
 * That table is not exported, but kvm.ko's own symbol table, which the
 * tracepoint notifier hands us with the module, has its address; the layout is
 * in the kernel's headers. The function pointer is read from the table on each
 * exit, because kvm_amd or kvm_intel can be reloaded while kvm.ko stays: an
 * address kept from before would be that of freed memory.
 *
 * With KVM built into the kernel there is no such symbol table, but if its vendor's
 * part is built in, too, neither is there anything that could be reloaded: a
 * kprobe that is registered and removed at once tells the address of the vendor's
 * function. KVM built in with kvm_amd or kvm_intel as a module is refused.
 *
 * The same symbol table has the address of kvm_get_running_vcpu(), for events
 * that do not say which vCPU they are about. It is exported, but using it as
 * such would make the module depend on KVM.
 *
 * The pointer to get_exit_info() is called only if it is the entry of a function
 * named ``*_get_exit_info``; anything else means that the kernel is laid out in a
 * way this module does not know, and then it counts nothing.
 */
#include <linux/elf.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/printk.h>
#include <linux/rcupdate.h>
#include <linux/string.h>

#include "source.h"

#define KHX_EXITS_SYMBOL_MAX	128
#define KHX_EXITS_ENDBR_SIZE	4

khx_exits_get_info_t *khx_exits_source __read_mostly;
struct kvm_vcpu *(*khx_exits_source_running)(void) __read_mostly;

/* For KVM built in. */
static khx_exits_get_info_t khx_exits_source_builtin;

static void *khx_exits_source_symbol(struct module *mod, const char *name)
{
	const struct mod_kallsyms *syms;
	void *addr = NULL;
	unsigned int i;

	rcu_read_lock_sched();
	syms = rcu_dereference_sched(mod->kallsyms);
	for (i = 0; syms && i < syms->num_symtab; i++) {
		if (syms->symtab[i].st_shndx == SHN_UNDEF ||
		    strcmp(syms->strtab + syms->symtab[i].st_name, name))
			continue;
		addr = (void *)syms->symtab[i].st_value;
		break;
	}
	rcu_read_unlock_sched();
	return addr;
}

/* Whether an address is @offset bytes into a function whose name ends so. */
static bool khx_exits_source_is(void *addr, unsigned int offset)
{
	char name[KHX_EXITS_SYMBOL_MAX], end[32];

	snprintf(name, sizeof(name), "%pS", addr);
	snprintf(end, sizeof(end), "_get_exit_info+0x%x/", offset);
	return strstr(name, end);
}

/* A kprobe sits behind the ENDBR of a function that begins with one. */
static void *khx_exits_source_function(const char *name)
{
	struct kprobe kp = { .symbol_name = name };
	void *addr;

	if (register_kprobe(&kp))
		return NULL;
	addr = kp.addr;
	unregister_kprobe(&kp);
	if (khx_exits_source_is(addr, KHX_EXITS_ENDBR_SIZE))
		addr -= KHX_EXITS_ENDBR_SIZE;
	return addr;
}

static khx_exits_get_info_t *khx_exits_source_find_builtin(void)
{
	static const char * const names[] = {
		"vmx_get_exit_info", "svm_get_exit_info",
	};
	int i = boot_cpu_has(X86_FEATURE_SVM);

	if (i ? IS_MODULE(CONFIG_KVM_AMD) : IS_MODULE(CONFIG_KVM_INTEL)) {
		pr_err("KVM is built in, but its vendor's part is a module\n");
		return NULL;
	}
	khx_exits_source_builtin = khx_exits_source_function(names[i]);
	return khx_exits_source_builtin ? &khx_exits_source_builtin : NULL;
}

/**
 * khx_exits_source_init() - find where the exit reason comes from
 * @kvm: kvm.ko, or NULL if KVM is built in
 *
 * Return: 0, or -ENOENT if this kernel hides it.
 */
int khx_exits_source_init(struct module *kvm)
{
	struct kvm_x86_ops *ops;

	if (IS_BUILTIN(CONFIG_KVM)) {
		khx_exits_source = khx_exits_source_find_builtin();
		khx_exits_source_running = kvm_get_running_vcpu;
	} else {
		ops = khx_exits_source_symbol(kvm, "kvm_x86_ops");
		khx_exits_source = ops ? &ops->get_exit_info : NULL;
		khx_exits_source_running =
			khx_exits_source_symbol(kvm, "kvm_get_running_vcpu");
	}
	if (khx_exits_source && khx_exits_source_running)
		return 0;
	pr_err("KVM's exit information not found: nothing will be counted\n");
	return -ENOENT;
}

/*
 * For the first exit of a vCPU: the pointer may have changed since the last
 * one, but not without all vCPUs going first.
 */
bool khx_exits_source_check(void)
{
	void *fn = READ_ONCE(*khx_exits_source);

	if (khx_exits_source_is(fn, 0))
		return true;
	pr_err_once("unknown layout of kvm_x86_ops (%pS): nothing counted\n",
		    fn);
	return false;
}
