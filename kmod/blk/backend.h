/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the blocks of a disk live. A backend serves all virtqueues of one
 * device, and is changed only while none of them runs.
 */
#ifndef KHX_BLK_BACKEND_H
#define KHX_BLK_BACKEND_H

#include <linux/types.h>

#include "blk/threads.h"

struct cgroup_subsys_state;
struct cred;
struct file;
struct khx_blk_backend;
struct khx_blk_request;
struct mem_cgroup;
struct workqueue_struct;

/**
 * struct khx_blk_backend_ops - a kind of backend
 * @name: as fdinfo shows it
 * @sectors: size in sectors of 512 bytes, now. Any context
 * @submit: start what @req->op says. khx_blk_request_done() follows exactly
 *          once, from any context, maybe before this returns. Called by the
 *          worker under the virtqueue's mutex: it must not wait for the
 *          storage where another way exists, that is khx_blk_backend_punt()
 * @work: the rest of a request that was punted; may sleep. Ends with
 *        khx_blk_request_done() as well
 * @release: before the file is let go, without requests
 */
struct khx_blk_backend_ops {
	const char *name;
	u64 (*sectors)(const struct khx_blk_backend *be);
	void (*submit)(struct khx_blk_request *req);
	void (*work)(struct khx_blk_request *req);
	void (*release)(struct khx_blk_backend *be);
};

/**
 * struct khx_blk_limits - what a backend can do; sizes in bytes
 * @block: smallest unit of all requests, a power of 2 up to a page
 * @physical: unit that is written without reading first
 * @io_min: smallest size without a penalty
 * @io_opt: best size for throughput, or 0
 * @alignment: offset of the first physical block
 * @memory_mask: bits that must be clear in addresses of data, whose segments
 *               then are also whole blocks; 0: any memory will do
 * @discard_sectors: most of one discard, 0: cannot discard
 * @discard_granularity: bytes
 * @zeroes_sectors: most of one write-zeroes, 0: cannot
 */
struct khx_blk_limits {
	u32 block;
	u32 physical;
	u32 io_min;
	u32 io_opt;
	u32 alignment;
	u32 memory_mask;
	u32 discard_sectors;
	u32 discard_granularity;
	u32 zeroes_sectors;
};

/*
 * Longest ranges of one request. They bound what a stop has to wait for:
 * discards are fast, zeros may have to be written.
 */
#define KHX_BLK_DISCARD_SECTORS	BIT(22)
#define KHX_BLK_ZEROES_SECTORS	BIT(17)

/**
 * struct khx_blk_backend - what all backends have; fixed once created
 * @ops: their kind
 * @file: what it was made from, with a reference
 * @threads: do what may block
 * @wq: does that if they are dying, and the worker's part if it has died
 * @blkcg: I/O cgroup of the owner, with a reference, or NULL
 * @memcg: memory cgroup of the owner, with a reference, or NULL
 * @limits: of the file
 * @readonly: nothing may be written
 * @direct: KHX_BLK_F_DIRECT
 */
struct khx_blk_backend {
	const struct khx_blk_backend_ops *ops;
	struct file *file;
	struct khx_blk_threads threads;
	struct workqueue_struct *wq;
	struct cgroup_subsys_state *blkcg;
	struct mem_cgroup *memcg;
	struct khx_blk_limits limits;
	bool readonly;
	bool direct;
};

/* backend.c */
struct khx_blk_backend *khx_blk_backend_create(int fd, u32 flags);
void khx_blk_backend_destroy(struct khx_blk_backend *be);
void khx_blk_backend_punt(struct khx_blk_request *req);
void khx_blk_backend_orphan(struct khx_blk_request *req);
struct mem_cgroup *khx_blk_backend_charge(struct khx_blk_backend *be);
void khx_blk_backend_uncharge(struct mem_cgroup *old);

/* The kinds; they fill in @ops and @limits, and may refuse: 0 or an errno. */
int khx_blk_bdev_init(struct khx_blk_backend *be);
int khx_blk_file_init(struct khx_blk_backend *be);

#endif /* KHX_BLK_BACKEND_H */
