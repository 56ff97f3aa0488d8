/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/khx-blk: virtio-blk served in the host kernel.
 *
 * One open file is one disk with up to KHX_BLK_QUEUES virtqueues. The rings,
 * the guest's memory and the dirty log are set up with <linux/vhost.h>, as for
 * every khx device; this file says what a disk adds. The module creates the node
 * with mode 0600; the udev rule that comes with the tools gives it to the group
 * kvm, 0660. All commands are for the owner only (-EPERM else); -EFAULT is an
 * argument that is not readable or writable.
 *
 * The usual order: VHOST_SET_OWNER, KHX_BLK_SET_BACKEND, KHX_BLK_GET_CONFIG to
 * learn what to offer, VHOST_SET_FEATURES, VHOST_SET_MEM_TABLE, then for each
 * virtqueue its VHOST_SET_VRING_ commands and KHX_BLK_RUN_VRING.
 *
 * Commands
 * --------
 *
 *   KHX_BLK_SET_BACKEND, struct khx_blk_file
 *	The blocks are those of @fd, a block device or a regular file; -1: of
 *	none any more. A reference to the file is kept, so that @fd may be
 *	closed. The disk is read-only if @fd is not writable, whatever @flags
 *	say. @serial is what VIRTIO_BLK_T_GET_ID tells, padded with zeros.
 *
 *	-EACCES      on FUSE, or mounted in a user namespace, and not opened
 *	             with CAP_SYS_ADMIN: who serves it could hold us up
 *	-EAGAIN      RLIMIT_NPROC: no thread may be made that waits for it
 *	-EBADF       @fd is not open, or not readable
 *	-EBUSY       a virtqueue runs
 *	-EINVAL      unknown @flags; neither a block device nor a regular file;
 *	             opened with O_APPEND; no blocks, or not whole sectors of
 *	             512 bytes, or blocks larger than a page
 *	-EINTR       killed meanwhile
 *	-EIO         what the host has in its page cache cannot be written to it
 *	-EISDIR      a directory
 *	-EOPNOTSUPP  a zoned block device, or a file system without direct I/O
 *	             where KHX_BLK_F_DIRECT asks for it
 *	-ETXTBSY     in use as swap space
 *	-ENOMEM
 *
 *   KHX_BLK_GET_CONFIG, struct khx_blk_config
 *	What the device has to show to the driver. @features are the bits of
 *	VHOST_GET_FEATURES that make sense with this backend: offer no others
 *	of the range 0 to 23. @config begins with struct virtio_blk_config,
 *	little-endian, zero where it is undefined. -ENODEV without a backend.
 *
 *   KHX_BLK_SET_WCE, __u32
 *	1: the driver wants a write-back cache, 0: write-through. The initial
 *	value is 1. A driver that did not negotiate VIRTIO_BLK_F_FLUSH gets
 *	write-through in any case. -EINVAL for other values.
 *
 *   KHX_BLK_SET_CONFIG_EVENT, __s32
 *	An eventfd, or -1 for none. It is signalled when the size of the
 *	backend is seen to have changed: KHX_BLK_GET_CONFIG has the new one.
 *	Seen means by a request or by KHX_BLK_GET_CONFIG; who wants to tell
 *	an idle driver watches the file. -EBADF, -EINVAL: not an eventfd.
 *
 *   KHX_BLK_RUN_VRING, struct vhost_vring_state
 *	@num 1: serve virtqueue @index; 0: stop it. When stopping returns, all
 *	requests that were taken from the ring are complete and published, and
 *	VHOST_GET_VRING_BASE tells where to go on. What is so already, stays
 *	so; but a virtqueue that has stopped for an error starts again.
 *
 *	-EFAULT   the ring is not set up, not accessible, or not to be logged
 *	-EINVAL   @num; ring size or base do not fit the ring's format
 *	-ENOBUFS  @index is KHX_BLK_QUEUES or more
 *	-ENODEV   no backend
 *	-ENOMEM   memory for the requests in flight, set aside here: at most
 *	          KHX_BLK_DEPTH of them, and no more is needed while it runs
 *
 *   KHX_BLK_SET_BASES, __u64
 *	The address of a __u32 for each of KHX_BLK_QUEUES virtqueues, aligned to
 *	their size; 0: nowhere. Whenever a virtqueue stops, for whatever reason,
 *	also because its owner was killed, the base to go on from is left there
 *	before the device is released: put it where others can find it. The
 *	page is pinned until another is named, VHOST_RESET_OWNER or the last close.
 *
 *	-EFAULT   not writable, or not memory that can be pinned for long: a file's
 *	          that is written back to a disk, for instance
 *	-EINVAL   not aligned
 *	-ENOMEM
 *
 * VHOST_GET_VRING_BASE of a running virtqueue is a snapshot, and of no use to
 * go on from. Closing the last reference to the device stops all of them.
 *
 * Requests
 * --------
 *
 * VIRTIO_BLK_T_IN, OUT, FLUSH, GET_ID, DISCARD and WRITE_ZEROES; header, data
 * and status may be cut into descriptors in any way. Status:
 *
 *   VIRTIO_BLK_S_OK
 *	Done. With a write-back cache, what was written is stable after the
 *	next FLUSH that is sent when its status was seen; with write-through it
 *	is stable.
 *   VIRTIO_BLK_S_UNSUPP
 *	Unknown type; one that the backend does not have; unknown flags, or
 *	VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP in a discard.
 *   VIRTIO_BLK_S_IOERR
 *	Anything else: the backend's error; blocks beyond the end; data not of
 *	whole blocks; a write to a read-only disk; a header of less than 16
 *	bytes; more than KHX_BLK_SEGMENTS segments after translation, more
 *	bytes than @seg_max times @size_max of the configuration; not exactly
 *	one range to discard or zero, or one longer than the configuration says;
 *	data that lies where the owner has no memory.
 *
 * A request without room for a status stops its virtqueue, as a broken ring
 * does, and so does a status that cannot be written.
 */
