// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Workers
 *
 * A worker is a thread that serves virtqueues for one owner: it runs in the
 * owner's mm and is charged to the owner's cgroups, memory, CPU and I/O. It
 * is a vhost_task, a thread of the owner's own process where the kernel has
 * them.
 *
 * Work is queued lock-free from any context, under RCU, and at most once: a
 * work that is queued while it runs will run once more. A worker dies by
 * khx_worker_destroy(), or with its process. In the latter case
 * khx_worker_killed() closes the queue, waits for those who are just adding
 * to it, and runs what is left; later works are refused, which is all right,
 * since the process that could make use of them is gone. Who flushes a worker
 * that dies waits until that is done: a crew's works may be any device's.
 */
#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/export.h>
#include <linux/jiffies.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/sched/vhost_task.h>
#include <linux/slab.h>

#include "core/worker.h"

#define KHX_WORK_QUEUED	0

/**
 * struct khx_worker - a thread and its queue
 * @works: what is to be done, last first
 * @task: the thread as vhost_task knows it
 * @thread: the thread, with a reference
 * @owner: process it was made for, for its name
 * @id: the number user space knows it by
 * @killed: set when the thread no longer looks at @works
 * @drained: completed when a killed one has done its last work
 */
struct khx_worker {
	struct llist_head works;
	struct vhost_task *task;
	struct task_struct *thread;
	pid_t owner;
	u32 id;
	bool killed;
	struct completion drained;
};

/* Wait for everything that is queued by now. */
struct khx_worker_flush {
	struct khx_work work;
	struct khx_worker *worker;
	struct completion done;
};

/**
 * khx_work_init - prepare a work
 * @work: to be set up
 * @fn: what it does
 */
void khx_work_init(struct khx_work *work, khx_work_fn fn)
{
	work->fn = fn;
	work->flags = 0;
}
EXPORT_SYMBOL_GPL(khx_work_init);

/* One round: all that is queued. Returns whether there was anything. */
static bool khx_worker_run(void *data)
{
	struct khx_worker *worker = data;
	struct khx_work *work, *next;
	struct llist_node *node;

	node = llist_del_all(&worker->works);
	if (!node)
		return false;

	__set_current_state(TASK_RUNNING);
	node = llist_reverse_order(node);
	/* Off the list before it can be queued again. */
	smp_wmb();
	llist_for_each_entry_safe(work, next, node, node) {
		clear_bit(KHX_WORK_QUEUED, &work->flags);
		/*
		 * Who still found the bit set relies on us for what it wrote
		 * before. Pairs with the barrier of test_and_set_bit().
		 */
		smp_mb__after_atomic();
		work->fn(work);
		cond_resched();
	}
	return true;
}

/* The owner's process is dying, and its threads with it. */
static void khx_worker_killed(void *data)
{
	struct khx_worker *worker = data;

	WRITE_ONCE(worker->killed, true);
	synchronize_rcu();
	while (khx_worker_run(worker))
		;
	complete_all(&worker->drained);
}

/**
 * khx_worker_queue - have a work done
 * @worker: worker
 * @work: work, maybe queued already
 *
 * Context: Any, under rcu_read_lock().
 * Return: false when the worker's process is dead and nothing will be done.
 */
bool khx_worker_queue(struct khx_worker *worker, struct khx_work *work)
{
	if (unlikely(READ_ONCE(worker->killed)))
		return false;
	if (!test_and_set_bit(KHX_WORK_QUEUED, &work->flags)) {
		llist_add(&work->node, &worker->works);
		vhost_task_wake(worker->task);
	}
	return true;
}
EXPORT_SYMBOL_GPL(khx_worker_queue);

static void khx_worker_flush_work(struct khx_work *work)
{
	struct khx_worker_flush *flush =
		container_of(work, struct khx_worker_flush, work);

	if (!flush->worker->thread)
		flush->worker->thread = get_task_struct(current);
	complete(&flush->done);
}

/**
 * khx_worker_flush - wait until all that was queued before has been done
 * @worker: worker
 *
 * Context: Process context, without any mutex that a work takes. May sleep.
 */
