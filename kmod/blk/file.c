// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Files as disks
 *
 * Reads and writes are first tried without waiting, by the worker itself:
 * data in the page cache, and direct I/O where the file system knows at once
 * where the blocks are, take no thread. What would block, and all the rest, is
 * done by a thread that may wait (threads.c), with what was moved already not
 * moved again.
 *
 * Direct I/O completes later, through ki_complete(), in both cases. Write-
 * through is IOCB_DSYNC, flush is fdatasync, discard punches a hole.
 */
#include <linux/blkdev.h>
#include <linux/cred.h>
#include <linux/falloc.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/stat.h>
#include <linux/uio.h>

#include "blk/backend.h"
#include "blk/blk.h"
#include "core/killed.h"

/* Zeros that are written at once where the file system has no better way. */
#define KHX_BLK_FILE_ZERO_PAGES	16

static struct khx_blk_backend *khx_blk_file_of(struct khx_blk_request *req)
{
	return req->queue->blk->backend;
}

static u64 khx_blk_file_sectors(const struct khx_blk_backend *be)
{
	return i_size_read(file_inode(be->file)) >> SECTOR_SHIFT;
}

/* One piece was moved, or not: what follows? */
static void khx_blk_file_moved(struct khx_blk_request *req, long ret)
{
	if (ret > 0)
		req->moved += ret;
	if (ret > 0 && req->moved == req->len)
		khx_blk_request_done(req, 0);
	else if (ret > 0 ||
		 (ret == -EAGAIN && req->iocb.ki_flags & IOCB_NOWAIT) ||
		 (ret && khx_is_killed()))
		khx_blk_backend_punt(req);
	else
		/* 0: the file was cut off. */
		khx_blk_request_done(req, ret ?: -EIO);
}

/*
 * Direct I/O has two holders, who submits and who completes: file systems look at
 * the kiocb also after the I/O is under way. The last of them goes on with it.
 */
static void khx_blk_file_put_iocb(struct khx_blk_request *req)
{
	if (atomic_dec_and_test(&req->holders))
		khx_blk_file_moved(req, req->result);
}

static void khx_blk_file_complete(struct kiocb *iocb, long ret)
{
	struct khx_blk_request *req = container_of(iocb, struct khx_blk_request,
						   iocb);

	if (req->op == KHX_BLK_WRITE)
		kiocb_end_write(iocb);
	req->result = ret;
	khx_blk_file_put_iocb(req);
}

/* O_APPEND and O_DIRECT can be set at any time; they are not for us. */
static void khx_blk_iocb_init(struct kiocb *iocb, struct file *file, loff_t pos,
			      int flags)
{
	init_sync_kiocb(iocb, file);
	iocb->ki_pos = pos;
	iocb->ki_flags &= IOCB_DSYNC | IOCB_SYNC;
	iocb->ki_flags |= flags;
}

static void khx_blk_file_init_iocb(struct khx_blk_request *req, int flags)
{
	struct khx_blk_backend *be = khx_blk_file_of(req);
	struct kiocb *iocb = &req->iocb;

	khx_blk_iocb_init(iocb, be->file, req->pos + req->moved, flags);
	if (be->direct) {
		iocb->ki_flags |= IOCB_DIRECT;
		iocb->ki_complete = khx_blk_file_complete;
		atomic_set(&req->holders, 2);
	}
	/* Stacked file systems look at it when an asynchronous write ends. */
	if (req->op == KHX_BLK_WRITE)
		iocb->ki_flags |= IOCB_WRITE;
	if (req->op == KHX_BLK_WRITE && req->stable)
		iocb->ki_flags |= IOCB_DSYNC;
}

/*
 * Returns as read_iter() does, and of -EIOCBQUEUED it is over with @req; of a write,
 * write access was got before.
 */
static long khx_blk_file_move(struct khx_blk_request *req, int flags)
{
	struct file *file = khx_blk_file_of(req)->file;
	bool write = req->op == KHX_BLK_WRITE;
	struct iov_iter iter;
	long ret;

	iov_iter_bvec(&iter, write ? ITER_SOURCE : ITER_DEST, req->bvecs,
		      req->nr_bvecs, req->len);
	iov_iter_advance(&iter, req->moved);
	khx_blk_file_init_iocb(req, flags);
	ret = write ? file->f_op->write_iter(&req->iocb, &iter) :
		      file->f_op->read_iter(&req->iocb, &iter);
	if (ret == -EIOCBQUEUED)
		khx_blk_file_put_iocb(req);
	else if (write)
		kiocb_end_write(&req->iocb);
	return ret;
}

