/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * khx: what every khx device has in common.
 *
 * A device is one open file of /dev/khx-net or /dev/khx-blk. Its owner sets it
 * up by the ioctls of <linux/vhost.h>; everybody else sees it, and an
 * administrator steers it, by the generic netlink family of this file.
 *
 * ioctls
 * ======
 *
 * SET_OWNER, RESET_OWNER, GET_FEATURES, SET_FEATURES, GET_BACKEND_FEATURES,
 * SET_BACKEND_FEATURES, SET_MEM_TABLE, SET_LOG_BASE, SET_LOG_FD, all of
 * VHOST_*_VRING_*, and NEW_WORKER, FREE_WORKER, ATTACH_VRING_WORKER,
 * GET_VRING_WORKER, also on kernels whose own vhost does not have them yet.
 * There are no backend features: IOTLB messages are not served. What there is
 * not fails with -ENOTTY; whoever is killed meanwhile gets -EINTR.
 *
 * A packed ring (VIRTIO_F_RING_PACKED) has its base as vhost has it: the next
 * slot to be made available in bits 0 to 14, its wrap counter in bit 15, and
 * the same of the next slot to be used in bits 16 to 31. A base of 0x8000 is
 * that of a ring nobody has used yet.
 *
 * A broken ring stops its virtqueue: the driver's memory, or what is in it,
 * failed a check. The owner's error eventfd (SET_VRING_ERR) is signalled, the
 * check is in KHX_A_FAULT, and kicks are ignored until the owner sets a memory
 * table or ring addresses, or starts the virtqueue again. That an owner is killed
 * stops it, too, if memory was being awaited: then KHX_A_FAULT is "owner killed", and
 * nothing is signalled, counted or announced.
 *
 * Generic netlink family "khx"
 * ============================
 *
 * Version 1. Reading needs no privilege. A reader in the initial network
 * namespace sees all devices; any other those that were opened in its own
 * namespace. Nothing of a guest's memory is shown, neither addresses nor
 * contents. Changing needs CAP_NET_ADMIN in the initial user namespace.
 *
 * Dumps are marked with NLM_F_DUMP_INTR when devices came or went meanwhile.
 * A reply is never held up by a device: indices and counters are read without
 * locks, each of them whole, all of them maybe a batch apart.
 *
 * Attributes that are unknown, of the wrong size, out of their range, or not
 * of the command they come with are refused; NLMSGERR_ATTR_OFFS points at the
 * attribute, NLMSGERR_ATTR_MSG says what is wrong. -ERANGE: out of the range;
 * -EINVAL: the rest, also what is missing; -ENODEV: no such device; -ENOENT: no
 * such virtqueue or worker.
 *
 * KHX_CMD_DEV_GET
 * ---------------
 *
 * With KHX_A_DEV_ID one device, as a dump all of them.
 *
 *    KHX_A_DEV_ID: u32, number of the device, never used again soon
 *    KHX_A_DEV_TYPE: string, "net" or "blk"
 *    KHX_A_NETNS: u32, inode number of the network namespace it belongs to
 *    KHX_A_OWNER_PID: u32, process that owns it, as the reader numbers it;
 *        not there without an owner, or one that the reader cannot see
 *    KHX_A_OWNER_COMM: string, name of the last owner when it took the device;
 *        also without one now, and for readers who cannot see it
 *    KHX_A_FEATURES: u64, virtio feature bits that were negotiated
 *    KHX_A_QUEUES: u32, virtqueues; those of a driver that uses fewer are
 *        stopped
 *    KHX_A_QUEUES_RUNNING: u32
 *    KHX_A_QUEUES_FAILED: u32
 *    KHX_A_RING: string, "split" or "packed"
 *    KHX_A_MODE: u32, enum khx_mode
 *    KHX_A_WORKERS: u32
 *    KHX_A_STATS, KHX_A_OPS: nested, as of a queue, summed up
 *
 * KHX_CMD_QUEUE_GET
 * -----------------
 *
 * With KHX_A_DEV_ID and KHX_A_QUEUE_ID one virtqueue; as a dump all of them, or
 * with KHX_A_DEV_ID all of one device.
 *
 *    KHX_A_DEV_ID: u32
 *    KHX_A_QUEUE_ID: u32, from 0
 *    KHX_A_STATE: u32, enum khx_state
 *    KHX_A_FAULT: string, the check that failed; only in KHX_STATE_FAILED
 *    KHX_A_RING: string, "split" or "packed"
 *    KHX_A_RING_SIZE: u32, entries; 0 before it is set
 *    KHX_A_AVAIL_INDEX: u32, next index (split) or slot (packed) to fetch
 *    KHX_A_USED_INDEX: u32, next index or slot to complete at
 *    KHX_A_POLL_US: u32, see KHX_CMD_WORKER_SET
 *    KHX_A_POLL_NOW_US: u32, how long it polls at the moment
 *    KHX_A_WEIGHT: u32, see KHX_CMD_WORKER_SET
 *    KHX_A_WORKER_ID: u32, the worker that serves it; not there without owner
 *    KHX_A_WORKER_TID: u32, its thread, as the reader numbers it
 *    KHX_A_STATS: nested, since the device was opened
 *        KHX_A_STATS_KICKS: u64, notifications of the driver
 *        KHX_A_STATS_SIGNALS: u64, interrupts sent to the driver
 *        KHX_A_STATS_SIGNALS_SUPPRESSED: u64, batches without one, as the
 *            driver wished
 *        KHX_A_STATS_CHAINS: u64, buffers completed
 *        KHX_A_STATS_DESCS: u64, descriptors read
 *        KHX_A_STATS_BYTES: u64, payload moved
 *        KHX_A_STATS_BATCHES: u64, completions published
 *        KHX_A_STATS_ERRORS: u64, times the queue was stopped for a fault
 *        KHX_A_STATS_DROPS: u64, packets the backend could not pass on
 *        KHX_A_STATS_POLLS: u64, times it was polled rather than waited for
 *        KHX_A_STATS_POLL_HITS: u64, times that found something
 *    KHX_A_OPS: nested, since the device was opened; only of devices that know
 *        kinds of requests
 *        KHX_A_OPS_OP: nested, one for each kind
 *            KHX_A_OP_NAME: string, "read", "write", "flush", "discard" or
 *                "zeroes"
 *            KHX_A_OP_REQUESTS: u64, requests completed
 *            KHX_A_OP_BYTES: u64, read or written
 *            KHX_A_OP_ERRORS: u64, requests that failed
 *            KHX_A_OP_LATENCY: u64[KHX_LATENCY_BUCKETS], how many requests
 *                took 2^i ns or more and less than 2^(i+1), from fetching
 *                to completing them; the last one has all that took longer
 *
 * KHX_CMD_WORKER_GET
 * ------------------
 *
 * With KHX_A_DEV_ID and KHX_A_WORKER_ID one worker; as a dump all of them, or
 * with KHX_A_DEV_ID all of one device. A shared worker appears with each of the
 * devices that it serves.
 *
 *    KHX_A_DEV_ID: u32
 *    KHX_A_WORKER_ID: u32, from 0
 *    KHX_A_WORKER_TID: u32, its thread, as the reader numbers it
 *    KHX_A_MODE: u32, enum khx_mode, of the device
 *    KHX_A_CPUS: string, CPUs it may run on, as "0-3,8"
 *    KHX_A_RUNTIME: u64, CPU time in ns
 *    KHX_A_QUEUES: u32, virtqueues of this device that it serves
 *
 * KHX_CMD_WORKER_SET
 * ------------------
 *
 * How a device is served from now on; traffic may go on meanwhile, nothing is
 * lost or overtakes. Needs CAP_NET_ADMIN. Workers that are replaced may live on
 * for a moment, until they have done what they were told to. -ENOTCONN: the
 * device has no owner. What is refused changes nothing. -ETIMEDOUT: for five
 * seconds the owner has held up the device itself, a worker that is needed for
 * another mode, or one that was replaced before; nothing has changed. -EINVAL
 * is also a list of CPUs that is none, or has none that is online. -EAGAIN:
 * RLIMIT_NPROC of the owner's user; -ESRCH: the owner is dying; -EINTR: the
 * caller is; -ENOMEM.
 *
 *    KHX_A_DEV_ID: u32
 *    KHX_A_MODE: u32, enum khx_mode, but not KHX_MODE_CUSTOM
 *    KHX_A_WORKERS: u32, 1 to KHX_WORKERS_MAX; only with KHX_MODE_SHARED. All
 *        devices of one owner that are in this mode share the workers, so
 *        that the last number said holds for all of them that follow; it
 *        does not change a pool that others use: -EBUSY
 *    KHX_A_CPUS: string, CPUs to run on, as "0-3,8". This is the
 *        administrator's word: the owner's cpuset does not narrow it, until
 *        that is written next
 *    KHX_A_POLL_US: u32, 0 to KHX_POLL_US_MAX: how long the virtqueues are
 *        polled at most before their worker sleeps; 0: not at all. The time
 *        adapts: it grows while polls find something, and shrinks
 *        when they do not
 *    KHX_A_WEIGHT: u32, KHX_WEIGHT_MIN to KHX_WEIGHT_MAX, in percent: how much
 *        a virtqueue may do in its turn before the next one of the same
 *        worker has its own
 *
 * Group "events"
 * --------------
 *
 * KHX_CMD_DEV_ADD_NTF, KHX_CMD_DEV_DEL_NTF: attributes of KHX_CMD_DEV_GET
 * KHX_CMD_QUEUE_START_NTF, KHX_CMD_QUEUE_STOP_NTF, KHX_CMD_QUEUE_ERROR_NTF:
 *    attributes of KHX_CMD_QUEUE_GET
 * KHX_CMD_WORKER_NTF: what KHX_CMD_WORKER_SET has changed: KHX_A_DEV_ID,
 *    KHX_A_MODE, KHX_A_WORKERS, KHX_A_CPUS, KHX_A_POLL_US, KHX_A_WEIGHT
 */
