/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/khx-net: virtio-net served in the host kernel.
 *
 * The interface is that of /dev/vhost-net, and is used through
 * <linux/vhost.h>; this file says what of it there is, and how it behaves
 * where more than one way would do. Programs need nothing from here.
 *
 * One open file is one pair of virtqueues: 0 receives (host to guest), 1
 * transmits. A device with N pairs is N open files. The module creates the node
 * with mode 0600; the udev rule that comes with the tools gives it to the group
 * kvm, 0660.
 *
 * ioctls
 * ------
 *
 * All of <uapi/linux/khx.h>, that is those of every vhost device, and
 *
 *   VHOST_NET_SET_BACKEND, struct vhost_vring_file
 *	Serve virtqueue @index from @fd, which must be a queue of a tun (in
 *	IFF_TAP mode: nobody says which it is, and with IFF_TUN frames arrive
 *	mangled), macvtap or ipvtap device. Replaces what served it. The same file again changes
 *	nothing, unless the virtqueue has stopped for an error: then it starts
 *	again. -1 stops the virtqueue; when the call returns, nothing is in
 *	flight any more and packets that were not delivered are back in the
 *	device.
 *
 *	-EFAULT    @index or @fd not readable; ring not set up, not accessible,
 *	           or not to be logged
 *	-EPERM     the caller is not the owner, or there is none
 *	-ENOBUFS   @index is not 0 or 1
 *	-ENOTSOCK  @fd is not open, or not one of the above
 *	-EINVAL    @fd is attached to no network interface; ring size or base
 *	           wrong
 *	-ENOMEM
 *
 *	After any error the virtqueue is served as before the call, unless its
 *	ring is no longer accessible: then it is stopped. One that had stopped
 *	for an error may be served again.
 *
 * VHOST_GET_FEATURES
 * ------------------
 *
 *   VIRTIO_F_NOTIFY_ON_EMPTY, VIRTIO_RING_F_INDIRECT_DESC,
 *   VIRTIO_RING_F_EVENT_IDX, VIRTIO_F_VERSION_1, VIRTIO_F_RING_PACKED,
 *   VHOST_F_LOG_ALL
 *	as in every khx device
 *   VIRTIO_NET_F_MRG_RXBUF
 *	a received packet may take several buffers, 64 at most
 *   VIRTIO_NET_F_MTU
 *	changes nothing here; whoever shows the device to the guest sets it
 *   VHOST_NET_F_VIRTIO_NET_HDR
 *	the tap has no IFF_VNET_HDR: the header before a received packet is made
 *	here, all zero but num_buffers, and that before a sent one is skipped
 *
 * The header before each packet in the ring has 12 bytes with
 * VIRTIO_NET_F_MRG_RXBUF or VIRTIO_F_VERSION_1, else 10. Without
 * VHOST_NET_F_VIRTIO_NET_HDR it is the tap's: TUNSETVNETHDRSZ and the byte
 * order set there must agree. A header of 12 bytes always has num_buffers.
 *
 * Lost packets
 * ------------
 *
 * are counted as "drops" in /proc/PID/fdinfo/FD. To the guest: larger than the
 * buffer, or with mergeable ones than 64 of them; the header length of the tap
 * does not agree. From the guest: without its header shorter than an Ethernet
 * header, or longer than 68 KiB; checksum asked for outside the packet; the
 * interface is down or gone; no memory. When there are no buffers, packets wait
 * in the tap's queue, which drops by itself.
 *
 * What stops a virtqueue
 * ----------------------
 *
 * Anything that <uapi/linux/khx.h> calls a broken ring, a readable descriptor
 * in a receive buffer or a writable one in a transmit buffer, and memory that
 * the owner's table promises and that is not there.
 */
#ifndef _UAPI_LINUX_KHX_NET_H
#define _UAPI_LINUX_KHX_NET_H

#include <linux/vhost.h>

#define KHX_NET_DEVICE	"/dev/khx-net"

#endif /* _UAPI_LINUX_KHX_NET_H */
