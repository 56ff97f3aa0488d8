// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of linux/vhost.h that set up one virtqueue. Each runs under the
 * device's mutex, called by the owner, and takes the virtqueue's.
 */
#include <linux/eventfd.h>
#include <linux/file.h>
#include <linux/lockdep.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "core/device-internal.h"
#include "core/log.h"
#include "core/pool.h"

/* Every argument starts with the index of the virtqueue. */
union khx_vring_arg {
	unsigned int index;
	struct vhost_vring_state state;
	struct vhost_vring_file file;
	struct vhost_vring_addr addr;
	struct vhost_vring_worker worker;
};

static long khx_vring_set_num(struct khx_virtqueue *vq,
			      union khx_vring_arg *arg)
{
	if (vq->backend)
		return -EBUSY;
	if (!vq->ops->num_ok(arg->state.num))
		return -EINVAL;
	vq->num = arg->state.num;
	return 0;
}

static long khx_vring_set_base(struct khx_virtqueue *vq,
			       union khx_vring_arg *arg)
{
	if (vq->backend)
		return -EBUSY;
	return vq->ops->set_base(vq, arg->state.num);
}

static long khx_vring_get_base(struct khx_virtqueue *vq,
			       union khx_vring_arg *arg)
{
	arg->state.num = vq->ops->get_base(vq);
	return 0;
}

static bool khx_vring_addr_fits(u64 addr)
{
	return addr == (unsigned long)addr;
}

static bool khx_vring_addr_same(const struct khx_virtqueue *vq,
				const struct vhost_vring_addr *addr)
{
	return addr->desc_user_addr == (unsigned long)vq->desc &&
	       addr->avail_user_addr == (unsigned long)vq->avail &&
	       addr->used_user_addr == (unsigned long)vq->used;
}

static void khx_vring_put_addr(struct khx_virtqueue *vq,
			       const struct vhost_vring_addr *addr)
{
	vq->desc = (void __user *)(unsigned long)addr->desc_user_addr;
	vq->avail = (void __user *)(unsigned long)addr->avail_user_addr;
	vq->used = (void __user *)(unsigned long)addr->used_user_addr;
	vq->log_used_gpa = addr->log_guest_addr;
	vq->log_used = addr->flags & BIT(VHOST_VRING_F_LOG);
}

/*
 * A running ring stays where it is; only its logging may change, as a
 * migration begins or is cancelled.
 */
static long khx_vring_set_addr(struct khx_virtqueue *vq,
			       union khx_vring_arg *arg)
{
	const struct vhost_vring_addr *addr = &arg->addr;
	u64 old_gpa = vq->log_used_gpa;
	bool old_log = vq->log_used;

	if (addr->flags & ~BIT(VHOST_VRING_F_LOG))
		return -EOPNOTSUPP;
	if (!khx_vring_addr_fits(addr->desc_user_addr) ||
	    !khx_vring_addr_fits(addr->avail_user_addr) ||
	    !khx_vring_addr_fits(addr->used_user_addr))
		return khx_device_refuse(vq->dev, -EFAULT,
					 "address too long");
	if (addr->avail_user_addr % VRING_AVAIL_ALIGN_SIZE ||
	    addr->used_user_addr % VRING_USED_ALIGN_SIZE ||
	    addr->log_guest_addr % VRING_USED_ALIGN_SIZE)
		return khx_device_refuse(vq->dev, -EINVAL,
					 "address not aligned");
	if (vq->backend && !khx_vring_addr_same(vq, addr))
		return -EBUSY;

	khx_vring_put_addr(vq, addr);
	if (vq->backend && !khx_virtqueue_log_ok(vq, vq->log_base)) {
		vq->log_used_gpa = old_gpa;
		vq->log_used = old_log;
		return khx_device_refuse(vq->dev, -EINVAL,
					 "no log for ring or memory");
	}

	/* The owner has cared: look at a faulty ring again. */
	vq->fault = NULL;
	khx_virtqueue_queue(vq);
	return 0;
}

static int khx_vring_watch_kick(struct khx_virtqueue *vq)
{
	return vq->kick ? khx_poll_start(&vq->kick_poll, vq->kick) : 0;
}

static long khx_vring_set_kick(struct khx_virtqueue *vq,
			       union khx_vring_arg *arg)
{
	struct file *file = NULL;
	int ret = 0;

	if (arg->file.fd != VHOST_FILE_UNBIND)
		file = eventfd_fget(arg->file.fd);
	if (IS_ERR(file))
		return PTR_ERR(file);

	if (file != vq->kick) {
		khx_poll_stop(&vq->kick_poll);
		swap(file, vq->kick);
		ret = khx_vring_watch_kick(vq);
		if (ret) {
			swap(file, vq->kick);
			khx_vring_watch_kick(vq);
		}
	}
	if (file)
		fput(file);
	return ret;
}

