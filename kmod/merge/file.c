// SPDX-License-Identifier: GPL-2.0
/* What can be done with an open khxmem file. */
#include <linux/blk_types.h>
#include <linux/falloc.h>
#include <linux/highmem.h>
#include <linux/huge_mm.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/uio.h>

#include "compat/vfs.h"
#include "block.h"
#include "fault.h"
#include "file.h"
#include "history.h"
#include "index.h"
#include "page.h"

/* Who first maps the file, or writes it, pays for what no task asks for. */
static void khx_merge_file_charge(struct khx_merge_file *file)
{
	struct mem_cgroup *memcg;

	if (READ_ONCE(file->memcg))
		return;
	memcg = get_mem_cgroup_from_mm(current->mm);
	if (cmpxchg(&file->memcg, NULL, memcg))
		mem_cgroup_put(memcg);
}

/* The first task to map the file is taken for the owner of the memory. */
static void khx_merge_file_adopt(struct khx_merge_file *file)
{
	cmpxchg(&file->owner, 0, task_tgid_nr(current));
	khx_merge_file_charge(file);
}

static int khx_merge_file_mmap(struct file *filp, struct vm_area_struct *vma)
{
	struct khx_merge_file *file = khx_merge_file(file_inode(filp));
	bool nomerge = khx_merge_file_super(file)->opt.nomerge;

	/*
	 * Makes the mapping one that mlock() and khugepaged leave alone: mlock
	 * would keep references to pages in per-CPU lists, and no locked page
	 * could ever be merged. Our pages are not swapped anyway.
	 */
	vm_flags_set(vma, VM_DONTEXPAND);
	vma->vm_ops = nomerge ? &khx_merge_nomerge_vm_ops : &khx_merge_vm_ops;
	khx_merge_file_adopt(file);
	file_accessed(filp);
	return 0;
}

/*
 * Copies one page's worth without its lock, so that the user's buffer may be a
 * mapping of the same page. The reference keeps the scanner off it meanwhile.
 */
static ssize_t khx_merge_file_read_page(struct khx_merge_file *file, loff_t pos,
					size_t len, struct iov_iter *to)
{
	enum khx_merge_state state;
	pgoff_t index = pos >> PAGE_SHIFT;
	ssize_t copied = -EIO;
	struct folio *folio;
	struct page *page;

	folio = khx_merge_block_get(file, index) ?:
		khx_merge_index_get(file, index, &state);
	if (!folio)
		return iov_iter_zero(len, to) ?: -EFAULT;
	page = khx_merge_block_page(folio, index);
	if (!PageHWPoison(page))
		copied = copy_page_to_iter(page, offset_in_page(pos), len, to) ?:
			 -EFAULT;
	folio_put(folio);
	return copied;
}

static ssize_t khx_merge_file_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t done = 0;

	while (iov_iter_count(to)) {
		loff_t left = i_size_read(inode) - iocb->ki_pos;
		ssize_t copied;
		size_t len;

		if (left <= 0)
			break;
		len = min_t(loff_t, left,
			    PAGE_SIZE - offset_in_page(iocb->ki_pos));
		len = min(len, iov_iter_count(to));
		copied = khx_merge_file_read_page(khx_merge_file(inode),
						  iocb->ki_pos, len, to);
		if (copied < 0)
			return done ?: copied;
		iocb->ki_pos += copied;
		done += copied;
		cond_resched();
		if (fatal_signal_pending(current))
			return done ?: -EINTR;
	}
	file_accessed(iocb->ki_filp);
	return done;
}

/* As khx_merge_page_writable(), for system calls: what lies in bad memory is EIO. */
static struct folio *khx_merge_file_page(struct khx_merge_file *file,
					 pgoff_t index)
{
	struct folio *folio = khx_merge_page_writable(file, index, NULL, 0);

	if (folio == ERR_PTR(-EHWPOISON))
		return ERR_PTR(-EIO);
	if (IS_ERR(folio) || !PageHWPoison(khx_merge_block_page(folio, index)))
		return folio;
	khx_merge_index_unlock(folio);
	return ERR_PTR(-EIO);
}

/*
 * The page is locked while it is written, so the user's buffer must not fault:
 * it is brought in before, and what it lacks after all is left for another try.
 */
static ssize_t khx_merge_file_write_page(struct khx_merge_file *file, loff_t pos,
					 size_t len, struct iov_iter *from)
{
	pgoff_t index = pos >> PAGE_SHIFT;
	struct folio *folio;
	size_t copied;

	if (fault_in_iov_iter_readable(from, len) == len)
		return -EFAULT;
	folio = khx_merge_file_page(file, index);
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	copied = copy_page_from_iter_atomic(khx_merge_block_page(folio, index),
					    offset_in_page(pos), len, from);
	if (copied && pos + copied > i_size_read(&file->inode))
		i_size_write(&file->inode, pos + copied);
	khx_merge_index_unlock(folio);
	return copied;
}

