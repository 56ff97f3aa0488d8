/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_INODE_H
#define KHX_MERGE_INODE_H

#include <linux/fs.h>

struct inode *khx_merge_inode_create(struct super_block *sb, struct inode *dir,
				     umode_t mode, dev_t dev);

/* For the superblock's operations. */
struct inode *khx_merge_inode_alloc(struct super_block *sb);
void khx_merge_inode_free(struct inode *inode);
void khx_merge_inode_evict(struct inode *inode);

int khx_merge_inode_init(void);
void khx_merge_inode_exit(void);

#endif /* KHX_MERGE_INODE_H */
