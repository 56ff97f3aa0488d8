// SPDX-License-Identifier: GPL-2.0
/*
 * Requests: what the driver asks for, read once and checked, and what it gets
 * to know in the end. The worker runs all of this under the virtqueue's
 * mutex.
 */
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <uapi/linux/virtio_blk.h>

#include "blk/backend.h"
#include "blk/blk.h"
#include "blk/pool.h"
#include "blk/window.h"
#include "core/killed.h"

/* More than a driver sends that heeds the configuration. */
#define KHX_BLK_BYTES_MAX	((u64)KHX_BLK_SEG_MAX * KHX_BLK_SIZE_MAX)

/*
 * Data that a queue may have accepted, unless it is that of one request: what a stop
 * has to wait for. More than any device needs to be busy.
 */
#define KHX_BLK_BYTES_IN_FLIGHT	SZ_64M

static u8 khx_blk_status(int error)
{
	switch (error) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}

static void khx_blk_request_account(struct khx_blk_request *req, int error)
{
	u64 ns = req->queue->now_ns - req->start_ns;
	unsigned int bucket = ns ? ilog2(ns) : 0;
	struct khx_op_stats *stats;

	if (req->op == KHX_BLK_OPS)
		return;
	stats = &req->queue->stats.ops[req->op];
	stats->requests++;
	stats->errors += error != 0;
	stats->latency[min(bucket, KHX_LATENCY_BUCKETS - 1U)]++;
}

/* It is the last byte of the chain, and no segment is empty. */
static int khx_blk_request_write_status(const struct khx_blk_request *req,
					u8 status)
{
	const struct khx_chain *chain = &req->chain;
	const struct iovec *last =
		&chain->iov[chain->nr_out + chain->nr_in - 1];

	return put_user(status, (u8 __user *)last->iov_base +
				last->iov_len - 1);
}

/*
 * The end of a request. Returns 0, or -EINTR when we are being killed and others have
 * to do that again: the driver was told nothing.
 */
static int khx_blk_request_finish(struct khx_blk_request *req, int error)
{
	struct khx_blk_queue *queue = req->queue;
	struct khx_chain *chain = &req->chain;

	if (unlikely(khx_blk_request_write_status(req, khx_blk_status(error)))) {
		if (khx_hands_over())
			return -EINTR;
		khx_virtqueue_fail(&queue->vq, -EFAULT, "status not writable");
		khx_blk_request_account(req, error);
		khx_blk_queue_lose(queue, req);
		return 0;
	}
	/* All before the status counts as written, too. */
	chain->written = chain->len_in;
	if (unlikely(khx_blk_queue_finish(queue, chain)))
		return -EINTR;
	khx_blk_request_account(req, error);
	khx_blk_queue_retire(queue, req);
	return 0;
}

static bool khx_blk_request_in_range(const struct khx_blk_request *req,
				     u64 sector, u64 nr)
{
	u64 sectors = req->queue->sectors;
	u32 block = req->queue->blk->backend->limits.block >> SECTOR_SHIFT;

	return sector <= sectors && nr <= sectors - sector &&
	       !((sector | nr) & (block - 1));
}

/* The backend owns the request until khx_blk_request_done(). */
static int khx_blk_request_submit(struct khx_blk_request *req)
{
	req->error = 0;
	req->queue->blk->backend->ops->submit(req);
	return -EIOCBQUEUED;
}

/* The request outlives the batch: its segments have to. */
static void khx_blk_request_keep_chain(struct khx_blk_request *req)
{
	struct iovec *iov = req->large ? req->large->iov : req->inline_iov;
	u64 *gpa = req->large ? req->large->gpa : req->inline_gpa;
	const struct khx_chain *from = &req->chain;
	unsigned int i, n = from->nr_out + from->nr_in;

	/* Three as a rule: less than it takes to call memcpy(). */
	for (i = 0; i < n; i++) {
		iov[i] = from->iov[i];
		gpa[i] = from->gpa[i];
	}
	req->chain.iov = iov;
	req->chain.gpa = gpa;
}

/* Can the backend take the data that is left from where it is? */
static bool khx_blk_request_is_aligned(const struct khx_blk_request *req)
{
	const struct khx_blk_limits *limits = &req->queue->blk->backend->limits;

	return !limits->memory_mask ||
	       khx_blk_window_is_aligned(req, limits->memory_mask,
					 limits->block);
}