static ssize_t khx_merge_file_write_all(struct kiocb *iocb, struct iov_iter *from)
{
	struct khx_merge_file *file = khx_merge_file(file_inode(iocb->ki_filp));
	ssize_t done = 0, ret = 0;

	while (iov_iter_count(from)) {
		size_t len = min(PAGE_SIZE - offset_in_page(iocb->ki_pos),
				 iov_iter_count(from));

		if (fatal_signal_pending(current)) {
			ret = -EINTR;
			break;
		}
		ret = khx_merge_file_write_page(file, iocb->ki_pos, len, from);
		if (ret < 0)
			break;
		iocb->ki_pos += ret;
		done += ret;
		cond_resched();
	}
	return done ?: ret;
}

static ssize_t khx_merge_file_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct inode *inode = file_inode(iocb->ki_filp);
	ssize_t ret;

	khx_merge_file_charge(khx_merge_file(inode));
	inode_lock(inode);
	ret = generic_write_checks(iocb, from);
	if (ret <= 0)
		goto out;
	ret = file_remove_privs(iocb->ki_filp);
	if (ret)
		goto out;
	ret = file_update_time(iocb->ki_filp);
	if (ret)
		goto out;
	ret = khx_merge_file_write_all(iocb, from);
out:
	inode_unlock(inode);
	return ret;
}

/* Is there memory at @index? */
static bool khx_merge_file_holds(struct khx_merge_file *file, pgoff_t index)
{
	struct folio *folio = khx_merge_block_get(file, index);

	if (folio) {
		folio_put(folio);
		return true;
	}
	switch (khx_merge_index_peek(&file->pages, index)) {
	case KHX_MERGE_PAGE_HOLE:
	case KHX_MERGE_PAGE_ZERO:
		return false;
	default:
		return true;
	}
}

/* Zeroes [@start, @end) of one page; a hole is zero already. */
static int khx_merge_file_zero_part(struct khx_merge_file *file, loff_t start,
				    loff_t end)
{
	pgoff_t index = start >> PAGE_SHIFT;
	struct folio *folio;

	if (start >= end || !khx_merge_file_holds(file, index))
		return 0;
	folio = khx_merge_file_page(file, index);
	if (folio == ERR_PTR(-ENOSPC))
		return 0;	/* merging has made it a hole meanwhile */
	if (IS_ERR(folio))
		return PTR_ERR(folio);
	memzero_page(khx_merge_block_page(folio, index), offset_in_page(start),
		     end - start);
	khx_merge_index_unlock(folio);
	return 0;
}

/*
 * Who is about to map the file keeps others out, and waits for those who walk its
 * mappings. What may come between this and the walk is one of these, by accident.
 */
bool khx_merge_file_may_unmap(struct khx_merge_file *file)
{
	struct rw_semaphore *mappings = &file->inode.i_mapping->i_mmap_rwsem;

	if (!down_read_trylock(mappings))
		return false;
	up_read(mappings);
	return true;
}

void khx_merge_file_drop(struct khx_merge_file *file, pgoff_t start, pgoff_t end)
{
	unsigned long index;
	void *entry;

	if (start >= end)
		return;
	khx_merge_block_drop(file, start, end);
	xa_for_each_range(&file->pages, index, entry, start, end - 1) {
		khx_merge_page_drop(file, index, end == ULONG_MAX);
		cond_resched();
	}
	khx_merge_history_forget(file, start, end);
}

/* [@start, @end) reads as zeros from here on; what is whole is given back. */
static int khx_merge_file_punch(struct khx_merge_file *file, loff_t start,
				loff_t end)
{
	loff_t first = round_up(start, PAGE_SIZE);
	loff_t last = round_down(end, PAGE_SIZE);
	int ret;

	if (first > last)
		return khx_merge_file_zero_part(file, start, end);
	ret = khx_merge_file_zero_part(file, start, first);
	if (!ret)
		ret = khx_merge_file_zero_part(file, last, end);
	if (ret || first == last)
		return ret;
	unmap_mapping_range(file->inode.i_mapping, first, last - first, 0);
	khx_merge_file_drop(file, first >> PAGE_SHIFT, last >> PAGE_SHIFT);
	return 0;
}

/* Gives [@start, @end) pages of its own; what was done stays on failure. */
static int khx_merge_file_populate(struct khx_merge_file *file, loff_t start,
				   loff_t end)
{
	pgoff_t index = start >> PAGE_SHIFT;
	pgoff_t last = DIV_ROUND_UP(end, PAGE_SIZE);
	struct folio *folio;

	for (; index < last; index++) {
		if (signal_pending(current))
			return -EINTR;
		folio = khx_merge_file_page(file, index);
		if (IS_ERR(folio))
			return PTR_ERR(folio);
		khx_merge_index_unlock(folio);
		cond_resched();
	}
	return 0;
}

