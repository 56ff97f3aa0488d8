/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_WORKER_H
#define KHX_CORE_WORKER_H

#include <linux/llist.h>
#include <linux/types.h>

struct completion;
struct cpumask;
struct khx_work;
struct khx_worker;
struct pid_namespace;

typedef void (*khx_work_fn)(struct khx_work *work);

/**
 * struct khx_work - something for a worker to do, queued at most once
 * @node: in the worker's list while queued
 * @fn: what to do; runs in the owner's mm, may sleep and queue itself again
 * @flags: bit 0: queued
 */
struct khx_work {
	struct llist_node node;
	khx_work_fn fn;
	unsigned long flags;
};

struct khx_worker *khx_worker_create(u32 id, pid_t owner);
struct khx_worker *khx_worker_spawn(struct khx_worker *from, u32 id,
				    unsigned long deadline);
long khx_wait_until(struct completion *done, unsigned long deadline);
int khx_worker_set_cpus(struct khx_worker *worker,
			const struct cpumask *cpus);
void khx_worker_destroy(struct khx_worker *worker);
bool khx_worker_queue(struct khx_worker *worker, struct khx_work *work);
void khx_worker_flush(struct khx_worker *worker);
bool khx_worker_has_work(const struct khx_worker *worker);
u32 khx_worker_id(const struct khx_worker *worker);
pid_t khx_worker_tid(const struct khx_worker *worker,
		     struct pid_namespace *ns);
u64 khx_worker_runtime(const struct khx_worker *worker);
const struct cpumask *khx_worker_cpus(const struct khx_worker *worker);
void khx_work_init(struct khx_work *work, khx_work_fn fn);

#endif /* KHX_CORE_WORKER_H */