/* kiocb_start_write(), unless the file system is frozen. */
static bool khx_blk_file_start_write(struct file *file)
{
	struct super_block *sb = file_inode(file)->i_sb;

	if (!sb_start_write_trylock(sb))
		return false;
	/* Whoever completes the write lets go of it. */
	__sb_writers_release(sb, SB_FREEZE_WRITE);
	return true;
}

/*
 * Can the worker try it? A write that is to be stable waits in the end, and
 * one to a frozen file system even before.
 */
static bool khx_blk_file_may_try(struct khx_blk_request *req)
{
	struct file *file = khx_blk_file_of(req)->file;

	if (!(file->f_mode & FMODE_NOWAIT))
		return false;
	if (req->op == KHX_BLK_READ)
		return true;
	return !req->stable && khx_blk_file_start_write(file);
}

static void khx_blk_file_try(struct khx_blk_request *req)
{
	const struct cred *old;
	long ret;

	old = override_creds(khx_blk_file_of(req)->file->f_cred);
	ret = khx_blk_file_move(req, IOCB_NOWAIT);
	revert_creds(old);
	/* "Would block" of those who cannot say so, for writes or for all. */
	if (ret == -EOPNOTSUPP || ret == -EINVAL)
		ret = -EAGAIN;
	if (ret != -EIOCBQUEUED)
		khx_blk_file_moved(req, ret);
}

static void khx_blk_file_submit(struct khx_blk_request *req)
{
	req->moved = 0;
	if ((req->op == KHX_BLK_READ || req->op == KHX_BLK_WRITE) &&
	    khx_blk_file_may_try(req))
		khx_blk_file_try(req);
	else
		khx_blk_backend_punt(req);
}

static void khx_blk_file_work_move(struct khx_blk_request *req)
{
	long ret;

	if (req->op == KHX_BLK_WRITE) {
		req->iocb.ki_filp = khx_blk_file_of(req)->file;
		kiocb_start_write(&req->iocb);
	}
	ret = khx_blk_file_move(req, 0);
	if (ret != -EIOCBQUEUED)
		khx_blk_file_moved(req, ret);
}

static int khx_blk_file_write_zeroes(struct file *file, loff_t pos, u64 len)
{
	struct bio_vec bvecs[KHX_BLK_FILE_ZERO_PAGES];
	struct iov_iter iter;
	struct kiocb iocb;
	unsigned int i;
	ssize_t ret;
	size_t size;

	for (i = 0; i < ARRAY_SIZE(bvecs); i++)
		bvecs[i] = (struct bio_vec) {
			.bv_page = ZERO_PAGE(0),
			.bv_len = PAGE_SIZE,
		};
	while (len) {
		size = min_t(u64, len, sizeof(bvecs) / sizeof(*bvecs) *
			     PAGE_SIZE);
		iov_iter_bvec(&iter, ITER_SOURCE, bvecs, ARRAY_SIZE(bvecs),
			      size);
		khx_blk_iocb_init(&iocb, file, pos, IOCB_WRITE);
		file_start_write(file);
		ret = file->f_op->write_iter(&iocb, &iter);
		file_end_write(file);
		if (ret <= 0)
			return ret ?: -EIO;
		pos += ret;
		len -= ret;
		cond_resched();
	}
	return 0;
}

static int khx_blk_file_zero(struct khx_blk_request *req)
{
	struct file *file = khx_blk_file_of(req)->file;
	int mode = FALLOC_FL_ZERO_RANGE;
	int ret;

	if (req->unmap || req->op == KHX_BLK_DISCARD)
		mode = FALLOC_FL_PUNCH_HOLE;
	ret = vfs_fallocate(file, mode | FALLOC_FL_KEEP_SIZE, req->pos,
			    req->len);
	if (ret != -EOPNOTSUPP || req->op == KHX_BLK_DISCARD)
		return ret;
	return khx_blk_file_write_zeroes(file, req->pos, req->len);
}

