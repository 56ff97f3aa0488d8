// SPDX-License-Identifier: GPL-2.0
/*
 * khx_merge: identical guest pages in memory once. Start order and mirrored
 * unwinding.
 *
 *   super   mounts and their options      scan     goes round all files
 *   inode   inodes, directories           settle   what becomes of a page
 *   file    read, write, fallocate        control  when, and how fast
 *   fault   page faults                   guard    whether it pays
 *   page    states and their transitions  unmerge  undoing it
 *   index   what is at each place         history  back-off
 *   block   pages of 2 MiB                split    when to give them up
 *   alloc, contents, zero, pool, stable, candidate, hint, domain
 *   sysfs, netlink   interfaces
 */
#include <linux/build_bug.h>
#include <linux/init.h>
#include <linux/khx_version.h>
#include <linux/module.h>

#include "candidate.h"
#include "control.h"
#include "inode.h"
#include "netlink.h"
#include "pool.h"
#include "stable.h"
#include "super.h"
#include "sysfs.h"
#include "zero.h"

/* Sums of 64 bits are kept in folio->private. */
static_assert(sizeof(void *) == sizeof(u64));

static int __init khx_merge_init(void)
{
	int ret;

	ret = khx_merge_stable_init();
	if (ret)
		return ret;
	ret = khx_merge_candidate_init();
	if (ret)
		goto err_stable;
	ret = khx_merge_inode_init();
	if (ret)
		goto err_candidate;
	ret = khx_merge_zero_init();
	if (ret)
		goto err_inode;
	ret = khx_merge_pool_init();
	if (ret)
		goto err_zero;
	ret = khx_merge_netlink_init();
	if (ret)
		goto err_pool;
	ret = khx_merge_control_init();
	if (ret)
		goto err_netlink;
	ret = khx_merge_sysfs_init();
	if (ret)
		goto err_control;
	ret = khx_merge_super_init();
	if (ret)
		goto err_sysfs;
	return 0;

err_sysfs:
	khx_merge_sysfs_exit();
err_control:
	khx_merge_control_exit();
err_netlink:
	khx_merge_netlink_exit();
err_pool:
	khx_merge_pool_exit();
err_zero:
	khx_merge_zero_exit();
err_inode:
	khx_merge_inode_exit();
err_candidate:
	khx_merge_candidate_exit();
err_stable:
	khx_merge_stable_exit();
	return ret;
}
module_init(khx_merge_init);

static void __exit khx_merge_exit(void)
{
	khx_merge_super_exit();
	khx_merge_sysfs_exit();
	khx_merge_control_exit();
	khx_merge_netlink_exit();
	khx_merge_inode_exit();
	khx_merge_pool_exit();
	khx_merge_zero_exit();
	khx_merge_candidate_exit();
	khx_merge_stable_exit();
}
module_exit(khx_merge_exit);

MODULE_DESCRIPTION("khx_merge: identical guest pages in memory once");
MODULE_LICENSE("GPL");
MODULE_VERSION(KHX_VERSION);
