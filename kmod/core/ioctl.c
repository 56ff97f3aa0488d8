// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of linux/vhost.h that concern a device as a whole: who may call
 * them, and how their arguments come and go.
 */
#include <linux/eventfd.h>
#include <linux/export.h>
#include <linux/uaccess.h>

#include "core/device-internal.h"
#include "core/pool.h"
#include "core/trace.h"

static long khx_ioctl_put_u64(u64 value, void __user *argp)
{
	return copy_to_user(argp, &value, sizeof(value)) ? -EFAULT : 0;
}

/* Anybody may ask, and negotiate for a device that has no owner yet. */
static long khx_ioctl_set_features(struct khx_device *dev, void __user *argp)
{
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	if (dev->mm && khx_device_check_owner(dev))
		return -EPERM;
	return khx_device_set_features(dev, features);
}

/* We have no backend features: IOTLB messages are not served. */
static long khx_ioctl_set_backend_features(void __user *argp)
{
	u64 features;

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	return features ? -EOPNOTSUPP : 0;
}

static long khx_ioctl_set_log_base(struct khx_device *dev, void __user *argp)
{
	u64 base;

	if (copy_from_user(&base, argp, sizeof(base)))
		return -EFAULT;
	return khx_device_set_log_base(dev, base);
}

static long khx_ioctl_set_log_fd(struct khx_device *dev, void __user *argp)
{
	struct eventfd_ctx *event = NULL;
	int fd;

	if (copy_from_user(&fd, argp, sizeof(fd)))
		return -EFAULT;
	if (fd != VHOST_FILE_UNBIND)
		event = eventfd_ctx_fdget(fd);
	if (IS_ERR(event))
		return PTR_ERR(event);
	khx_device_set_log_event(dev, event);
	return 0;
}

static long khx_ioctl_new_worker(struct khx_device *dev, void __user *argp)
{
	struct vhost_worker_state state;
	int ret;

	ret = khx_pool_add(dev, &state.worker_id);
	if (ret)
		return ret;
	if (copy_to_user(argp, &state, sizeof(state))) {
		/* Nobody would ever learn of it. */
		khx_pool_remove(dev, state.worker_id);
		return -EFAULT;
	}
	return 0;
}

static long khx_ioctl_free_worker(struct khx_device *dev, void __user *argp)
{
	struct vhost_worker_state state;

	if (copy_from_user(&state, argp, sizeof(state)))
		return -EFAULT;
	return khx_pool_remove(dev, state.worker_id);
}

/* What only the owner may do. */
static long khx_ioctl_owner(struct khx_device *dev, unsigned int cmd,
			    void __user *argp)
{
	long ret;

	switch (cmd) {
	case VHOST_RESET_OWNER:
		khx_device_disown(dev);
		return 0;
	case VHOST_SET_MEM_TABLE:
		return khx_device_set_memory(dev, argp);
	case VHOST_SET_LOG_BASE:
		return khx_ioctl_set_log_base(dev, argp);
	case VHOST_SET_LOG_FD:
		return khx_ioctl_set_log_fd(dev, argp);
	case VHOST_NEW_WORKER:
		return khx_ioctl_new_worker(dev, argp);
	case VHOST_FREE_WORKER:
		return khx_ioctl_free_worker(dev, argp);
	default:
		ret = khx_vring_ioctl(dev, cmd, argp);
		if (ret == -ENOIOCTLCMD && dev->ops->ioctl)
			ret = dev->ops->ioctl(dev, cmd, argp);
		return ret;
	}
}

static long khx_ioctl_locked(struct khx_device *dev, unsigned int cmd,
			     void __user *argp)
{
	int ret;

	switch (cmd) {
	case VHOST_SET_OWNER:
		return khx_device_set_owner(dev);
	case VHOST_SET_FEATURES:
		return khx_ioctl_set_features(dev, argp);
	default:
		ret = khx_device_check_owner(dev);
		return ret ?: khx_ioctl_owner(dev, cmd, argp);
	}
}

/* For who looks why; the owner has the errno. */
static void khx_ioctl_tell(const struct khx_device *dev, unsigned int cmd,
			   int queue, int err, const char *check)
{
	/* As the owner gets it. */
	if (err == -ENOIOCTLCMD)
		err = -ENOTTY;
	if (!check)
		check = err == -EFAULT ? "argument not accessible" : "";
	trace_khx_ioctl_error(dev, cmd, queue, err, check);
}

/* What needs no mutex, as it is the same for all devices and all the time. */
static long khx_ioctl_unlocked(struct khx_device *dev, unsigned int cmd,
			       void __user *argp)
{
	switch (cmd) {
	case VHOST_GET_FEATURES:
		return khx_ioctl_put_u64(dev->ops->features, argp);
	case VHOST_GET_BACKEND_FEATURES:
		return khx_ioctl_put_u64(0, argp);
	case VHOST_SET_BACKEND_FEATURES:
		return khx_ioctl_set_backend_features(argp);
	default:
		return -ENOIOCTLCMD;
	}
}

/**
 * khx_device_ioctl - all ioctls of a device
 * @dev: device
 * @cmd: one of linux/vhost.h, or of the device's type
 * @arg: user address
 *
 * Context: Process context. May sleep.
 * Return: as linux/vhost.h and each command have it; -ENOIOCTLCMD for unknown
 * ones, -EPERM for who is not the owner, -EINTR when killed meanwhile.
 */
long khx_device_ioctl(struct khx_device *dev, unsigned int cmd,
		      unsigned long arg)
{
	void __user *argp = (void __user *)arg;
	long ret;

	ret = khx_ioctl_unlocked(dev, cmd, argp);
	if (ret != -ENOIOCTLCMD) {
		if (ret)
			khx_ioctl_tell(dev, cmd, -1, ret, NULL);
		return ret;
	}

	if (mutex_lock_killable(&dev->mutex))
		return -EINTR;
	dev->asked_queue = -1;
	dev->refusal = NULL;
	ret = khx_ioctl_locked(dev, cmd, argp);
	if (ret)
		khx_ioctl_tell(dev, cmd, dev->asked_queue, ret, dev->refusal);
	mutex_unlock(&dev->mutex);
	return ret;
}
EXPORT_SYMBOL_GPL(khx_device_ioctl);