void khx_worker_flush(struct khx_worker *worker)
{
	struct khx_worker_flush flush = { .worker = worker };
	bool queued;

	khx_work_init(&flush.work, khx_worker_flush_work);
	init_completion(&flush.done);

	rcu_read_lock();
	queued = khx_worker_queue(worker, &flush.work);
	rcu_read_unlock();
	/* How long that takes is the owner's affair: no hang of the host. */
	wait_for_completion_state(queued ? &flush.done : &worker->drained,
				  TASK_IDLE);
}

/**
 * khx_worker_has_work - is anything waiting?
 * @worker: worker
 *
 * For works that poll: they should make room.
 */
bool khx_worker_has_work(const struct khx_worker *worker)
{
	return !llist_empty(&worker->works);
}

/* The number user space knows it by. */
u32 khx_worker_id(const struct khx_worker *worker)
{
	return worker->id;
}

/* The thread's id as @ns has it, 0 if not at all, or if it died at birth. */
pid_t khx_worker_tid(const struct khx_worker *worker, struct pid_namespace *ns)
{
	return worker->thread && ns ? task_pid_nr_ns(worker->thread, ns) : 0;
}

/* CPU time it has used, in ns. */
u64 khx_worker_runtime(const struct khx_worker *worker)
{
	return worker->thread ? worker->thread->se.sum_exec_runtime : 0;
}

/* Where it may run. */
const struct cpumask *khx_worker_cpus(const struct khx_worker *worker)
{
	return worker->thread ? worker->thread->cpus_ptr : cpu_none_mask;
}

/**
 * khx_worker_set_cpus - where a worker may run
 * @worker: worker
 * @cpus: what is asked for, also outside the owner's cpuset, which applies
 *        again when it is written next
 *
 * Return: 0, or -EINVAL when none of @cpus is online.
 */
int khx_worker_set_cpus(struct khx_worker *worker, const struct cpumask *cpus)
{
	return worker->thread ? set_cpus_allowed_ptr(worker->thread, cpus) : 0;
}

/*
 * Is the process ending, or becoming another one by execve()? A worker that is
 * being killed has taken the signal when it does its last work, so that no
 * fork() would refuse; and whoever ends all threads would miss a new one.
 */
static bool khx_worker_process_ends(void)
{
	const struct signal_struct *signal = current->signal;

	return READ_ONCE(signal->flags) & SIGNAL_GROUP_EXIT ||
	       READ_ONCE(signal->group_exec_task);
}

/**
 * khx_worker_create - start a worker for the current process
 * @id: number for user space
 * @owner: that process
 *
 * Context: Process context of the owner. May sleep.
 * Return: the worker or an ERR_PTR, of -EINTR when the process is ending.
 */
struct khx_worker *khx_worker_create(u32 id, pid_t owner)
{
	char name[TASK_COMM_LEN];
	struct khx_worker *worker;

	if (khx_worker_process_ends())
		return ERR_PTR(-EINTR);
	worker = kzalloc(sizeof(*worker), GFP_KERNEL_ACCOUNT);
	if (!worker)
		return ERR_PTR(-ENOMEM);
	init_llist_head(&worker->works);
	init_completion(&worker->drained);
	worker->id = id;
	worker->owner = owner;

	snprintf(name, sizeof(name), "khx-%d", owner);
	worker->task = vhost_task_create(khx_worker_run, khx_worker_killed,
					 worker, name);
	if (IS_ERR_OR_NULL(worker->task)) {
		int ret = worker->task ? PTR_ERR(worker->task) : -ENOMEM;

		kfree(worker);
		return ERR_PTR(ret);
	}
	vhost_task_start(worker->task);

	/* The first flush tells us the thread. */
	khx_worker_flush(worker);
	return worker;
}
EXPORT_SYMBOL_GPL(khx_worker_create);

/**
 * khx_wait_until - wait for what an owner may hold up
 * @done: waited for
 * @deadline: in jiffies; even after that, it is looked at once
 *
 * Return: more than 0 if it is done, 0 if not, -ERESTARTSYS when killed.
 */
long khx_wait_until(struct completion *done, unsigned long deadline)
{
	long left = deadline - jiffies;

	return wait_for_completion_killable_timeout(done, max(left, 1L));
}