#ifndef _UAPI_LINUX_KHX_H
#define _UAPI_LINUX_KHX_H

#define KHX_GENL_NAME		"khx"
#define KHX_GENL_VERSION	1
#define KHX_GENL_MCGRP_EVENTS	"events"

/* Of one device: more than it can use, few enough for any host. */
#define KHX_WORKERS_MAX		64
#define KHX_POLL_US_MAX		10000
#define KHX_WEIGHT_MIN		10
#define KHX_WEIGHT_MAX		1000
#define KHX_WEIGHT_DEFAULT	100
#define KHX_CPUS_LEN_MAX	4096
#define KHX_LATENCY_BUCKETS	32

enum khx_cmd {
	KHX_CMD_UNSPEC,
	KHX_CMD_DEV_GET,
	KHX_CMD_QUEUE_GET,
	KHX_CMD_WORKER_GET,
	KHX_CMD_WORKER_SET,
	KHX_CMD_DEV_ADD_NTF,
	KHX_CMD_DEV_DEL_NTF,
	KHX_CMD_QUEUE_START_NTF,
	KHX_CMD_QUEUE_STOP_NTF,
	KHX_CMD_QUEUE_ERROR_NTF,
	KHX_CMD_WORKER_NTF,

	__KHX_CMD_MAX
};

