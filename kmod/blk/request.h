/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_BLK_REQUEST_H
#define KHX_BLK_REQUEST_H

#include <linux/atomic.h>
#include <linux/bio.h>
#include <linux/fs.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/workqueue.h>
#include <linux/khx_blk.h>

#include "core/virtqueue.h"

struct khx_blk_queue;

/* What a request carries itself: 64 KiB of any alignment in 6 segments. */
#define KHX_BLK_INLINE_SEGMENTS	8
#define KHX_BLK_INLINE_PAGES	17

/* Data that is worked on at once: 1 MiB, or 64 KiB if it must be copied. */
#define KHX_BLK_WINDOW_PAGES	256
#define KHX_BLK_BOUNCE_PAGES	16

enum khx_blk_op {
	KHX_BLK_READ,
	KHX_BLK_WRITE,
	KHX_BLK_FLUSH,
	KHX_BLK_DISCARD,
	KHX_BLK_ZEROES,
	KHX_BLK_OPS,
};

/**
 * struct khx_blk_large - room for what does not fit into a request
 * @next: in the pool while free
 * @iov: segments of the chain
 * @gpa: their guest-physical addresses
 * @bvecs: pages of the window
 */
struct khx_blk_large {
	struct khx_blk_large *next;
	struct iovec iov[KHX_BLK_SEGMENTS];
	u64 gpa[KHX_BLK_SEGMENTS];
	struct bio_vec bvecs[KHX_BLK_WINDOW_PAGES];
};

/*
 * struct khx_blk_request - one request of the driver, from a queue's pool
 *
 * Data is moved a window at a time, see window.c. While the backend has a
 * window, nothing of the request changes but what is the backend's.
 */
struct khx_blk_request {
	struct llist_node done;		/* in a list of the queue */
	struct khx_blk_request *next;	/* in the pool while free */
	struct khx_blk_queue *queue;

	/* The chain; its segments are copies, ours or of @large. */
	struct khx_chain chain;
	struct khx_blk_large *large;
	u64 start_ns;

	/* What is to be done. */
	enum khx_blk_op op;
	bool unmap;			/* KHX_BLK_ZEROES: may deallocate */
	bool stable;			/* write-through */
	bool bounced;			/* through the pool's pages */
	u64 bytes;			/* of the queue's @bytes_in_flight */

	/* The window; for all but reads and writes the whole range. */
	loff_t pos;
	u64 len;
	struct bio_vec *bvecs;
	u32 max_pages;
	u32 nr_bvecs;

	/* Behind the window. */
	u64 left;
	u32 seg;			/* where the data goes on in @chain */
	u32 seg_offset;

	/* The backend's. */
	int error;
	u32 moved;			/* file: bytes of the window done */
	atomic_t holders;		/* file, direct: of @iocb */
	long result;			/* and what it came to */
	union {
		struct list_head waiting;	/* for a thread */
		struct work_struct work;
	};
	union {
		struct bio bio;
		struct kiocb iocb;
	};

	struct iovec inline_iov[KHX_BLK_INLINE_SEGMENTS];
	u64 inline_gpa[KHX_BLK_INLINE_SEGMENTS];
	struct bio_vec inline_bvecs[KHX_BLK_INLINE_PAGES];
};

/* request.c; the worker, under the virtqueue's mutex: */
int khx_blk_request_start(struct khx_blk_queue *queue,
			  const struct khx_chain *chain);
void khx_blk_request_step(struct khx_blk_request *req);

/* queue.c; the backend, from any context: */
void khx_blk_request_done(struct khx_blk_request *req, int error);

#endif /* KHX_BLK_REQUEST_H */