/* How far a spawn has come; whoever comes second cleans up. */
enum khx_worker_spawn_state {
	KHX_SPAWN_PENDING,
	KHX_SPAWN_DONE,
	KHX_SPAWN_ABANDONED,
};

/**
 * struct khx_worker_spawn - a worker that another one is to create
 * @work: does it
 * @done: completed then
 * @state: enum khx_worker_spawn_state
 * @users: of this memory, the work and who waits for it
 * @id: of the new worker
 * @owner: of both
 * @worker: the new one, or an ERR_PTR
 */
struct khx_worker_spawn {
	struct khx_work work;
	struct completion done;
	atomic_t state;
	refcount_t users;
	u32 id;
	pid_t owner;
	struct khx_worker *worker;
};

static void khx_worker_spawn_put(struct khx_worker_spawn *spawn)
{
	if (refcount_dec_and_test(&spawn->users))
		kfree(spawn);
}

/* Runs as the worker that is told to: all it passes on is the owner's. */
static void khx_worker_spawn_work(struct khx_work *work)
{
	struct khx_worker_spawn *spawn =
		container_of(work, struct khx_worker_spawn, work);

	spawn->worker = khx_worker_create(spawn->id, spawn->owner);
	if (atomic_xchg(&spawn->state, KHX_SPAWN_DONE) ==
	    KHX_SPAWN_ABANDONED && !IS_ERR(spawn->worker))
		khx_worker_destroy(spawn->worker);
	complete(&spawn->done);
	khx_worker_spawn_put(spawn);
}

/* Wait for the result, not for ever, and as long as the current task lives. */
static struct khx_worker *khx_worker_spawn_wait(struct khx_worker_spawn *spawn,
						unsigned long deadline)
{
	long left = khx_wait_until(&spawn->done, deadline);

	if (left <= 0 && atomic_xchg(&spawn->state, KHX_SPAWN_ABANDONED) !=
	    KHX_SPAWN_DONE)
		return ERR_PTR(left ? -EINTR : -ETIMEDOUT);
	return spawn->worker;
}

/**
 * khx_worker_spawn - start a worker for another worker's owner
 * @from: that worker
 * @id: number for user space
 * @deadline: in jiffies
 *
 * The new one is made by @from, and so gets the owner's mm and cgroups,
 * whoever the current process is.
 *
 * Context: Process context. May sleep until @from has done what it has to do,
 * but only until @deadline, and dies if killed.
 * Return: the worker; an ERR_PTR of -ESRCH when the owner is dying, -EINTR
 * when the current process is, -ETIMEDOUT when @from is held up, or as
 * khx_worker_create().
 */
struct khx_worker *khx_worker_spawn(struct khx_worker *from, u32 id,
				    unsigned long deadline)
{
	struct khx_worker_spawn *spawn;
	struct khx_worker *worker;
	bool queued;

	spawn = kzalloc(sizeof(*spawn), GFP_KERNEL);
	if (!spawn)
		return ERR_PTR(-ENOMEM);
	khx_work_init(&spawn->work, khx_worker_spawn_work);
	init_completion(&spawn->done);
	refcount_set(&spawn->users, 2);
	spawn->id = id;
	spawn->owner = from->owner;

	rcu_read_lock();
	queued = khx_worker_queue(from, &spawn->work);
	rcu_read_unlock();
	if (!queued) {
		kfree(spawn);
		return ERR_PTR(-ESRCH);
	}
	worker = khx_worker_spawn_wait(spawn, deadline);
	khx_worker_spawn_put(spawn);
	return worker;
}

/**
 * khx_worker_destroy - end a worker
 * @worker: nobody can find it any more, a grace period ago
 *
 * Context: Process context, without any mutex that a work takes. May sleep.
 */
void khx_worker_destroy(struct khx_worker *worker)
{
	khx_worker_flush(worker);
	vhost_task_stop(worker->task);
	WARN_ON_ONCE(!llist_empty(&worker->works));
	if (worker->thread)
		put_task_struct(worker->thread);
	kfree(worker);
}
EXPORT_SYMBOL_GPL(khx_worker_destroy);
