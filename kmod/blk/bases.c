// SPDX-License-Identifier: GPL-2.0
/*
 * Where the rings stand, for whoever serves them after an owner that could not
 * ask: a page of memory that the owner shares with others, kept pinned, so that
 * it can be written when the owner's address space has gone.
 */
#include <linux/backing-dev.h>
#include <linux/highmem.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/uaccess.h>

#include "blk/blk.h"

/* Also when the owner goes. */
void khx_blk_bases_drop(struct khx_blk *blk)
{
	lockdep_assert_held(&blk->dev.mutex);
	if (blk->bases_page)
		unpin_user_pages_dirty_lock(&blk->bases_page, 1, true);
	blk->bases_page = NULL;
}

/*
 * A file system that tracks what is dirty does not expect it of a page that it was not
 * told of, and one pinned for so long may be (before 6.5: since then, such a page
 * cannot be pinned). Returns 0, -EFAULT for such a page, or -EINTR: how long it is
 * locked may be the owner's affair, as of a file of his own FUSE server.
 */
static int khx_blk_bases_check(struct page *page)
{
	struct folio *folio = page_folio(page);
	struct address_space *mapping;
	int ret = 0;

	if (folio_lock_killable(folio))
		return -EINTR;
	mapping = folio_mapping(folio);
	if (mapping && mapping_can_writeback(mapping))
		ret = -EFAULT;
	folio_unlock(folio);
	return ret;
}

/**
 * khx_blk_bases_set - KHX_BLK_SET_BASES
 * @blk: disk
 * @argp: user address
 *
 * Context: Owner's task, under the device's mutex.
 */
long khx_blk_bases_set(struct khx_blk *blk, const u64 __user *argp)
{
	struct page *page = NULL;
	u64 address;
	int ret;

	lockdep_assert_held(&blk->dev.mutex);
	if (get_user(address, argp))
		return -EFAULT;
	/* So aligned, it is all in one page. */
	if (address % sizeof(u32[KHX_BLK_QUEUES]))
		return -EINVAL;
	if (address != (unsigned long)address)
		return -EFAULT;
	if (address) {
		ret = pin_user_pages_fast(address, 1,
					  FOLL_WRITE | FOLL_LONGTERM, &page);
		if (ret != 1)
			return ret < 0 ? ret : -EFAULT;
		ret = khx_blk_bases_check(page);
		if (ret) {
			unpin_user_page(page);
			return ret;
		}
	}
	khx_blk_bases_drop(blk);
	blk->bases_page = page;
	blk->bases_offset = offset_in_page(address);
	return 0;
}

/**
 * khx_blk_bases_save - a virtqueue has stopped, and is drained
 * @queue: queue
 *
 * Context: Under the device's and the virtqueue's mutex.
 */
void khx_blk_bases_save(struct khx_blk_queue *queue)
{
	struct khx_virtqueue *vq = &queue->vq;
	struct khx_blk *blk = queue->blk;
	void *page;
	u32 *bases;

	lockdep_assert_held(&vq->dev->mutex);
	lockdep_assert_held(&vq->mutex);
	if (!blk->bases_page)
		return;
	page = kmap_local_page(blk->bases_page);
	bases = page + blk->bases_offset;
	WRITE_ONCE(bases[vq->index], vq->ops->get_base(vq));
	kunmap_local(page);
}
