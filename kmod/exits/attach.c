// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Attaching to KVM
 *
 * The module uses no symbol of kvm.ko, so it neither needs KVM to be there
 * first nor keeps it from being unloaded. The tracepoint module notifier tells
 * when a module with tracepoints comes or goes; registering it replays "coming"
 * for those already there, unregistering it replays "going". So loading before
 * or after KVM, KVM's reload and our own unload with guests running are one code
 * path: khx_exits_attach_coming() and khx_exits_attach_going(). Only KVM built
 * into the kernel is not announced; it is looked for once.
 *
 * The number of arguments of each tracepoint is compared with what the probe
 * was written for, where the kernel tells (each tracepoint's BPF event does). A
 * tracepoint that differs is not used; if it is kvm_exit or kvm_entry, nothing
 * is.
 *
 * ``enable`` 0 removes the probes: the tracepoints are then patched out, and
 * what remains is the kprobe that tells the end of a vCPU.
 *
 * Locking: khx_exits_attach_lock is taken inside the tracepoint code's list lock
 * (the notifier) and outside its probe lock; it is never held while the notifier
 * itself is registered or unregistered.
 */
#include <linux/kprobes.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/notifier.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/tracepoint.h>

#include "attach.h"
#include "clock.h"
#include "probe.h"
#include "source.h"
#include "vcpu.h"
#include "vm.h"

#ifndef CONFIG_BPF_EVENTS
#error "khx_exits needs CONFIG_BPF_EVENTS, which tells the layout of tracepoints"
#endif

static int khx_exits_attach_destroy(struct kprobe *kp, struct pt_regs *regs)
{
	khx_exits_vcpu_gone((void *)regs_get_kernel_argument(regs, 0));
	return 0;
}

/*
 * Guards the fields below it and those of khx_exits_probes that change.
 * @attached: KVM is there and usable; @kvm is the module, or NULL if built in
 * @enabled: what the user wants
 */
static DEFINE_MUTEX(khx_exits_attach_lock);
static bool khx_exits_attached;
static bool khx_exits_enabled = true;
static struct module *khx_exits_kvm;
static struct kprobe khx_exits_destroy_probe;

/* Arguments of a tracepoint, or -1 if the kernel does not tell. */
static int khx_exits_attach_args(const struct module *mod,
				 const struct tracepoint *tp)
{
	unsigned int i;

	for (i = 0; mod && i < mod->num_bpf_raw_events; i++)
		if (mod->bpf_raw_events[i].tp == tp)
			return mod->bpf_raw_events[i].num_args;
	return -1;
}

static bool khx_exits_attach_fits(const struct khx_exits_probe *probe)
{
	int args;

	if (!probe->tp) {
		pr_warn("this KVM has no tracepoint %s\n", probe->name);
		return false;
	}
	args = khx_exits_attach_args(khx_exits_kvm, probe->tp);
	if (args < 0 || (args >= probe->min_args && args <= probe->max_args))
		return true;
	pr_warn("tracepoint %s has %d arguments, %u to %u expected: not used\n",
		probe->name, args, probe->min_args, probe->max_args);
	return false;
}

/* Forgets tracepoints that do not fit. False if one is needed. */
static bool khx_exits_attach_check(void)
{
	unsigned int i;

	for (i = 0; i < khx_exits_nr_probes; i++) {
		struct khx_exits_probe *probe = &khx_exits_probes[i];

		if (khx_exits_attach_fits(probe))
			continue;
		probe->tp = NULL;
		if (probe->required)
			return false;
	}
	return true;
}

static void khx_exits_attach_stop(void)
{
	unsigned int i = khx_exits_nr_probes;

	lockdep_assert_held(&khx_exits_attach_lock);
	while (i--) {
		struct khx_exits_probe *probe = &khx_exits_probes[i];

		if (!probe->registered)
			continue;
		WRITE_ONCE(probe->registered, false);
		tracepoint_probe_unregister(probe->tp, probe->fn, NULL);
	}
	tracepoint_synchronize_unregister();
}

static int khx_exits_attach_start(void)
{
	unsigned int i;
	int ret;

	lockdep_assert_held(&khx_exits_attach_lock);
	khx_exits_clock_init();
	khx_exits_vcpu_forget_exits();
	for (i = 0; i < khx_exits_nr_probes; i++) {
		struct khx_exits_probe *probe = &khx_exits_probes[i];

		if (!probe->tp)
			continue;
		ret = tracepoint_probe_register(probe->tp, probe->fn, NULL);
		if (ret) {
			pr_err("tracepoint %s: %d\n", probe->name, ret);
			khx_exits_attach_stop();
			return ret;
		}
		WRITE_ONCE(probe->registered, true);
	}
	return 0;
}

/* A kprobe struct is not reusable as it is. */
static int khx_exits_attach_watch(void)
{
	int ret;

	khx_exits_destroy_probe = (struct kprobe) {
		.symbol_name	= "kvm_arch_vcpu_destroy",
		.pre_handler	= khx_exits_attach_destroy,
	};
	ret = register_kprobe(&khx_exits_destroy_probe);
	if (ret)
		pr_err("kprobe on kvm_arch_vcpu_destroy: %d\n", ret);
	return ret;
}

/* Undoes khx_exits_attach(). KVM is going or we are. */
static void khx_exits_detach(void)
{
	lockdep_assert_held(&khx_exits_attach_lock);
	khx_exits_attach_stop();
	unregister_kprobe(&khx_exits_destroy_probe);
	/* Those whose vCPU goes on, and those whose end was missed. */
	khx_exits_vcpu_retire_all();
	khx_exits_vm_kick();
	khx_exits_attached = false;
	khx_exits_source = NULL;
	khx_exits_kvm = NULL;
}

/* The probes' tracepoints are set: use them. */
static void khx_exits_attach(struct module *kvm)
{
	lockdep_assert_held(&khx_exits_attach_lock);
	khx_exits_kvm = kvm;
	if (!khx_exits_attach_check() || khx_exits_source_init(kvm) ||
	    khx_exits_attach_watch())
		return;
	khx_exits_attached = true;
	/* Some probes may have been called before one could not be registered. */
	if (khx_exits_enabled && khx_exits_attach_start())
		khx_exits_detach();
}

static void khx_exits_attach_offer(struct tracepoint *tp)
{
	unsigned int i;

	for (i = 0; i < khx_exits_nr_probes; i++)
		if (!strcmp(tp->name, khx_exits_probes[i].name))
			khx_exits_probes[i].tp = tp;
}

static void khx_exits_attach_clear(void)
{
	unsigned int i;

	for (i = 0; i < khx_exits_nr_probes; i++)
		khx_exits_probes[i].tp = NULL;
}

static void khx_exits_attach_coming(struct module *mod)
{
	int i;

	if (khx_exits_attached || strcmp(mod->name, "kvm"))
		return;
	khx_exits_attach_clear();
	for (i = 0; i < mod->num_tracepoints; i++)
		khx_exits_attach_offer(tracepoint_ptr_deref(&mod->tracepoints_ptrs[i]));
	khx_exits_attach(mod);
}

static void khx_exits_attach_going(struct module *mod)
{
	if (khx_exits_attached && mod == khx_exits_kvm)
		khx_exits_detach();
}

static int khx_exits_attach_notify(struct notifier_block *nb,
				   unsigned long event, void *data)
{
	struct module *mod = ((struct tp_module *)data)->mod;

	mutex_lock(&khx_exits_attach_lock);
	if (event == MODULE_STATE_COMING)
		khx_exits_attach_coming(mod);
	else if (event == MODULE_STATE_GOING)
		khx_exits_attach_going(mod);
	mutex_unlock(&khx_exits_attach_lock);
	return NOTIFY_OK;
}

static struct notifier_block khx_exits_attach_nb = {
	.notifier_call = khx_exits_attach_notify,
};

static void khx_exits_attach_builtin_offer(struct tracepoint *tp, void *data)
{
	khx_exits_attach_offer(tp);
}

static void khx_exits_attach_builtin(void)
{
	if (!IS_BUILTIN(CONFIG_KVM))
		return;
	mutex_lock(&khx_exits_attach_lock);
	for_each_kernel_tracepoint(khx_exits_attach_builtin_offer, NULL);
	khx_exits_attach(NULL);
	mutex_unlock(&khx_exits_attach_lock);
}

int khx_exits_attach_init(void)
{
	khx_exits_attach_builtin();
	return register_tracepoint_module_notifier(&khx_exits_attach_nb);
}

void khx_exits_attach_exit(void)
{
	unregister_tracepoint_module_notifier(&khx_exits_attach_nb);
	mutex_lock(&khx_exits_attach_lock);
	if (khx_exits_attached)
		khx_exits_detach();
	mutex_unlock(&khx_exits_attach_lock);
}

/**
 * khx_exits_attach_enable() - count or do not
 * @enable: which
 *
 * The figures stay as they are while nothing is counted.
 *
 * Return: 0 or the error of registering a probe.
 */
int khx_exits_attach_enable(bool enable)
{
	int ret = 0;

	mutex_lock(&khx_exits_attach_lock);
	if (khx_exits_attached && enable != khx_exits_enabled) {
		if (enable)
			ret = khx_exits_attach_start();
		else
			khx_exits_attach_stop();
	}
	if (!ret)
		khx_exits_enabled = enable;
	mutex_unlock(&khx_exits_attach_lock);
	return ret;
}

bool khx_exits_attach_is_enabled(void)
{
	return READ_ONCE(khx_exits_enabled);
}

bool khx_exits_attach_is_attached(void)
{
	return READ_ONCE(khx_exits_attached);
}
