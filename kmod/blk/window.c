// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Windows
 *
 * A request may be of any length up to many megabytes, the memory set aside
 * for it is not: its data moves a window at a time. A window is some pages of
 * the guest, pinned, so that the backend can move data from and to them
 * without a copy and without the owner's page tables. When the backend is
 * done with it, the next window of the request follows.
 *
 * Windows are whole blocks of the backend. Segments that no device could
 * take, because their address is odd or because a block is cut between two,
 * are legal in virtio: the data of such a request is copied through pages of
 * the pool instead.
 */
#include <linux/blkdev.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "blk/backend.h"
#include "blk/blk.h"
#include "blk/pool.h"
#include "blk/window.h"
#include "core/killed.h"

/* Find byte @offset of @iov; returns the segment, and the offset in it. */
static const struct iovec *khx_blk_iov_skip(const struct iovec *iov,
					    u32 *offset)
{
	while (*offset >= iov->iov_len) {
		*offset -= iov->iov_len;
		iov++;
	}
	return iov;
}

/**
 * khx_blk_chain_read - copy from the readable part of a chain
 * @chain: chain
 * @offset: first byte
 * @to: where to
 * @len: bytes; the chain has that many behind @offset
 *
 * Return: 0 or -EFAULT.
 */
int khx_blk_chain_read(const struct khx_chain *chain, u32 offset, void *to,
		       u32 len)
{
	const struct iovec *iov = khx_blk_iov_skip(chain->iov, &offset);
	size_t size;

	for (; len; len -= size, to += size, offset = 0, iov++) {
		size = min_t(size_t, len, iov->iov_len - offset);
		if (copy_from_user(to, iov->iov_base + offset, size))
			return -EFAULT;
	}
	return 0;
}

/* The same into the writable part. */
int khx_blk_chain_write(const struct khx_chain *chain, u32 offset,
			const void *from, u32 len)
{
	const struct iovec *iov = khx_blk_iov_skip(chain->iov + chain->nr_out,
						   &offset);
	size_t size;

	for (; len; len -= size, from += size, offset = 0, iov++) {
		size = min_t(size_t, len, iov->iov_len - offset);
		if (copy_to_user(iov->iov_base + offset, from, size))
			return -EFAULT;
	}
	return 0;
}

/* Data of a request that was not begun, segment by segment. */
#define khx_blk_for_each_segment(req, i, offset, rest, size)		\
	for (i = (req)->seg, offset = (req)->seg_offset,		\
	     rest = (req)->left;					\
	     rest && (size = min_t(u64, rest,				\
				   (req)->chain.iov[i].iov_len - offset), 1); \
	     rest -= size, i++, offset = 0)

/**
 * khx_blk_window_is_aligned - can the backend use the guest's pages?
 * @req: request, its data not begun
 * @mask: bits that must be clear in addresses
 * @block: all segments must be multiples of
 */
bool khx_blk_window_is_aligned(const struct khx_blk_request *req, u32 mask,
			       u32 block)
{
	unsigned long bits = 0, sizes = 0;
	u32 i, offset;
	u64 rest, size;

	khx_blk_for_each_segment(req, i, offset, rest, size) {
		bits |= (unsigned long)req->chain.iov[i].iov_base + offset;
		sizes |= size;
	}
	return !(bits & mask) && !(sizes & (block - 1));
}

/* How many pages the data of a request touches. */
u32 khx_blk_window_pages(const struct khx_blk_request *req)
{
	u32 i, offset, pages = 0;
	u64 rest, size;

	khx_blk_for_each_segment(req, i, offset, rest, size) {
		unsigned long addr =
			(unsigned long)req->chain.iov[i].iov_base + offset;

		pages += DIV_ROUND_UP(offset_in_page(addr) + size, PAGE_SIZE);
	}
	return pages;
}

/* Go over @size bytes of the data, all in one segment. */
static void khx_blk_window_advance(struct khx_blk_request *req, u64 size)
{
	req->seg_offset += size;
	if (req->seg_offset == req->chain.iov[req->seg].iov_len) {
		req->seg_offset = 0;
		req->seg++;
	}
}

static unsigned int khx_blk_bvec_pages(const struct bio_vec *bvec)
{
	return DIV_ROUND_UP(bvec->bv_offset + bvec->bv_len, PAGE_SIZE);
}

/* Append a part of a page, to the last entry if it follows in memory. */
static void khx_blk_window_add_page(struct khx_blk_request *req,
				    struct page *page, u32 offset, u32 len)
{
	struct bio_vec *last = &req->bvecs[req->nr_bvecs] - 1;

	if (req->nr_bvecs && !offset &&
	    page_to_pfn(page) == page_to_pfn(last->bv_page) +
				 khx_blk_bvec_pages(last) &&
	    PAGE_ALIGNED(last->bv_offset + last->bv_len)) {
		last->bv_len += len;
		return;
	}
	req->bvecs[req->nr_bvecs++] = (struct bio_vec) {
		.bv_page = page,
		.bv_offset = offset,
		.bv_len = len,
	};
}

static void khx_blk_window_unpin(struct khx_blk_request *req, bool dirty)
{
	unsigned int i;

	for (i = 0; i < req->nr_bvecs; i++)
		unpin_user_page_range_dirty_lock(req->bvecs[i].bv_page,
						 khx_blk_bvec_pages(&req->bvecs[i]),
						 dirty);
	req->nr_bvecs = 0;
}