#ifndef _UAPI_LINUX_KHX_BLK_H
#define _UAPI_LINUX_KHX_BLK_H

#include <linux/ioctl.h>
#include <linux/types.h>
#include <linux/vhost.h>

#define KHX_BLK_DEVICE		"/dev/khx-blk"

#define KHX_BLK_QUEUES		64
#define KHX_BLK_DEPTH		1024
#define KHX_BLK_SEGMENTS	256
#define KHX_BLK_SERIAL		20
#define KHX_BLK_CONFIG		64

/* @flags of struct khx_blk_file */
#define KHX_BLK_F_READONLY	(1 << 0)	/* refuse all writes */
#define KHX_BLK_F_DIRECT	(1 << 1)	/* O_DIRECT: no page cache */

struct khx_blk_file {
	__s32 fd;
	__u32 flags;
	__u8 serial[KHX_BLK_SERIAL];
	__u32 reserved;		/* 0 */
};

struct khx_blk_config {
	__u64 features;
	__u8 config[KHX_BLK_CONFIG];
};

#define KHX_BLK_SET_BACKEND	_IOW(VHOST_VIRTIO, 0xc0, struct khx_blk_file)
#define KHX_BLK_GET_CONFIG	_IOR(VHOST_VIRTIO, 0xc1, struct khx_blk_config)
#define KHX_BLK_SET_WCE		_IOW(VHOST_VIRTIO, 0xc2, __u32)
#define KHX_BLK_SET_CONFIG_EVENT _IOW(VHOST_VIRTIO, 0xc3, __s32)
#define KHX_BLK_RUN_VRING	_IOW(VHOST_VIRTIO, 0xc4, struct vhost_vring_state)
#define KHX_BLK_SET_BASES	_IOW(VHOST_VIRTIO, 0xc5, __u64)

#endif /* _UAPI_LINUX_KHX_BLK_H */