/* Get what a request needs to be in flight; -EAGAIN: later. */
static int khx_blk_request_prepare(struct khx_blk_request *req)
{
	unsigned int segments = req->chain.nr_out + req->chain.nr_in;
	struct khx_blk_queue *queue = req->queue;
	struct khx_blk_pool *pool = queue->pool;
	bool large = segments > KHX_BLK_INLINE_SEGMENTS;

	if (segments > KHX_BLK_SEGMENTS)
		return -E2BIG;
	if (queue->bytes_in_flight &&
	    queue->bytes_in_flight + req->left > KHX_BLK_BYTES_IN_FLIGHT)
		return -EAGAIN;
	if (req->left && !khx_blk_request_is_aligned(req)) {
		if (!khx_blk_pool_get_bounce(pool, req))
			return -EAGAIN;
		queue->stats.bounced++;
	} else if (req->left > PAGE_SIZE) {
		large |= khx_blk_window_pages(req) > KHX_BLK_INLINE_PAGES;
	}
	if (large && !khx_blk_pool_get_large(pool, req))
		return -EAGAIN;
	khx_blk_request_keep_chain(req);
	req->bytes = req->left;
	queue->bytes_in_flight += req->bytes;
	return 0;
}

/* Where data begins that stands behind @offset bytes of header. */
static void khx_blk_request_seek(struct khx_blk_request *req, u32 seg,
				 u32 offset)
{
	while (offset >= req->chain.iov[seg].iov_len)
		offset -= req->chain.iov[seg++].iov_len;
	req->seg = seg;
	req->seg_offset = offset;
}

static int khx_blk_request_move(struct khx_blk_request *req, u64 sector,
				u64 len)
{
	int ret;

	if (len % SECTOR_SIZE || len > KHX_BLK_BYTES_MAX ||
	    !khx_blk_request_in_range(req, sector, len >> SECTOR_SHIFT))
		return -EINVAL;
	if (!len)
		return 0;

	if (req->op == KHX_BLK_READ)
		khx_blk_request_seek(req, req->chain.nr_out, 0);
	else
		khx_blk_request_seek(req, 0, sizeof(struct virtio_blk_outhdr));
	req->left = len;
	ret = khx_blk_request_prepare(req);
	if (ret)
		return ret;

	req->pos = sector << SECTOR_SHIFT;
	req->len = 0;
	ret = khx_blk_window_fill(req);
	if (ret)
		return ret;
	req->queue->vq.stats.bytes += len;
	req->queue->stats.ops[req->op].bytes += len;
	return khx_blk_request_submit(req);
}

static int khx_blk_request_read(struct khx_blk_request *req, u64 sector)
{
	req->op = KHX_BLK_READ;
	return khx_blk_request_move(req, sector, req->chain.len_in - 1);
}

static int khx_blk_request_write(struct khx_blk_request *req, u64 sector)
{
	req->op = KHX_BLK_WRITE;
	if (req->queue->blk->backend->readonly)
		return -EROFS;
	return khx_blk_request_move(req, sector, req->chain.len_out -
				    sizeof(struct virtio_blk_outhdr));
}

static int khx_blk_request_flush(struct khx_blk_request *req)
{
	int ret;

	req->op = KHX_BLK_FLUSH;
	if (req->queue->blk->backend->readonly)
		return 0;
	ret = khx_blk_request_prepare(req);
	return ret ?: khx_blk_request_submit(req);
}

static int khx_blk_request_get_id(struct khx_blk_request *req)
{
	u32 len = min_t(u32, req->chain.len_in - 1, KHX_BLK_SERIAL);

	if (!len)
		return 0;
	if (khx_blk_chain_write(&req->chain, 0, req->queue->blk->serial, len))
		return khx_killed_or_fault();
	return 0;
}

/* Read the range of a DISCARD or WRITE_ZEROES and check it. */
static int khx_blk_request_range(struct khx_blk_request *req, u32 max,
				 u32 allowed)
{
	const u32 hdr_len = sizeof(struct virtio_blk_outhdr);
	struct virtio_blk_discard_write_zeroes range;
	u64 sector;
	u32 nr, flags;

	if (req->queue->blk->backend->readonly)
		return -EROFS;
	if (!max)
		return -EOPNOTSUPP;
	if (req->chain.len_out != hdr_len + sizeof(range))
		return -EINVAL;
	if (khx_blk_chain_read(&req->chain, hdr_len, &range, sizeof(range)))
		return khx_killed_or_fault();
	sector = le64_to_cpu(range.sector);
	nr = le32_to_cpu(range.num_sectors);
	flags = le32_to_cpu(range.flags);

	if (flags & ~allowed)
		return -EOPNOTSUPP;
	if (nr > max || !khx_blk_request_in_range(req, sector, nr))
		return -EINVAL;
	req->unmap = flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	req->pos = sector << SECTOR_SHIFT;
	req->len = (u64)nr << SECTOR_SHIFT;
	return 0;
}

static int khx_blk_request_clear(struct khx_blk_request *req,
				 enum khx_blk_op op, u32 max, u32 allowed)
{
	int ret;

	req->op = op;
	ret = khx_blk_request_range(req, max, allowed);
	if (ret || !req->len)
		return ret;
	ret = khx_blk_request_prepare(req);
	return ret ?: khx_blk_request_submit(req);
}

