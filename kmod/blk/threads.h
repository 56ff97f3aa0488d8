/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_BLK_THREADS_H
#define KHX_BLK_THREADS_H

#include <linux/list.h>
#include <linux/spinlock.h>

#include "core/worker.h"

struct khx_blk_request;
struct khx_blk_threads;

/* Blocking requests at a time; more would only queue up in the storage. */
#define KHX_BLK_THREADS	16

/**
 * struct khx_blk_thread - one that may wait for the storage
 * @threads: where it belongs
 * @worker: the thread and its charges
 * @work: go through @threads->waiting
 */
struct khx_blk_thread {
	struct khx_blk_threads *threads;
	struct khx_worker *worker;
	struct khx_work work;
};

/**
 * struct khx_blk_threads - all of a backend
 * @work: how a request is done
 * @owner: process they belong to
 * @lock: guards all below
 * @waiting: requests that none of them has yet
 * @idle: those that look at @waiting only when woken, by number
 * @n: how many there are
 * @max: not to be exceeded
 * @growing: one of them makes another
 * @threads: the first @n are there to stay
 */
struct khx_blk_threads {
	void (*work)(struct khx_blk_request *req);
	pid_t owner;
	spinlock_t lock;
	struct list_head waiting;
	unsigned long idle;
	unsigned int n;
	unsigned int max;
	bool growing;
	struct khx_blk_thread threads[KHX_BLK_THREADS];
};

int khx_blk_threads_create(struct khx_blk_threads *threads,
			   void (*work)(struct khx_blk_request *req));
void khx_blk_threads_destroy(struct khx_blk_threads *threads);
bool khx_blk_threads_queue(struct khx_blk_threads *threads,
			   struct khx_blk_request *req);

#endif /* KHX_BLK_THREADS_H */
