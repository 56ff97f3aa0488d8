/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The load of netgen: queue pairs, the tap behind them, and closed loops that
 * move packets through. See netgen.c for what they are good for.
 */
#ifndef KHX_BENCH_NETLOAD_H
#define KHX_BENCH_NETLOAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "tapdev.h"
#include "vdev.h"

#define NETLOAD_PAIRS_MAX	4
#define NETLOAD_RING_MAX	1024
#define NETLOAD_BATCH_MAX	256
#define NETLOAD_SIZE_MIN	60
#define NETLOAD_SIZE_MAX	65000

/**
 * struct netload_options - what kind of load
 * @device: path, NULL: nobody serves the rings
 * @rx: packets go to the driver, not from it
 * @packed: ring format
 * @event_idx: VIRTIO_F_EVENT_IDX
 * @indirect: each chain in a table of its own
 * @mergeable: VIRTIO_NET_F_MRG_RXBUF
 * @idle_worker: the device's thread runs only when nothing else does
 * @pairs: queue pairs
 * @num: entries of a ring
 * @batch: packets between two looks at what came back
 * @size: bytes of a packet
 * @buf_size: receive: bytes of a buffer, header included; 0: a packet fits
 * @packets: of one round, shared by the pairs
 * @rounds: how often
 */
struct netload_options {
	const char *device;
	bool rx;
	bool packed;
	bool event_idx;
	bool indirect;
	bool mergeable;
	bool idle_worker;
	unsigned int pairs;
	unsigned int num;
	unsigned int batch;
	unsigned int size;
	unsigned int buf_size;
	unsigned int packets;
	unsigned int rounds;
};

/**
 * struct netload_pair - one queue pair, that is one open device
 * @dev: the device, of which one queue is used
 * @queue: that one
 * @buffers: one for each ring entry
 * @tables: indirect tables, likewise
 * @free: transmit: buffers that are ours
 * @nr_free: of them
 * @target: packets of this round
 * @sent: of them, those on their way
 * @done: of them, those that have arrived
 * @back: receive: buffers that have come back
 * @msgs: receive: a batch of what is sent into the tap
 * @iov: receive: all of them point here
 */
struct netload_pair {
	struct vdev dev;
	struct vdev_queue *queue;
	char *buffers;
	char *tables;
	unsigned long free[NETLOAD_RING_MAX];
	unsigned int nr_free;
	unsigned long target;
	unsigned long sent;
	unsigned long done;
	unsigned long back;
	struct mmsghdr msgs[NETLOAD_BATCH_MAX];
	struct iovec iov;
};

/**
 * struct netload - a load
 * @opt: as asked for
 * @tap: interface that all pairs share
 * @taps: its queues, one a pair
 * @stride: bytes from one buffer to the next
 * @per_packet: ring entries that a packet takes
 * @pairs: the queue pairs
 * @spent_ns: without a device: what our part of the last round took
 */
struct netload {
	struct netload_options opt;
	struct tapdev tap;
	int taps[NETLOAD_PAIRS_MAX];
	size_t stride;
	unsigned int per_packet;
	struct netload_pair pairs[NETLOAD_PAIRS_MAX];
	uint64_t spent_ns;
};

void netload_open(struct netload *load, const struct netload_options *opt);

/* Move the packets of one round; returns the time it took. */
uint64_t netload_run(struct netload *load);

#endif /* KHX_BENCH_NETLOAD_H */