static long khx_vring_set_event(struct eventfd_ctx **event, int fd)
{
	struct eventfd_ctx *ctx = NULL;

	if (fd != VHOST_FILE_UNBIND)
		ctx = eventfd_ctx_fdget(fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);
	swap(ctx, *event);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

static long khx_vring_set_call(struct khx_virtqueue *vq,
			       union khx_vring_arg *arg)
{
	return khx_vring_set_event(&vq->call, arg->file.fd);
}

static long khx_vring_set_err(struct khx_virtqueue *vq,
			      union khx_vring_arg *arg)
{
	return khx_vring_set_event(&vq->error, arg->file.fd);
}

static long khx_vring_set_endian(struct khx_virtqueue *vq,
				 union khx_vring_arg *arg)
{
	if (vq->backend)
		return -EBUSY;
	if (arg->state.num != VHOST_VRING_LITTLE_ENDIAN &&
	    arg->state.num != VHOST_VRING_BIG_ENDIAN)
		return -EINVAL;
	vq->legacy_le = arg->state.num == VHOST_VRING_LITTLE_ENDIAN;
	khx_virtqueue_set_features(vq, vq->features);
	return 0;
}

static long khx_vring_get_endian(struct khx_virtqueue *vq,
				 union khx_vring_arg *arg)
{
	arg->state.num = vq->legacy_le ? VHOST_VRING_LITTLE_ENDIAN :
					 VHOST_VRING_BIG_ENDIAN;
	return 0;
}

static long khx_vring_set_busyloop(struct khx_virtqueue *vq,
				   union khx_vring_arg *arg)
{
	WRITE_ONCE(vq->busyloop_us, arg->state.num);
	return 0;
}

static long khx_vring_get_busyloop(struct khx_virtqueue *vq,
				   union khx_vring_arg *arg)
{
	arg->state.num = vq->busyloop_us;
	return 0;
}

/* Which worker serves it is the device's affair, not the virtqueue's. */
static long khx_vring_attach_worker(struct khx_virtqueue *vq,
				    union khx_vring_arg *arg)
{
	return khx_pool_attach(vq->dev, vq, arg->worker.worker_id);
}

static long khx_vring_get_worker(struct khx_virtqueue *vq,
				 union khx_vring_arg *arg)
{
	arg->worker.worker_id = khx_pool_attached(vq->dev, vq);
	return 0;
}

/**
 * struct khx_vring_cmd - how a command is done
 * @cmd: number; its size says how much of the argument is read
 * @fn: does it, under the virtqueue's mutex
 * @reply: does the argument go back to user space?
 * @unlocked: under the device's mutex only
 *
 * The direction in @cmd does not tell: vhost has a getter that is _IOW.
 */
struct khx_vring_cmd {
	unsigned int cmd;
	long (*fn)(struct khx_virtqueue *vq, union khx_vring_arg *arg);
	bool reply;
	bool unlocked;
};

static const struct khx_vring_cmd khx_vring_cmds[] = {
	{ VHOST_SET_VRING_NUM, khx_vring_set_num },
	{ VHOST_SET_VRING_ADDR, khx_vring_set_addr },
	{ VHOST_SET_VRING_BASE, khx_vring_set_base },
	{ VHOST_GET_VRING_BASE, khx_vring_get_base, .reply = true },
	{ VHOST_SET_VRING_KICK, khx_vring_set_kick },
	{ VHOST_SET_VRING_CALL, khx_vring_set_call },
	{ VHOST_SET_VRING_ERR, khx_vring_set_err },
	{ VHOST_SET_VRING_ENDIAN, khx_vring_set_endian },
	{ VHOST_GET_VRING_ENDIAN, khx_vring_get_endian, .reply = true },
	{ VHOST_SET_VRING_BUSYLOOP_TIMEOUT, khx_vring_set_busyloop },
	{ VHOST_GET_VRING_BUSYLOOP_TIMEOUT, khx_vring_get_busyloop, .reply = true },
	{ VHOST_ATTACH_VRING_WORKER, khx_vring_attach_worker, .unlocked = true },
	{ VHOST_GET_VRING_WORKER, khx_vring_get_worker, .reply = true, .unlocked = true },
};

static const struct khx_vring_cmd *khx_vring_find(unsigned int cmd)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(khx_vring_cmds); i++)
		if (khx_vring_cmds[i].cmd == cmd)
			return &khx_vring_cmds[i];
	return NULL;
}

/**
 * khx_vring_ioctl - the ioctls of one virtqueue
 * @dev: device, its mutex held, called by its owner
 * @cmd: command
 * @argp: user address of its argument
 *
 * Return: 0, -ENOIOCTLCMD when it is none of ours, -ENOBUFS when there is no
 * such virtqueue, -EBUSY for what a running one refuses, or as linux/vhost.h
 * and the function of the command say.
 */
long khx_vring_ioctl(struct khx_device *dev, unsigned int cmd,
		     void __user *argp)
{
	const struct khx_vring_cmd *found = khx_vring_find(cmd);
	struct khx_virtqueue *vq;
	union khx_vring_arg arg;
	long ret;

	lockdep_assert_held(&dev->mutex);
	if (!found)
		return -ENOIOCTLCMD;
	if (copy_from_user(&arg, argp, _IOC_SIZE(cmd)))
		return -EFAULT;
	dev->asked_queue = arg.index;
	if (arg.index >= dev->nvqs)
		return -ENOBUFS;
	vq = dev->vqs[array_index_nospec(arg.index, dev->nvqs)];

	/* Its worker may wait for the owner's memory. */
	if (!found->unlocked && mutex_lock_killable(&vq->mutex))
		return -EINTR;
	ret = found->fn(vq, &arg);
	if (!found->unlocked)
		mutex_unlock(&vq->mutex);

	if (!ret && found->reply && copy_to_user(argp, &arg, _IOC_SIZE(cmd)))
		ret = -EFAULT;
	return ret;
}
