/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_BLK_H
#define KHX_BLK_H

#include <linux/container_of.h>
#include <linux/llist.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/khx_blk.h>
#include <uapi/linux/virtio_blk.h>

#include "blk/request.h"
#include "core/device.h"
#include "core/virtqueue.h"

struct eventfd_ctx;
struct khx_blk_backend;
struct khx_blk_pool;
struct khx_memory;
struct page;
struct seq_file;
struct task_struct;

/* What the configuration space says; together they bound one request. */
#define KHX_BLK_SEG_MAX		126
#define KHX_BLK_SIZE_MAX	SZ_1M

/**
 * struct khx_blk_stats - what a queue has done since it was opened
 * @ops: by kind
 * @bounced: requests whose data had to be copied
 * @waited: times that the memory set aside was used up
 *
 * Written under the virtqueue's mutex, read without it.
 */
struct khx_blk_stats {
	struct khx_op_stats ops[KHX_BLK_OPS];
	u64 bounced;
	u64 waited;
};

/*
 * struct khx_blk_queue - one virtqueue of a disk
 *
 * All but the last two groups are guarded by the virtqueue's mutex.
 */
struct khx_blk_queue {
	struct khx_virtqueue vq;
	struct khx_blk *blk;

	struct khx_blk_pool *pool;	/* NULL: never started, or stopped */
	struct khx_memory *memory;	/* that segments were translated by */
	unsigned int in_flight;		/* requests not yet published */
	u64 bytes_in_flight;		/* and their data */
	bool blocked;			/* waits for something of the pool */
	bool writeback;
	u64 now_ns;			/* when the batch in work began, */
	u64 sectors;			/* and the size of the disk then */

	/* A batch, and what is to be published next. */
	struct khx_chain fetched[KHX_BATCH];
	struct khx_chain finished[KHX_BATCH];
	unsigned int nr_finished;

	struct khx_blk_stats stats;

	/* Completed by the worker itself, while it is @polling. */
	struct llist_head done_here;

	/* Shared with the backend's completions. */
	struct llist_head done ____cacheline_aligned_in_smp;
	struct task_struct *polling;	/* the worker, if it looks by itself */
	struct khx_work done_work;
	struct work_struct reap_work;	/* in its place if there is no worker */

	/* Who stops the queue waits here for @in_flight to become 0. */
	wait_queue_head_t drained;
};

/**
 * struct khx_blk - what one open file of /dev/khx-blk is
 * @dev: the core's part
 * @backend: changed under the device's mutex while no queue runs, hence
 *           stable for whoever serves one
 * @serial: of the disk; guarded as @backend
 * @wce: the driver wants a write-back cache; guarded by the device's mutex
 * @event_lock: guards @config_event and @sectors
 * @config_event: to be signalled when @sectors changes, or NULL
 * @sectors: size that was last seen
 * @bases_page: pinned, where virtqueues that stop leave their bases, or NULL;
 *              guarded by the device's mutex
 * @bases_offset: where in that page
 * @queues: all of them
 * @vqs: their virtqueues, as the core wants them
 */
struct khx_blk {
	struct khx_device dev;
	struct khx_blk_backend *backend;
	u8 serial[KHX_BLK_SERIAL];
	bool wce;
	spinlock_t event_lock;
	struct eventfd_ctx *config_event;
	u64 sectors;
	struct page *bases_page;
	unsigned int bases_offset;
	struct khx_blk_queue *queues;
	struct khx_virtqueue *vqs[KHX_BLK_QUEUES];
};

static inline struct khx_blk *khx_blk_of(struct khx_device *dev)
{
	return container_of(dev, struct khx_blk, dev);
}

static inline struct khx_blk_queue *khx_blk_queue_of(struct khx_virtqueue *vq)
{
	return container_of(vq, struct khx_blk_queue, vq);
}

/* device.c */
extern const struct file_operations khx_blk_fops;

/* config.c */
#define KHX_BLK_FEATURES					\
	(KHX_DEVICE_FEATURES |					\
	 BIT_ULL(VIRTIO_BLK_F_SIZE_MAX) |			\
	 BIT_ULL(VIRTIO_BLK_F_SEG_MAX) |			\
	 BIT_ULL(VIRTIO_BLK_F_RO) |				\
	 BIT_ULL(VIRTIO_BLK_F_BLK_SIZE) |			\
	 BIT_ULL(VIRTIO_BLK_F_FLUSH) |				\
	 BIT_ULL(VIRTIO_BLK_F_TOPOLOGY) |			\
	 BIT_ULL(VIRTIO_BLK_F_CONFIG_WCE) |			\
	 BIT_ULL(VIRTIO_BLK_F_MQ) |				\
	 BIT_ULL(VIRTIO_BLK_F_DISCARD) |			\
	 BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES))

long khx_blk_config_get(struct khx_blk *blk,
			struct khx_blk_config __user *argp);
long khx_blk_config_set_event(struct khx_blk *blk, int fd);
u64 khx_blk_config_sectors(struct khx_blk *blk);

/* bases.c */
long khx_blk_bases_set(struct khx_blk *blk, const u64 __user *argp);
void khx_blk_bases_save(struct khx_blk_queue *queue);
void khx_blk_bases_drop(struct khx_blk *blk);

/* queue.c */
void khx_blk_queue_init(struct khx_blk_queue *queue, struct khx_blk *blk);
void khx_blk_queue_handle(struct khx_virtqueue *vq);
int khx_blk_queue_start(struct khx_blk_queue *queue);
void khx_blk_queue_stop(struct khx_blk_queue *queue);
void khx_blk_queue_set_cache(struct khx_blk_queue *queue);
int khx_blk_queue_finish(struct khx_blk_queue *queue,
			 const struct khx_chain *chain);
void khx_blk_queue_retire(struct khx_blk_queue *queue,
			  struct khx_blk_request *req);
void khx_blk_queue_lose(struct khx_blk_queue *queue,
			struct khx_blk_request *req);
void khx_blk_queue_redo(struct khx_blk_queue *queue,
			struct khx_blk_request *req);

#endif /* KHX_BLK_H */
