// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/khx-blk: what an open file of it is, and what user space may ask of it
 * beyond what the core does. The interface is in uapi/linux/khx_blk.h.
 */
#include <linux/compat.h>
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vhost.h>

#include "blk/backend.h"
#include "blk/blk.h"

static void khx_blk_set_features(struct khx_device *dev, u64 features)
{
	struct khx_blk *blk = khx_blk_of(dev);
	unsigned int i;

	for (i = 0; i < KHX_BLK_QUEUES; i++)
		khx_blk_queue_set_cache(&blk->queues[i]);
}

/* All virtqueues first, so that they drain at the same time. */
static void khx_blk_stop(struct khx_blk *blk)
{
	unsigned int i;

	for (i = 0; i < KHX_BLK_QUEUES; i++) {
		mutex_lock(&blk->queues[i].vq.mutex);
		khx_virtqueue_stop(&blk->queues[i].vq);
		mutex_unlock(&blk->queues[i].vq.mutex);
	}
	for (i = 0; i < KHX_BLK_QUEUES; i++)
		khx_blk_queue_stop(&blk->queues[i]);
}

static void khx_blk_detach(struct khx_device *dev)
{
	struct khx_blk *blk = khx_blk_of(dev);

	khx_blk_stop(blk);
	khx_blk_backend_destroy(blk->backend);
	blk->backend = NULL;
	khx_blk_config_set_event(blk, -1);
	khx_blk_bases_drop(blk);
	memset(blk->serial, 0, sizeof(blk->serial));
	blk->wce = true;
}

static bool khx_blk_is_running(struct khx_blk *blk)
{
	unsigned int i;

	for (i = 0; i < KHX_BLK_QUEUES; i++)
		if (blk->queues[i].pool)
			return true;
	return false;
}

static long khx_blk_set_backend(struct khx_blk *blk,
				const struct khx_blk_file __user *argp)
{
	struct khx_blk_backend *be = NULL;
	struct khx_blk_file arg;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	if (arg.flags & ~(KHX_BLK_F_READONLY | KHX_BLK_F_DIRECT) ||
	    arg.reserved)
		return -EINVAL;
	if (khx_blk_is_running(blk))
		return -EBUSY;

	if (arg.fd != -1) {
		be = khx_blk_backend_create(arg.fd, arg.flags);
		if (IS_ERR(be))
			return PTR_ERR(be);
		blk->sectors = be->ops->sectors(be);
	}
	khx_blk_backend_destroy(blk->backend);
	blk->backend = be;
	memcpy(blk->serial, arg.serial, sizeof(blk->serial));
	return 0;
}

static long khx_blk_set_wce(struct khx_blk *blk, const u32 __user *argp)
{
	struct khx_blk_queue *queue;
	unsigned int i;
	u32 wce;

	if (get_user(wce, argp))
		return -EFAULT;
	if (wce > 1)
		return -EINVAL;
	blk->wce = wce;
	for (i = 0; i < KHX_BLK_QUEUES; i++) {
		queue = &blk->queues[i];
		mutex_lock(&queue->vq.mutex);
		khx_blk_queue_set_cache(queue);
		mutex_unlock(&queue->vq.mutex);
	}
	return 0;
}

static long khx_blk_set_config_event(struct khx_blk *blk,
				     const s32 __user *argp)
{
	s32 fd;

	if (get_user(fd, argp))
		return -EFAULT;
	return khx_blk_config_set_event(blk, fd);
}

static long khx_blk_run_vring(struct khx_blk *blk,
			      const struct vhost_vring_state __user *argp)
{
	struct vhost_vring_state arg;
	struct khx_blk_queue *queue;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	blk->dev.asked_queue = arg.index;
	if (arg.index >= KHX_BLK_QUEUES)
		return -ENOBUFS;
	if (arg.num > 1)
		return -EINVAL;
	queue = &blk->queues[array_index_nospec(arg.index, KHX_BLK_QUEUES)];
	if (!arg.num) {
		khx_blk_queue_stop(queue);
		return 0;
	}
	return blk->backend ? khx_blk_queue_start(queue) : -ENODEV;
}

static long khx_blk_device_ioctl(struct khx_device *dev, unsigned int cmd,
				 void __user *argp)
{
	struct khx_blk *blk = khx_blk_of(dev);

	switch (cmd) {
	case KHX_BLK_SET_BACKEND:
		return khx_blk_set_backend(blk, argp);
	case KHX_BLK_GET_CONFIG:
		return khx_blk_config_get(blk, argp);
	case KHX_BLK_SET_WCE:
		return khx_blk_set_wce(blk, argp);
	case KHX_BLK_SET_CONFIG_EVENT:
		return khx_blk_set_config_event(blk, argp);
	case KHX_BLK_RUN_VRING:
		return khx_blk_run_vring(blk, argp);
	case KHX_BLK_SET_BASES:
		return khx_blk_bases_set(blk, argp);
	default:
		return -ENOIOCTLCMD;
	}
}

