// SPDX-License-Identifier: GPL-2.0
/*
 * vhost_task for kernels before 6.4 (commit e297cd54b3f8 added it there): a
 * kernel thread that stands in for a thread of the process that creates it.
 * It uses that process's mm, sits in its cgroups, and charges what it
 * allocates to its memory cgroup.
 *
 * A real one is killed with its process. That matters when it waits for a page
 * which only that process could supply (userfaultfd): the process cannot exit
 * before its device is closed, nor that before the thread lets go. So the
 * process is looked at every second, and when it has been dying for a second
 * and the thread waits for something that SIGKILL ends, it is sent that: what
 * it waits for in a page fault then fails. What needs no such wait is finished,
 * as requests in flight should be. The thread lives on until it is stopped;
 * hence handle_sigkill() is never called.
 */
#include <linux/atomic.h>
#include <linux/cgroup.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/resource.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "compat/vhost_task_limit.h"

#define KHX_VHOST_TASK_PERIOD	HZ

/**
 * struct vhost_task - the thread and what it needs of its creator
 * @fn: does some work, returns false when there is none
 * @data: for @fn
 * @thread: the kernel thread, with a reference
 * @creator: valid until @attached completes
 * @mm: the creator's, with a user
 * @process: leader of the process it works for, with a reference
 * @uid: whose limit it counts against
 * @watch: looks after @process
 * @dying: @process was dying a period ago
 * @attached: the thread has tried to join the creator's cgroups
 * @error: how that went
 */
struct vhost_task {
	bool (*fn)(void *data);
	void *data;
	struct task_struct *thread;
	struct task_struct *creator;
	struct mm_struct *mm;
	struct task_struct *process;
	kuid_t uid;
	struct delayed_work watch;
	bool dying;
	struct completion attached;
	int error;
};

/* The current process, or the one for which a thread of ours makes another. */
static struct task_struct *khx_vhost_task_process(void)
{
	const struct vhost_task *creator;

	if (!(current->flags & PF_KTHREAD))
		return current->group_leader;
	creator = kthread_data(current);
	return creator->process;
}

/* Is it being killed, or has its last thread begun to exit? */
static bool khx_vhost_task_is_dying(const struct task_struct *process)
{
	const struct signal_struct *signal = process->signal;

	return READ_ONCE(signal->flags) & SIGNAL_GROUP_EXIT ||
	       !atomic_read(&signal->live);
}

/* Does it wait, and for something that a kill would end? */
static bool khx_vhost_task_is_killable(const struct task_struct *thread)
{
	return READ_ONCE(thread->__state) & (TASK_INTERRUPTIBLE | TASK_WAKEKILL);
}

static void khx_vhost_task_watch(struct vhost_task *vtsk)
{
	queue_delayed_work(system_power_efficient_wq, &vtsk->watch,
			   round_jiffies_relative(KHX_VHOST_TASK_PERIOD));
}

static void khx_vhost_task_look(struct work_struct *work)
{
	struct vhost_task *vtsk = container_of(to_delayed_work(work),
					       struct vhost_task, watch);

	if (vtsk->dying && khx_vhost_task_is_killable(vtsk->thread)) {
		send_sig(SIGKILL, vtsk->thread, 1);
		return;
	}
	vtsk->dying = khx_vhost_task_is_dying(vtsk->process);
	khx_vhost_task_watch(vtsk);
}

static void khx_vhost_task_loop(struct vhost_task *vtsk)
{
	for (;;) {
		/*
		 * Pairs with the wakeup of vhost_task_wake() and _stop(). A
		 * pending SIGKILL is no reason to wake up.
		 */
		set_current_state(TASK_IDLE);
		if (vtsk->fn(vtsk->data))
			continue;
		if (kthread_should_stop())
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
}

static int khx_vhost_task_thread(void *arg)
{
	struct vhost_task *vtsk = arg;
	struct mem_cgroup *memcg, *old;

	allow_kernel_signal(SIGKILL);
	vtsk->error = cgroup_attach_task_all(vtsk->creator, current);
	complete(&vtsk->attached);

	kthread_use_mm(vtsk->mm);
	memcg = get_mem_cgroup_from_mm(vtsk->mm);
	old = set_active_memcg(memcg);

	khx_vhost_task_loop(vtsk);

	set_active_memcg(old);
	mem_cgroup_put(memcg);
	kthread_unuse_mm(vtsk->mm);
	return 0;
}

void khx_vhost_task_stop(struct vhost_task *vtsk)
{
	kthread_stop(vtsk->thread);
	/* Not before: the thread may have to be killed to stop. */
	cancel_delayed_work_sync(&vtsk->watch);
	put_task_struct(vtsk->thread);
	khx_vhost_task_uncharge(vtsk->uid);
	put_task_struct(vtsk->process);
	mmput(vtsk->mm);
	kfree(vtsk);
}

void khx_vhost_task_wake(struct vhost_task *vtsk)
{
	wake_up_process(vtsk->thread);
}

/* Creation has started it already: its cgroups decide whether it succeeds. */
void khx_vhost_task_start(struct vhost_task *vtsk)
{
	wake_up_process(vtsk->thread);
}

struct vhost_task *khx_vhost_task_create(bool (*fn)(void *data),
					 void (*handle_sigkill)(void *data),
					 void *data, const char *name)
{
	struct task_struct *thread;
	struct vhost_task *vtsk;
	int ret;

	vtsk = kzalloc(sizeof(*vtsk), GFP_KERNEL_ACCOUNT);
	if (!vtsk)
		return ERR_PTR(-ENOMEM);
	vtsk->fn = fn;
	vtsk->data = data;
	vtsk->creator = current;
	init_completion(&vtsk->attached);

	/* Not get_task_mm(): a worker that makes another one only uses it. */
	ret = -EINVAL;
	vtsk->mm = current->mm;
	if (!vtsk->mm)
		goto err_mm;
	mmget(vtsk->mm);
	vtsk->process = get_task_struct(khx_vhost_task_process());
	vtsk->uid = task_uid(vtsk->process);
	ret = khx_vhost_task_charge(vtsk->uid, task_rlimit(vtsk->process,
							   RLIMIT_NPROC));
	if (ret)
		goto err_charge;

	thread = kthread_create(khx_vhost_task_thread, vtsk, "%s", name);
	if (IS_ERR(thread)) {
		ret = PTR_ERR(thread);
		goto err_thread;
	}
	vtsk->thread = get_task_struct(thread);
	INIT_DELAYED_WORK(&vtsk->watch, khx_vhost_task_look);
	khx_vhost_task_watch(vtsk);

	wake_up_process(thread);
	wait_for_completion(&vtsk->attached);
	if (vtsk->error) {
		ret = vtsk->error;
		khx_vhost_task_stop(vtsk);
		return ERR_PTR(ret);
	}
	return vtsk;

err_thread:
	khx_vhost_task_uncharge(vtsk->uid);
err_charge:
	put_task_struct(vtsk->process);
	mmput(vtsk->mm);
err_mm:
	kfree(vtsk);
	return ERR_PTR(ret);
}