#define KHX_CMD_MAX (__KHX_CMD_MAX - 1)

enum khx_state {
	KHX_STATE_STOPPED,
	KHX_STATE_RUNNING,
	KHX_STATE_FAILED,
};

/**
 * enum khx_mode - which worker serves which virtqueue
 * @KHX_MODE_DEVICE: one worker for the whole device; where every device starts
 * @KHX_MODE_QUEUE: a worker for each virtqueue
 * @KHX_MODE_SHARED: a number of workers for all devices of the same owner that
 *                   are in this mode
 * @KHX_MODE_CUSTOM: the owner arranged it, by VHOST_ATTACH_VRING_WORKER
 */
enum khx_mode {
	KHX_MODE_DEVICE,
	KHX_MODE_QUEUE,
	KHX_MODE_SHARED,
	KHX_MODE_CUSTOM,
};

enum khx_attr {
	KHX_A_UNSPEC,
	KHX_A_PAD,
	KHX_A_DEV_ID,
	KHX_A_DEV_TYPE,
	KHX_A_NETNS,
	KHX_A_OWNER_PID,
	KHX_A_OWNER_COMM,
	KHX_A_FEATURES,
	KHX_A_QUEUES,
	KHX_A_QUEUES_RUNNING,
	KHX_A_QUEUES_FAILED,
	KHX_A_RING,
	KHX_A_MODE,
	KHX_A_WORKERS,
	KHX_A_STATS,
	KHX_A_QUEUE_ID,
	KHX_A_STATE,
	KHX_A_FAULT,
	KHX_A_RING_SIZE,
	KHX_A_AVAIL_INDEX,
	KHX_A_USED_INDEX,
	KHX_A_POLL_US,
	KHX_A_POLL_NOW_US,
	KHX_A_WEIGHT,
	KHX_A_WORKER_ID,
	KHX_A_WORKER_TID,
	KHX_A_CPUS,
	KHX_A_RUNTIME,
	KHX_A_OPS,

	__KHX_A_MAX
};

#define KHX_A_MAX (__KHX_A_MAX - 1)

enum khx_stats_attr {
	KHX_A_STATS_UNSPEC,
	KHX_A_STATS_PAD,
	KHX_A_STATS_KICKS,
	KHX_A_STATS_SIGNALS,
	KHX_A_STATS_SIGNALS_SUPPRESSED,
	KHX_A_STATS_CHAINS,
	KHX_A_STATS_DESCS,
	KHX_A_STATS_BYTES,
	KHX_A_STATS_BATCHES,
	KHX_A_STATS_ERRORS,
	KHX_A_STATS_DROPS,
	KHX_A_STATS_POLLS,
	KHX_A_STATS_POLL_HITS,

	__KHX_A_STATS_MAX
};

#define KHX_A_STATS_MAX (__KHX_A_STATS_MAX - 1)

enum khx_ops_attr {
	KHX_A_OPS_UNSPEC,
	KHX_A_OPS_OP,

	__KHX_A_OPS_MAX
};

#define KHX_A_OPS_MAX (__KHX_A_OPS_MAX - 1)

enum khx_op_attr {
	KHX_A_OP_UNSPEC,
	KHX_A_OP_PAD,
	KHX_A_OP_NAME,
	KHX_A_OP_REQUESTS,
	KHX_A_OP_BYTES,
	KHX_A_OP_ERRORS,
	KHX_A_OP_LATENCY,

	__KHX_A_OP_MAX
};

#define KHX_A_OP_MAX (__KHX_A_OP_MAX - 1)

#endif /* _UAPI_LINUX_KHX_H */