static void khx_blk_file_work(struct khx_blk_request *req)
{
	struct file *file = khx_blk_file_of(req)->file;
	bool again = true;
	int ret = 0;

	if (req->op == KHX_BLK_READ || req->op == KHX_BLK_WRITE) {
		khx_blk_file_work_move(req);
		return;
	}
	if (req->op != KHX_BLK_FLUSH)
		ret = khx_blk_file_zero(req);
	if (!ret && (req->op == KHX_BLK_FLUSH || req->stable)) {
		ret = vfs_fsync(file, 1);
		/* Of a write-back that failed, only one flush is told. */
		again = ret == -EINTR || ret == -ERESTARTSYS;
	}
	if (ret && again && khx_is_killed())
		khx_blk_backend_punt(req);
	else
		khx_blk_request_done(req, ret);
}

static void khx_blk_file_release(struct khx_blk_backend *be)
{
}

static const struct khx_blk_backend_ops khx_blk_file_ops = {
	.name		= "file",
	.sectors	= khx_blk_file_sectors,
	.submit		= khx_blk_file_submit,
	.work		= khx_blk_file_work,
	.release	= khx_blk_file_release,
};

/* What direct I/O asks for: what the file system says, or its device. */
static int khx_blk_file_set_direct(struct khx_blk_backend *be)
{
	struct super_block *sb = file_inode(be->file)->i_sb;
	struct kstat stat;
	int ret;

	if (!(be->file->f_mode & FMODE_CAN_ODIRECT))
		return -EOPNOTSUPP;
	ret = vfs_getattr(&be->file->f_path, &stat, STATX_DIOALIGN,
			  AT_STATX_SYNC_AS_STAT);
	if (ret)
		return ret;
	if (stat.result_mask & STATX_DIOALIGN && stat.dio_offset_align) {
		be->limits.block = stat.dio_offset_align;
		be->limits.memory_mask = stat.dio_mem_align - 1;
	} else if (sb->s_bdev) {
		be->limits.block = bdev_logical_block_size(sb->s_bdev);
		be->limits.memory_mask = be->limits.block - 1;
	}
	be->limits.memory_mask |= 3;
	return 0;
}

/*
 * Would its owner answer our requests himself? Then he could hold up as many
 * threads as he likes, that are charged to nobody, and never let us go. Whoever
 * may do worse anyway may have such a file: the credentials are the opener's.
 */
static bool khx_blk_file_is_trusted(struct file *file)
{
	struct super_block *sb = file_inode(file)->i_sb;

	return (sb->s_magic != FUSE_SUPER_MAGIC &&
		sb->s_user_ns == &init_user_ns) ||
	       file_ns_capable(file, &init_user_ns, CAP_SYS_ADMIN);
}

/**
 * khx_blk_file_init - a backend on a regular file
 * @be: its file is one
 *
 * Return: 0 or an error of KHX_BLK_SET_BACKEND.
 */
int khx_blk_file_init(struct khx_blk_backend *be)
{
	struct inode *inode = file_inode(be->file);
	loff_t size = i_size_read(inode);
	int ret;

	if (IS_SWAPFILE(inode))
		return -ETXTBSY;
	if (!khx_blk_file_is_trusted(be->file))
		return -EACCES;
	if (!size || size % SECTOR_SIZE || !be->file->f_op->read_iter ||
	    (!be->readonly && !be->file->f_op->write_iter))
		return -EINVAL;

	be->ops = &khx_blk_file_ops;
	be->limits.block = SECTOR_SIZE;
	if (be->direct) {
		ret = khx_blk_file_set_direct(be);
		if (ret)
			return ret;
	}
	if (be->limits.block < SECTOR_SIZE || be->limits.block > PAGE_SIZE ||
	    size % be->limits.block)
		return -EINVAL;

	be->limits.physical = max(be->limits.block, i_blocksize(inode));
	be->limits.io_min = be->limits.physical;
	if (be->file->f_op->fallocate) {
		be->limits.discard_sectors = KHX_BLK_DISCARD_SECTORS;
		be->limits.discard_granularity = be->limits.physical;
	}
	be->limits.zeroes_sectors = KHX_BLK_ZEROES_SECTORS;
	return 0;
}
