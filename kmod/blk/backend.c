// SPDX-License-Identifier: GPL-2.0
/*
 * Backends of any kind: which file is fit for one, and the threads that wait
 * in the worker's place.
 *
 * What may block for long, a file system without asynchronous I/O, a flush, a
 * discard, runs on threads of its own (threads.c): the virtqueues of a device
 * share its worker and must not wait for each other. It is charged to the
 * owner nevertheless, and has the rights the file was opened with.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/memcontrol.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

#include "blk/backend.h"
#include "blk/blk.h"

static void khx_blk_backend_do(struct khx_blk_request *req)
{
	struct khx_blk_backend *be = req->queue->blk->backend;
	const struct cred *old;

	old = override_creds(be->file->f_cred);
	be->ops->work(req);
	revert_creds(old);
}

/**
 * khx_blk_backend_charge - work for the owner, without being in his cgroups
 * @be: backend
 *
 * Context: A workqueue's.
 * Return: for khx_blk_backend_uncharge(), when that is done.
 */
struct mem_cgroup *khx_blk_backend_charge(struct khx_blk_backend *be)
{
	kthread_associate_blkcg(be->blkcg);
	return set_active_memcg(be->memcg);
}

void khx_blk_backend_uncharge(struct mem_cgroup *old)
{
	set_active_memcg(old);
	kthread_associate_blkcg(NULL);
}

/* In the place of threads that died. */
static void khx_blk_backend_orphan_work(struct work_struct *work)
{
	struct khx_blk_request *req = container_of(work, struct khx_blk_request,
						   work);
	struct mem_cgroup *old;

	old = khx_blk_backend_charge(req->queue->blk->backend);
	khx_blk_backend_do(req);
	khx_blk_backend_uncharge(old);
}

/**
 * khx_blk_backend_orphan - do the rest of a request where nobody is killed
 * @req: request, with the backend
 *
 * Context: Any.
 */
void khx_blk_backend_orphan(struct khx_blk_request *req)
{
	INIT_WORK(&req->work, khx_blk_backend_orphan_work);
	queue_work(req->queue->blk->backend->wq, &req->work);
}

/**
 * khx_blk_backend_punt - do the rest of a request where it may block
 * @req: request, with the backend
 *
 * Context: Any.
 */
void khx_blk_backend_punt(struct khx_blk_request *req)
{
	if (!khx_blk_threads_queue(&req->queue->blk->backend->threads, req))
		khx_blk_backend_orphan(req);
}

#ifdef CONFIG_BLK_CGROUP
static struct cgroup_subsys_state *khx_blk_backend_blkcg(void)
{
	return task_get_css(current, io_cgrp_id);
}
#else
static struct cgroup_subsys_state *khx_blk_backend_blkcg(void)
{
	return NULL;
}
#endif

static int khx_blk_backend_init(struct khx_blk_backend *be)
{
	struct inode *inode = file_inode(be->file);

	if (!(be->file->f_mode & FMODE_READ))
		return -EBADF;
	if (be->file->f_flags & O_APPEND)
		return -EINVAL;
	if (S_ISDIR(inode->i_mode))
		return -EISDIR;
	if (S_ISBLK(inode->i_mode))
		return khx_blk_bdev_init(be);
	if (S_ISREG(inode->i_mode))
		return khx_blk_file_init(be);
	return -EINVAL;
}

/**
 * khx_blk_backend_create - make a backend of a file
 * @fd: the owner's descriptor
 * @flags: KHX_BLK_F_*, known ones only
 *
 * Context: Owner's task.
 * Return: the backend or an ERR_PTR, as KHX_BLK_SET_BACKEND has it.
 */
struct khx_blk_backend *khx_blk_backend_create(int fd, u32 flags)
{
	struct khx_blk_backend *be;
	int ret = -EBADF;

	be = kzalloc(sizeof(*be), GFP_KERNEL_ACCOUNT);
	if (!be)
		return ERR_PTR(-ENOMEM);
	be->file = fget(fd);
	if (!be->file)
		goto err_file;
	be->direct = flags & KHX_BLK_F_DIRECT ||
		     be->file->f_flags & O_DIRECT;
	be->readonly = flags & KHX_BLK_F_READONLY ||
		       !(be->file->f_mode & FMODE_WRITE);

	ret = -ENOMEM;
	be->wq = alloc_workqueue("khx-blk", WQ_UNBOUND, KHX_BLK_THREADS);
	if (!be->wq)
		goto err_wq;
	ret = khx_blk_threads_create(&be->threads, khx_blk_backend_do);
	if (ret)
		goto err_threads;
	ret = khx_blk_backend_init(be);
	if (ret)
		goto err_init;

	be->blkcg = khx_blk_backend_blkcg();
	be->memcg = get_mem_cgroup_from_mm(current->mm);
	return be;

err_init:
	khx_blk_threads_destroy(&be->threads);
err_threads:
	destroy_workqueue(be->wq);
err_wq:
	fput(be->file);
err_file:
	kfree(be);
	return ERR_PTR(ret);
}

/* With nothing in flight; NULL is all right. */
void khx_blk_backend_destroy(struct khx_blk_backend *be)
{
	if (!be)
		return;
	/* They may still be on their way out. */
	khx_blk_threads_destroy(&be->threads);
	destroy_workqueue(be->wq);
	be->ops->release(be);
	if (be->blkcg)
		css_put(be->blkcg);
	mem_cgroup_put(be->memcg);
	fput(be->file);
	kfree(be);
}
