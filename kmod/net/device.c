// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/khx-net: what an open file of it is, and what user space may ask of
 * it beyond what the core does. The interface is in uapi/linux/khx_net.h.
 */
#include <linux/compat.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/khx_net.h>

#include "net/backend.h"
#include "net/net.h"

static void khx_net_handle(struct khx_virtqueue *vq)
{
	if (vq->index == KHX_NET_RX)
		khx_net_rx_handle(vq);
	else
		khx_net_tx_handle(vq);
}

/* What the features mean for a queue; they stay while it runs. */
static void khx_net_queue_set_up(struct khx_net_queue *queue)
{
	const u64 long_hdr = BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) |
			     BIT_ULL(VIRTIO_F_VERSION_1);

	queue->hdr_len = queue->vq.features & long_hdr ?
			 sizeof(struct virtio_net_hdr_mrg_rxbuf) :
			 sizeof(struct virtio_net_hdr);
	queue->own_hdr = khx_virtqueue_has_feature(&queue->vq,
						   VHOST_NET_F_VIRTIO_NET_HDR);
	/* Not known yet; for receive of no interest if not mergeable. */
	queue->buf_len = queue->vq.index == KHX_NET_RX ? U32_MAX : 0;
}

static void khx_net_queue_detach(struct khx_net_queue *queue)
{
	struct khx_net_backend *be;

	mutex_lock(&queue->vq.mutex);
	be = khx_virtqueue_stop(&queue->vq);
	if (be)
		be->ops->destroy(be);
	mutex_unlock(&queue->vq.mutex);
}

static void khx_net_detach(struct khx_device *dev)
{
	struct khx_net *net = khx_net_of(dev);
	unsigned int i;

	for (i = 0; i < KHX_NET_QUEUES; i++)
		khx_net_queue_detach(&net->queues[i]);
}

/* Serve @queue from @file, instead of what served it before. */
static int khx_net_queue_attach(struct khx_net_queue *queue,
				struct file *file)
{
	struct khx_net_backend *be, *old = queue->vq.backend;
	int ret;

	/* Nothing changes, unless the owner wants a broken ring to restart. */
	if (old && old->file == file && !queue->vq.fault)
		return 0;

	be = khx_net_tap_create(queue, file);
	if (IS_ERR(be))
		return PTR_ERR(be);

	khx_virtqueue_stop(&queue->vq);
	ret = khx_virtqueue_start(&queue->vq, be);
	if (ret) {
		be->ops->destroy(be);
		/* It ran, so it can: only the ring's memory could object. */
		if (old && !khx_virtqueue_start(&queue->vq, old))
			return ret;
	}
	if (!ret)
		khx_net_queue_set_up(queue);
	if (old)
		old->ops->destroy(old);
	return ret;
}

static long khx_net_set_backend(struct khx_net *net,
				const struct vhost_vring_file __user *argp)
{
	struct vhost_vring_file arg;
	struct khx_net_queue *queue;
	struct file *file;
	long ret;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	net->dev.asked_queue = arg.index;
	if (arg.index >= KHX_NET_QUEUES)
		return -ENOBUFS;
	queue = &net->queues[array_index_nospec(arg.index, KHX_NET_QUEUES)];

	if (arg.fd == -1) {
		khx_net_queue_detach(queue);
		return 0;
	}

	file = fget(arg.fd);
	if (!file)
		return khx_device_refuse(&net->dev, -ENOTSOCK, "no such file");
	mutex_lock(&queue->vq.mutex);
	ret = khx_net_queue_attach(queue, file);
	mutex_unlock(&queue->vq.mutex);
	fput(file);
	return ret;
}

static long khx_net_device_ioctl(struct khx_device *dev, unsigned int cmd,
				 void __user *argp)
{
	if (cmd == VHOST_NET_SET_BACKEND)
		return khx_net_set_backend(khx_net_of(dev), argp);
	return -ENOIOCTLCMD;
}

static void khx_net_free(struct khx_device *dev)
{
	kvfree(khx_net_of(dev));
}

static const struct khx_device_ops khx_net_device_ops = {
	.owner		= THIS_MODULE,
	.name		= "net",
	.features	= KHX_DEVICE_FEATURES |
			  BIT_ULL(VHOST_NET_F_VIRTIO_NET_HDR) |
			  BIT_ULL(VIRTIO_NET_F_MRG_RXBUF) |
			  BIT_ULL(VIRTIO_NET_F_MTU),
	.handle		= khx_net_handle,
	.detach		= khx_net_detach,
	.free		= khx_net_free,
	.ioctl		= khx_net_device_ioctl,
};

static int khx_net_open(struct inode *inode, struct file *file)
{
	struct khx_net *net;
	unsigned int i;
	int ret;

	net = kvzalloc(sizeof(*net), GFP_KERNEL_ACCOUNT);
	if (!net)
		return -ENOMEM;
	for (i = 0; i < KHX_NET_QUEUES; i++)
		net->vqs[i] = &net->queues[i].vq;

	ret = khx_device_init(&net->dev, &khx_net_device_ops, net->vqs,
			      KHX_NET_QUEUES);
	if (ret) {
		kvfree(net);
		return ret;
	}
	file->private_data = net;
	return 0;
}

static int khx_net_release(struct inode *inode, struct file *file)
{
	struct khx_net *net = file->private_data;

	khx_device_release(&net->dev);
	return 0;
}

static long khx_net_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct khx_net *net = file->private_data;

	return khx_device_ioctl(&net->dev, cmd, arg);
}

static void khx_net_queue_show(struct khx_net_queue *queue,
			       struct seq_file *m)
{
	/* Without the mutex, as khx_device_show(); so the backend may go. */
	seq_printf(m, "%s:\tbackend %s header %u drops %llu\n",
		   queue->vq.index == KHX_NET_RX ? "rx" : "tx",
		   READ_ONCE(queue->vq.backend) ? "tap" : "none",
		   READ_ONCE(queue->hdr_len), queue->vq.stats.drops);
}

static void khx_net_show_fdinfo(struct seq_file *m, struct file *file)
{
	struct khx_net *net = file->private_data;
	unsigned int i;

	khx_device_show(&net->dev, m);
	for (i = 0; i < KHX_NET_QUEUES; i++)
		khx_net_queue_show(&net->queues[i], m);
}

const struct file_operations khx_net_fops = {
	.owner		= THIS_MODULE,
	.open		= khx_net_open,
	.release	= khx_net_release,
	.unlocked_ioctl	= khx_net_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= khx_net_show_fdinfo,
	.llseek		= noop_llseek,
};