static const char *const khx_blk_op_names[] = {
	[KHX_BLK_READ]		= "read",
	[KHX_BLK_WRITE]		= "write",
	[KHX_BLK_FLUSH]		= "flush",
	[KHX_BLK_DISCARD]	= "discard",
	[KHX_BLK_ZEROES]	= "zeroes",
	[KHX_BLK_OPS]		= NULL,
};

static const struct khx_op_stats *
khx_blk_op_stats(const struct khx_virtqueue *vq)
{
	return container_of(vq, struct khx_blk_queue, vq)->stats.ops;
}

static void khx_blk_free(struct khx_device *dev)
{
	struct khx_blk *blk = khx_blk_of(dev);

	kvfree(blk->queues);
	kvfree(blk);
}

static const struct khx_device_ops khx_blk_device_ops = {
	.owner		= THIS_MODULE,
	.name		= "blk",
	.features	= KHX_BLK_FEATURES,
	.handle		= khx_blk_queue_handle,
	.set_features	= khx_blk_set_features,
	.detach		= khx_blk_detach,
	.free		= khx_blk_free,
	.ioctl		= khx_blk_device_ioctl,
	.op_names	= khx_blk_op_names,
	.op_stats	= khx_blk_op_stats,
};

static int khx_blk_open(struct inode *inode, struct file *file)
{
	struct khx_blk *blk;
	unsigned int i;
	int ret = -ENOMEM;

	blk = kvzalloc(sizeof(*blk), GFP_KERNEL_ACCOUNT);
	if (!blk)
		return -ENOMEM;
	blk->queues = kvcalloc(KHX_BLK_QUEUES, sizeof(*blk->queues),
			       GFP_KERNEL_ACCOUNT);
	if (!blk->queues)
		goto err_queues;

	spin_lock_init(&blk->event_lock);
	blk->wce = true;
	for (i = 0; i < KHX_BLK_QUEUES; i++) {
		blk->vqs[i] = &blk->queues[i].vq;
		khx_blk_queue_init(&blk->queues[i], blk);
	}
	ret = khx_device_init(&blk->dev, &khx_blk_device_ops, blk->vqs,
			      KHX_BLK_QUEUES);
	if (ret)
		goto err_device;
	file->private_data = blk;
	return 0;

err_device:
	kvfree(blk->queues);
err_queues:
	kvfree(blk);
	return ret;
}

static int khx_blk_release(struct inode *inode, struct file *file)
{
	struct khx_blk *blk = file->private_data;

	khx_device_release(&blk->dev);
	return 0;
}

static long khx_blk_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct khx_blk *blk = file->private_data;

	return khx_device_ioctl(&blk->dev, cmd, arg);
}

static void khx_blk_queue_show(struct khx_blk_queue *queue,
			       struct seq_file *m)
{
	const struct khx_blk_stats *stats = &queue->stats;
	unsigned int op;

	seq_printf(m, "queue-%u-blk:\tin_flight %u bounced %llu waited %llu",
		   queue->vq.index, READ_ONCE(queue->in_flight),
		   stats->bounced, stats->waited);
	for (op = 0; op < KHX_BLK_OPS; op++)
		seq_printf(m, " %s %llu errors %llu", khx_blk_op_names[op],
			   stats->ops[op].requests, stats->ops[op].errors);
	seq_putc(m, '\n');
}

static void khx_blk_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct khx_blk *blk = file->private_data;
	unsigned int i;

	khx_device_show(&blk->dev, m);
	/* The owner may hold it for as long as he likes: not for us to wait. */
	if (!mutex_trylock(&blk->dev.mutex)) {
		seq_puts(m, "backend:\tbusy\n");
		return;
	}
	if (blk->backend)
		seq_printf(m, "backend:\t%s %s%s sectors %llu\n",
			   blk->backend->ops->name,
			   blk->backend->readonly ? "ro" : "rw",
			   blk->backend->direct ? " direct" : "",
			   READ_ONCE(blk->sectors));
	for (i = 0; i < KHX_BLK_QUEUES; i++)
		if (blk->queues[i].pool)
			khx_blk_queue_show(&blk->queues[i], m);
	mutex_unlock(&blk->dev.mutex);
}

const struct file_operations khx_blk_fops = {
	.owner		= THIS_MODULE,
	.open		= khx_blk_open,
	.release	= khx_blk_release,
	.unlocked_ioctl	= khx_blk_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= khx_blk_show_fdinfo,
	.llseek		= noop_llseek,
};
