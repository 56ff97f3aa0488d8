// SPDX-License-Identifier: GPL-2.0
/* Inodes: their life, and directories. */
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "compat/vfs.h"
#include "block.h"
#include "file.h"
#include "history.h"
#include "inode.h"
#include "scan.h"

static struct kmem_cache *khx_merge_inode_cache;
static const struct inode_operations khx_merge_dir_inode_operations;

struct inode *khx_merge_inode_alloc(struct super_block *sb)
{
	struct khx_merge_file *file;

	file = kmem_cache_alloc(khx_merge_inode_cache, GFP_KERNEL);
	if (!file)
		return NULL;
	/* Index nodes are the owner's memory as its pages are. */
	xa_init_flags(&file->pages, XA_FLAGS_ACCOUNT);
	xa_init_flags(&file->blocks, XA_FLAGS_ACCOUNT);
	xa_init_flags(&file->history, XA_FLAGS_ACCOUNT);
	INIT_LIST_HEAD(&file->scan_link);
	file->domain = NULL;
	file->memcg = NULL;
	file->owner = 0;
	file->born = ktime_get_seconds();
	file->unmerge_epoch = 0;
	file->unmerge_next = 0;
	file->hints_epoch = 0;
	file->nr_hint_pages = 0;
	memset(&file->stats, 0, sizeof(file->stats));
	return &file->inode;
}

void khx_merge_inode_free(struct inode *inode)
{
	kmem_cache_free(khx_merge_inode_cache, khx_merge_file(inode));
}

/*
 * Nothing maps the file any more, but the scanner may be at it until it is off
 * its list. Pages first: neither the scanner nor unmerging makes a page where there
 * is none, so that afterwards neither the index nor the candidates' table say
 * anything of this file.
 */
void khx_merge_inode_evict(struct inode *inode)
{
	struct khx_merge_file *file = khx_merge_file(inode);

	truncate_inode_pages_final(&inode->i_data);	/* has none */
	if (S_ISREG(inode->i_mode)) {
		khx_merge_file_drop(file, 0, ULONG_MAX);
		khx_merge_scan_remove(file);
		xa_destroy(&file->blocks);	/* which are small */
		khx_merge_history_free(file);
		mem_cgroup_put(file->memcg);
	}
	clear_inode(inode);
}

/* The scanner's list has all files, for those who want to see them. */
static void khx_merge_inode_setup_file(struct inode *inode,
				       struct khx_merge_super *super)
{
	struct khx_merge_file *file = khx_merge_file(inode);

	inode->i_op = &khx_merge_file_inode_operations;
	inode->i_fop = &khx_merge_file_operations;
	file->domain = super->domain;
	khx_merge_scan_add(file);
}

struct inode *khx_merge_inode_create(struct super_block *sb, struct inode *dir,
				     umode_t mode, dev_t dev)
{
	struct inode *inode = new_inode(sb);

	if (!inode)
		return NULL;
	inode->i_ino = get_next_ino();
	inode_init_owner(&nop_mnt_idmap, inode, dir, mode);
	simple_inode_init_ts(inode);
	mapping_set_unevictable(inode->i_mapping);
	/* Keeps NUMA balancing from trying to move what cannot move. */
	mapping_set_gfp_mask(inode->i_mapping, GFP_DMA32);

	switch (mode & S_IFMT) {
	case S_IFREG:
		khx_merge_inode_setup_file(inode, sb->s_fs_info);
		break;
	case S_IFDIR:
		inode->i_op = &khx_merge_dir_inode_operations;
		inode->i_fop = &simple_dir_operations;
		inc_nlink(inode);	/* for "." */
		break;
	default:
		init_special_inode(inode, mode, dev);
		break;
	}
	return inode;
}

static int khx_merge_dir_mknod(struct mnt_idmap *idmap, struct inode *dir,
			       struct dentry *dentry, umode_t mode, dev_t dev)
{
	struct inode *inode = khx_merge_inode_create(dir->i_sb, dir, mode, dev);

	if (!inode)
		return -ENOMEM;
	d_instantiate(dentry, inode);
	dget(dentry);	/* there is no disk to find it on again */
	inode_set_mtime_to_ts(dir, inode_set_ctime_current(dir));
	return 0;
}

static int khx_merge_dir_create(struct mnt_idmap *idmap, struct inode *dir,
				struct dentry *dentry, umode_t mode, bool excl)
{
	return khx_merge_dir_mknod(idmap, dir, dentry, mode | S_IFREG, 0);
}

static int khx_merge_dir_mkdir(struct mnt_idmap *idmap, struct inode *dir,
			       struct dentry *dentry, umode_t mode)
{
	int ret = khx_merge_dir_mknod(idmap, dir, dentry, mode | S_IFDIR, 0);

	if (!ret)
		inc_nlink(dir);
	return ret;
}

static int khx_merge_dir_tmpfile(struct mnt_idmap *idmap, struct inode *dir,
				 struct file *filp, umode_t mode)
{
	struct inode *inode = khx_merge_inode_create(dir->i_sb, dir, mode, 0);

	if (!inode)
		return -ENOMEM;
	d_tmpfile(filp, inode);
	return finish_open_simple(filp, 0);
}

static const struct inode_operations khx_merge_dir_inode_operations = {
	.create		= khx_merge_dir_create,
	.lookup		= simple_lookup,
	.link		= simple_link,
	.unlink		= simple_unlink,
	.mkdir		= khx_merge_dir_mkdir,
	.rmdir		= simple_rmdir,
	.mknod		= khx_merge_dir_mknod,
	.rename		= simple_rename,
	.tmpfile	= khx_merge_dir_tmpfile,
};

static void khx_merge_inode_once(void *obj)
{
	struct khx_merge_file *file = obj;

	inode_init_once(&file->inode);
	khx_merge_block_init_once(file);
}

int khx_merge_inode_init(void)
{
	khx_merge_inode_cache =
		kmem_cache_create("khx_merge_inode",
				  sizeof(struct khx_merge_file), 0,
				  SLAB_ACCOUNT | SLAB_RECLAIM_ACCOUNT,
				  khx_merge_inode_once);
	return khx_merge_inode_cache ? 0 : -ENOMEM;
}

/* Inodes are freed after a grace period. */
void khx_merge_inode_exit(void)
{
	rcu_barrier();
	kmem_cache_destroy(khx_merge_inode_cache);
}