static int khx_merge_file_allocate(struct khx_merge_file *file, int mode,
				   loff_t start, loff_t end)
{
	struct inode *inode = &file->inode;
	int ret;

	if (!(mode & FALLOC_FL_KEEP_SIZE)) {
		ret = inode_newsize_ok(inode, end);
		if (ret)
			return ret;
	}
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		ret = khx_merge_file_punch(file, start, end);
	else
		ret = khx_merge_file_populate(file, start, end);
	if (!ret && !(mode & FALLOC_FL_KEEP_SIZE) && end > i_size_read(inode))
		i_size_write(inode, end);
	return ret;
}

static long khx_merge_file_fallocate(struct file *filp, int mode, loff_t offset,
				     loff_t len)
{
	struct inode *inode = file_inode(filp);
	long ret;

	switch (mode) {
	case 0:
	case FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE:
	case FALLOC_FL_ZERO_RANGE:
	case FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE:
		break;
	default:
		return -EOPNOTSUPP;
	}

	khx_merge_file_charge(khx_merge_file(inode));
	inode_lock(inode);
	ret = file_modified(filp);
	if (!ret)
		ret = khx_merge_file_allocate(khx_merge_file(inode), mode,
					      offset, offset + len);
	inode_unlock(inode);
	return ret;
}

/*
 * The new size first, so that faults that come later see it, and the mappings
 * after. What is left of the last page must read as zeros if the file grows.
 */
static int khx_merge_file_truncate(struct khx_merge_file *file, loff_t size)
{
	struct inode *inode = &file->inode;
	loff_t old = i_size_read(inode);
	int ret;

	ret = inode_newsize_ok(inode, size);
	if (ret)
		return ret;
	if (size < old && !IS_ALIGNED(size, KHX_MERGE_BLOCK_PAGES << PAGE_SHIFT)) {
		/* Page tables map a 2 MiB page as a whole, or not. */
		ret = khx_merge_block_forbid(file, size >> PAGE_SHIFT);
		if (ret)
			return ret;
		ret = khx_merge_file_zero_part(file, size,
					       round_up(size, PAGE_SIZE));
		if (ret)
			return ret;
	}
	i_size_write(inode, size);
	if (size > old)
		return 0;
	unmap_mapping_range(inode->i_mapping, round_up(size, PAGE_SIZE), 0, 1);
	khx_merge_file_drop(file, DIV_ROUND_UP(size, PAGE_SIZE), ULONG_MAX);
	return 0;
}

static int khx_merge_file_setattr(struct mnt_idmap *idmap, struct dentry *dentry,
				  struct iattr *attr)
{
	struct inode *inode = d_inode(dentry);
	int ret;

	ret = setattr_prepare(idmap, dentry, attr);
	if (ret)
		return ret;
	if (attr->ia_valid & ATTR_SIZE) {
		ret = khx_merge_file_truncate(khx_merge_file(inode),
					      attr->ia_size);
		if (ret)
			return ret;
		if (!(attr->ia_valid & ATTR_MTIME))
			inode_set_mtime_to_ts(inode,
					      inode_set_ctime_current(inode));
	}
	setattr_copy(idmap, inode, attr);
	return 0;
}

/* du counts a merged page for each file that holds it; see super.h. */
static int khx_merge_file_getattr(struct mnt_idmap *idmap,
				  const struct path *path, struct kstat *stat,
				  u32 mask, unsigned int flags)
{
	struct inode *inode = d_inode(path->dentry);
	struct khx_merge_file *file = khx_merge_file(inode);

	khx_fillattr(idmap, mask, inode, stat);
	stat->blocks = (khx_merge_stats_read(&file->stats, KHX_MERGE_STAT_PRIVATE) +
			khx_merge_stats_read(&file->stats, KHX_MERGE_STAT_MERGED)) <<
		       (PAGE_SHIFT - SECTOR_SHIFT);
	return 0;
}

const struct file_operations khx_merge_file_operations = {
	.owner		= THIS_MODULE,
	.llseek		= generic_file_llseek,
	.read_iter	= khx_merge_file_read,
	.write_iter	= khx_merge_file_write,
	.mmap		= khx_merge_file_mmap,
	.get_unmapped_area = thp_get_unmapped_area,
	.fsync		= noop_fsync,
	.fallocate	= khx_merge_file_fallocate,
};

const struct inode_operations khx_merge_file_inode_operations = {
	.setattr	= khx_merge_file_setattr,
	.getattr	= khx_merge_file_getattr,
};
