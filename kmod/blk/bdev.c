// SPDX-License-Identifier: GPL-2.0
/*
 * Block devices: bios straight from the guest's pages. The page cache of the
 * device is bypassed; what the host has in it is written when the disk is
 * attached. If the guest may write it is also dropped, and again in the end, so
 * that who looks at the device afterwards sees what the guest wrote.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>

#include "blk/backend.h"
#include "blk/blk.h"

static struct block_device *khx_blk_bdev_of(const struct khx_blk_backend *be)
{
	return I_BDEV(be->file->f_mapping->host);
}

/* swapon can come at any time; write() asks the same. */
static bool khx_blk_bdev_is_swap(const struct khx_blk_backend *be)
{
	return IS_SWAPFILE(be->file->f_mapping->host);
}

static u64 khx_blk_bdev_sectors(const struct khx_blk_backend *be)
{
	return bdev_nr_sectors(khx_blk_bdev_of(be));
}

static void khx_blk_bdev_end_io(struct bio *bio)
{
	struct khx_blk_request *req = container_of(bio, struct khx_blk_request,
						   bio);
	int error = blk_status_to_errno(bio->bi_status);

	bio_uninit(bio);
	khx_blk_request_done(req, error);
}

static blk_opf_t khx_blk_bdev_opf(const struct khx_blk_request *req)
{
	switch (req->op) {
	case KHX_BLK_READ:
		return REQ_OP_READ;
	case KHX_BLK_FLUSH:
		return REQ_OP_WRITE | REQ_PREFLUSH;
	default:
		return REQ_OP_WRITE | REQ_SYNC | REQ_IDLE |
		       (req->stable ? REQ_FUA : 0);
	}
}

static void khx_blk_bdev_submit_bio(struct khx_blk_request *req)
{
	struct block_device *bdev = khx_blk_bdev_of(req->queue->blk->backend);
	blk_opf_t opf = khx_blk_bdev_opf(req);
	struct bio *bio = &req->bio;

	/* Alone, it has nothing to be merged with. */
	if (req->queue->in_flight == 1 && !current->plug)
		opf |= REQ_NOMERGE;
	bio_init(bio, bdev, req->bvecs, req->nr_bvecs, opf);
	if (req->op != KHX_BLK_FLUSH) {
		/* The table is complete: no bio_add_page() for each page. */
		bio->bi_vcnt = req->nr_bvecs;
		bio->bi_iter.bi_size = req->len;
		bio->bi_iter.bi_sector = req->pos >> SECTOR_SHIFT;
	}
	bio->bi_end_io = khx_blk_bdev_end_io;
	submit_bio(bio);
}

static void khx_blk_bdev_submit(struct khx_blk_request *req)
{
	struct khx_blk_backend *be = req->queue->blk->backend;
	bool write = req->op != KHX_BLK_READ;

	/* It may have become so; the block layer warns of such writes. */
	if (write && bdev_read_only(khx_blk_bdev_of(be)))
		khx_blk_request_done(req, -EROFS);
	else if (write && unlikely(khx_blk_bdev_is_swap(be)))
		khx_blk_request_done(req, -ETXTBSY);
	else if (req->op == KHX_BLK_DISCARD || req->op == KHX_BLK_ZEROES)
		khx_blk_backend_punt(req);
	else
		khx_blk_bdev_submit_bio(req);
}

/* The helpers for ranges split them and wait, hence are not for the worker. */
static void khx_blk_bdev_work(struct khx_blk_request *req)
{
	struct block_device *bdev = khx_blk_bdev_of(req->queue->blk->backend);
	sector_t sector = req->pos >> SECTOR_SHIFT;
	sector_t nr = req->len >> SECTOR_SHIFT;
	int ret;

	if (req->op == KHX_BLK_DISCARD)
		ret = blkdev_issue_discard(bdev, sector, nr, GFP_NOIO);
	else
		ret = blkdev_issue_zeroout(bdev, sector, nr, GFP_NOIO,
					   req->unmap ? 0 :
					   BLKDEV_ZERO_NOUNMAP);
	if (!ret && req->stable)
		ret = blkdev_issue_flush(bdev);
	khx_blk_request_done(req, ret);
}

static void khx_blk_bdev_release(struct khx_blk_backend *be)
{
	if (!be->readonly)
		invalidate_bdev(khx_blk_bdev_of(be));
}

static const struct khx_blk_backend_ops khx_blk_bdev_ops = {
	.name		= "bdev",
	.sectors	= khx_blk_bdev_sectors,
	.submit		= khx_blk_bdev_submit,
	.work		= khx_blk_bdev_work,
	.release	= khx_blk_bdev_release,
};

static void khx_blk_bdev_set_limits(struct khx_blk_limits *limits,
				    struct block_device *bdev)
{
	int alignment = bdev_alignment_offset(bdev);

	limits->block = bdev_logical_block_size(bdev);
	limits->physical = bdev_physical_block_size(bdev);
	limits->io_min = bdev_io_min(bdev);
	limits->io_opt = bdev_io_opt(bdev);
	limits->alignment = max(alignment, 0);
	/* Odd addresses are not worth trusting any driver with. */
	limits->memory_mask = bdev_dma_alignment(bdev) | 3;
	if (bdev_max_discard_sectors(bdev)) {
		limits->discard_sectors = KHX_BLK_DISCARD_SECTORS;
		limits->discard_granularity = bdev_discard_granularity(bdev);
	}
	limits->zeroes_sectors = KHX_BLK_ZEROES_SECTORS;
}

/**
 * khx_blk_bdev_init - a backend on a block device
 * @be: its file is one
 *
 * Return: 0 or an error of KHX_BLK_SET_BACKEND.
 */
int khx_blk_bdev_init(struct khx_blk_backend *be)
{
	struct block_device *bdev = khx_blk_bdev_of(be);
	int ret;

	if (bdev_is_zoned(bdev))
		return -EOPNOTSUPP;
	if (!bdev_nr_sectors(bdev) || bdev_logical_block_size(bdev) > PAGE_SIZE)
		return -EINVAL;
	if (khx_blk_bdev_is_swap(be))
		return -ETXTBSY;
	if (bdev_read_only(bdev))
		be->readonly = true;
	ret = sync_blockdev(bdev);
	if (ret)
		return ret;
	/* BLKFLSBUF needs CAP_SYS_ADMIN; here, to be able to write will do. */
	if (!be->readonly)
		invalidate_bdev(bdev);

	be->ops = &khx_blk_bdev_ops;
	khx_blk_bdev_set_limits(&be->limits, bdev);
	return 0;
}
