/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_FILE_H
#define KHX_MERGE_FILE_H

#include <linux/fs.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "domain.h"
#include "stats.h"
#include "super.h"

struct mem_cgroup;

#define KHX_MERGE_BLOCK_MUTEXES	16

/**
 * struct khx_merge_file - a file of khxmem: the memory of one guest
 * @inode: what the rest of the kernel knows
 * @pages: what is at each index; index.h says how entries read
 * @blocks: what is at each 2 MiB, with huge=always; block.h
 * @block_mutexes: block locks, by a block's low bits; see the DOC: block of block.c
 * @history: what merging an index has led to; history.h
 * @domain: where its pages may merge; held by the superblock
 * @memcg: pays for what is not done on behalf of a task that can: its index, history
 *	and unmerging. The cgroup of the first task that mapped or wrote the file.
 *	Set once.
 * @owner: process that mapped the file first, for those who look
 * @born: when it came to be, in seconds since boot
 * @scan_link: in the list of files to scan; changed under the scan lock, for RCU
 * @unmerge_epoch: last unmerging that has come to this file; scan lock
 * @unmerge_next: where that one goes on; scan lock
 * @hints_epoch: that of the domain when @nr_hint_pages was counted; scan lock
 * @nr_hint_pages: what its owner pays for of the domain's hints; scan lock
 * @stats: counters; see enum khx_merge_stat
 */
struct khx_merge_file {
	struct inode inode;
	struct xarray pages;
	struct xarray blocks;
	struct mutex block_mutexes[KHX_MERGE_BLOCK_MUTEXES];
	struct xarray history;
	struct khx_merge_domain *domain;
	struct mem_cgroup *memcg;
	pid_t owner;
	time64_t born;

	struct list_head scan_link;
	unsigned long unmerge_epoch;
	pgoff_t unmerge_next;
	unsigned int hints_epoch;
	unsigned int nr_hint_pages;

	struct khx_merge_stats stats;
};

static inline struct khx_merge_file *khx_merge_file(struct inode *inode)
{
	return container_of(inode, struct khx_merge_file, inode);
}

static inline struct khx_merge_super *
khx_merge_file_super(struct khx_merge_file *file)
{
	return file->inode.i_sb->s_fs_info;
}

static inline void khx_merge_file_count(struct khx_merge_file *file,
					enum khx_merge_stat which, long n)
{
	khx_merge_stats_add(&file->stats, which, n);
	khx_merge_stats_add(&file->domain->stats, which, n);
}

extern const struct file_operations khx_merge_file_operations;
extern const struct inode_operations khx_merge_file_inode_operations;

/*
 * Frees whatever is in pages [@start, @end); inode lock, or last user. With
 * ULONG_MAX nothing can be written there any more.
 */
void khx_merge_file_drop(struct khx_merge_file *file, pgoff_t start, pgoff_t end);

/*
 * Scanner: can pages be taken out of page tables without waiting for the file's users?
 * They may not be let run, and everyone waits for the scanner.
 */
bool khx_merge_file_may_unmap(struct khx_merge_file *file);

#endif /* KHX_MERGE_FILE_H */