/* What it asks for. All drivers have the header in one segment. */
static int khx_blk_request_read_header(const struct khx_blk_request *req,
				       struct virtio_blk_outhdr *hdr)
{
	const struct iovec *iov = req->chain.iov;
	const struct virtio_blk_outhdr __user *from = iov->iov_base;

	if (unlikely(iov->iov_len < sizeof(*hdr)))
		return khx_blk_chain_read(&req->chain, 0, hdr, sizeof(*hdr));
	if (!user_access_begin(from, sizeof(*from)))
		return -EFAULT;
	unsafe_get_user(hdr->type, &from->type, err_fault);
	unsafe_get_user(hdr->sector, &from->sector, err_fault);
	user_access_end();
	return 0;

err_fault:
	user_access_end();
	return -EFAULT;
}

/* Returns -EIOCBQUEUED, -EAGAIN, -EINTR, or how the request ends at once. */
static int khx_blk_request_begin(struct khx_blk_request *req)
{
	const struct khx_blk_limits *limits = &req->queue->blk->backend->limits;
	const struct khx_virtqueue *vq = &req->queue->vq;
	struct virtio_blk_outhdr hdr;
	u64 sector;

	if (req->chain.len_out < sizeof(hdr))
		return -EINVAL;
	if (khx_blk_request_read_header(req, &hdr))
		return khx_killed_or_fault();
	sector = khx64_to_cpu(vq, hdr.sector);

	switch (khx32_to_cpu(vq, hdr.type)) {
	case VIRTIO_BLK_T_IN:
		return khx_blk_request_read(req, sector);
	case VIRTIO_BLK_T_OUT:
		return khx_blk_request_write(req, sector);
	case VIRTIO_BLK_T_FLUSH:
		return khx_blk_request_flush(req);
	case VIRTIO_BLK_T_GET_ID:
		return khx_blk_request_get_id(req);
	case VIRTIO_BLK_T_DISCARD:
		return khx_blk_request_clear(req, KHX_BLK_DISCARD,
					     limits->discard_sectors, 0);
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return khx_blk_request_clear(req, KHX_BLK_ZEROES,
					     limits->zeroes_sectors,
					     VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP);
	default:
		return -EOPNOTSUPP;
	}
}

/**
 * khx_blk_request_start - take a request from a chain
 * @queue: queue
 * @chain: just fetched
 *
 * Return: 0 when it is in flight or finished; -EAGAIN when the pool has
 * nothing for it now; -EINTR when we are being killed; another negative errno
 * when it has no room for a status and the virtqueue was stopped.
 */
int khx_blk_request_start(struct khx_blk_queue *queue,
			  const struct khx_chain *chain)
{
	struct khx_blk_request *req;
	int ret;

	lockdep_assert_held(&queue->vq.mutex);
	if (!chain->len_in)
		return khx_virtqueue_fail(&queue->vq, -EINVAL,
					  "request without a status");
	req = khx_blk_pool_get(queue->pool);
	if (!req)
		return -EAGAIN;
	req->chain = *chain;
	req->start_ns = queue->now_ns;
	req->stable = !queue->writeback;
	req->op = KHX_BLK_OPS;

	queue->in_flight++;
	ret = khx_blk_request_begin(req);
	if (ret == -EIOCBQUEUED)
		return 0;
	if (ret != -EAGAIN && ret != -EINTR) {
		/* The request may be reused before the batch is published. */
		req->chain = *chain;
		ret = khx_blk_request_finish(req, ret);
	}
	if (ret)
		khx_blk_queue_lose(queue, req);
	return ret;
}

/*
 * The next window, unless since the last the disk has become smaller, or the
 * owner has put the data where the backend cannot take it from.
 */
static int khx_blk_request_next(struct khx_blk_request *req)
{
	u64 end = (req->pos + req->len + req->left) >> SECTOR_SHIFT;
	int ret;

	if (end > khx_blk_config_sectors(req->queue->blk) ||
	    (!req->bounced && !khx_blk_request_is_aligned(req)))
		return -EIO;
	ret = khx_blk_window_fill(req);
	return ret ?: khx_blk_request_submit(req);
}

/**
 * khx_blk_request_step - go on with a request that the backend has completed
 * @req: request
 */
void khx_blk_request_step(struct khx_blk_request *req)
{
	int ret;

	lockdep_assert_held(&req->queue->vq.mutex);
	ret = khx_blk_window_release(req);
	ret = req->error ?: ret;
	if (!ret && req->left)
		ret = khx_blk_request_next(req);
	if (ret == -EIOCBQUEUED)
		return;
	/* Only ours: what a backend says of interruptions is one more error. */
	if (ret != -EINTR || req->error) {
		/* For who comes after us, if we are being killed. */
		req->error = ret;
		ret = khx_blk_request_finish(req, ret);
	}
	if (ret)
		khx_blk_queue_redo(req->queue, req);
}