/* Pin @size bytes at the cursor. Returns how many pages, -EFAULT or -EINTR. */
static int khx_blk_window_pin(struct khx_blk_request *req, unsigned long addr,
			      u64 size)
{
	struct page **pages = req->queue->pool->pages;
	u32 offset = offset_in_page(addr), len;
	int i, n = DIV_ROUND_UP(offset + size, PAGE_SIZE), pinned;

	pinned = pin_user_pages_fast(addr - offset, n,
				     req->op == KHX_BLK_READ ? FOLL_WRITE : 0,
				     pages);
	if (pinned != n) {
		if (pinned > 0)
			unpin_user_pages(pages, pinned);
		return khx_killed_or_fault();
	}
	for (i = 0; i < n; i++, offset = 0, size -= len) {
		len = min_t(u64, size, PAGE_SIZE - offset);
		khx_blk_window_add_page(req, pages[i], offset, len);
	}
	return n;
}

static int khx_blk_window_fill_pinned(struct khx_blk_request *req)
{
	u32 block = req->queue->blk->backend->limits.block;
	u32 pages = req->max_pages;
	unsigned long addr;
	u64 segment, size;
	int n;

	while (req->left && pages) {
		const struct iovec *iov = &req->chain.iov[req->seg];

		addr = (unsigned long)iov->iov_base + req->seg_offset;
		segment = min_t(u64, req->left, iov->iov_len - req->seg_offset);
		size = min_t(u64, segment,
			     pages * PAGE_SIZE - offset_in_page(addr));
		if (size < segment)
			size = round_down(size, block);
		if (!size)
			break;

		n = khx_blk_window_pin(req, addr, size);
		if (n < 0) {
			khx_blk_window_unpin(req, false);
			return n;
		}
		pages -= n;
		req->len += size;
		req->left -= size;
		khx_blk_window_advance(req, size);
	}
	return 0;
}

/* Copy between the guest's segments, from the cursor on, and a page. */
static int khx_blk_window_copy(struct khx_blk_request *req, struct page *page,
			       u32 len)
{
	void *addr = page_address(page);
	size_t size, missed;

	for (; len; len -= size, addr += size) {
		const struct iovec *iov = &req->chain.iov[req->seg];
		void __user *uaddr = iov->iov_base + req->seg_offset;

		size = min_t(size_t, len, iov->iov_len - req->seg_offset);
		missed = req->op == KHX_BLK_READ ?
			 copy_to_user(uaddr, addr, size) :
			 copy_from_user(addr, uaddr, size);
		if (missed)
			return khx_killed_or_fault();
		khx_blk_window_advance(req, size);
	}
	return 0;
}

static int khx_blk_window_fill_bounce(struct khx_blk_request *req)
{
	struct page **pages = req->queue->pool->bounce;
	u64 rest;
	u32 len;
	int ret;

	req->len = min_t(u64, req->left, KHX_BLK_BOUNCE_PAGES * PAGE_SIZE);
	for (rest = req->len; rest; rest -= len, pages++) {
		len = min_t(u64, rest, PAGE_SIZE);
		ret = req->op == KHX_BLK_WRITE ?
		      khx_blk_window_copy(req, *pages, len) : 0;
		if (ret)
			return ret;
		req->bvecs[req->nr_bvecs++] = (struct bio_vec) {
			.bv_page = *pages,
			.bv_len = len,
		};
	}
	req->left -= req->len;
	return 0;
}

/**
 * khx_blk_window_fill - make the next part of a request ready for the backend
 * @req: request with data left, its last window released
 *
 * Sets @pos, @len and @bvecs of the request.
 *
 * Return: 0; -EFAULT when the data is not in memory that is there; -EINTR when
 * we are being killed, with the request as it was.
 */
int khx_blk_window_fill(struct khx_blk_request *req)
{
	u32 seg = req->seg, seg_offset = req->seg_offset;
	u64 len = req->len, left = req->left;
	int ret;

	lockdep_assert_held(&req->queue->vq.mutex);
	req->pos += len;
	req->len = 0;
	ret = req->bounced ? khx_blk_window_fill_bounce(req) :
			     khx_blk_window_fill_pinned(req);
	if (ret == -EINTR) {
		req->pos -= len;
		req->len = len;
		req->left = left;
		req->seg = seg;
		req->seg_offset = seg_offset;
		req->nr_bvecs = 0;
	}
	return ret;
}

static int khx_blk_window_release_bounce(struct khx_blk_request *req)
{
	u32 seg = req->seg, seg_offset = req->seg_offset;
	unsigned int i;
	int ret = 0;

	if (req->op == KHX_BLK_READ && !req->error)
		for (i = 0; i < req->nr_bvecs && !ret; i++)
			ret = khx_blk_window_copy(req, req->bvecs[i].bv_page,
						  req->bvecs[i].bv_len);
	if (ret == -EINTR) {
		req->seg = seg;
		req->seg_offset = seg_offset;
	} else {
		req->nr_bvecs = 0;
	}
	return ret;
}

/**
 * khx_blk_window_release - the backend is done with a window
 * @req: request, with a window or without
 *
 * Return: 0; -EFAULT when what was read could not be copied to the guest; -EINTR
 * when we are being killed, with the request as it was.
 */
int khx_blk_window_release(struct khx_blk_request *req)
{
	lockdep_assert_held(&req->queue->vq.mutex);
	if (req->bounced)
		return khx_blk_window_release_bounce(req);
	khx_blk_window_unpin(req, req->op == KHX_BLK_READ);
	return 0;
}
