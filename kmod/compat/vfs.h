/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of the virtual file system and of memory management that older
 * kernels lack, for the modules that need them.
 */
#ifndef KHX_COMPAT_VFS_H
#define KHX_COMPAT_VFS_H

#include <linux/version.h>
#include <linux/fs.h>
#include <linux/mm.h>

/* 6.3: inode operations take the mount's id map, no longer its namespace */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
#define mnt_idmap	user_namespace
#define nop_mnt_idmap	init_user_ns

static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}
#endif

/*
 * 6.7: the times of an inode are behind accessors. The one for the change time
 * came with 6.6, and with 6.1.y.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 7, 0)
static inline struct timespec64 inode_set_mtime_to_ts(struct inode *inode,
						      struct timespec64 ts)
{
	inode->i_mtime = ts;
	return ts;
}

static inline struct timespec64 simple_inode_init_ts(struct inode *inode)
{
	inode->i_atime = inode_set_ctime_current(inode);
	inode->i_mtime = inode->i_atime;
	return inode->i_atime;
}
#endif

/* 6.6: generic_fillattr() is told what was asked for */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
#define khx_fillattr(idmap, mask, inode, stat) \
	generic_fillattr(idmap, inode, stat)
#else
#define khx_fillattr(idmap, mask, inode, stat) \
	generic_fillattr(idmap, mask, inode, stat)
#endif

/* 6.2: release_pages() takes folios as they are */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define khx_release_folios(folios, nr) \
	release_pages((struct page **)(folios), nr)
#else
#define khx_release_folios(folios, nr)	release_pages(folios, nr)
#endif

#endif /* KHX_COMPAT_VFS_H */
