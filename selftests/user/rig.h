/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A virtqueue of the core on one side, a driver on the other, and a guest's
 * memory between them. What would be a worker thread is a flag here: the test
 * decides when it runs.
 */
#ifndef KHX_USER_RIG_H
#define KHX_USER_RIG_H

#include "shim.h"

#include "core/device.h"
#include "core/memory.h"
#include "core/ring.h"
#include "core/virtqueue.h"

#include "guest.h"
#include "vring.h"

/**
 * struct rig_setup - one configuration to test
 * @features: as negotiated
 * @num: ring size
 * @base: as VHOST_SET_VRING_BASE is given it
 * @driver_base: where the driver starts, in vring_layout's terms
 * @nr_cuts: where regions meet in the guest's data
 * @ring_pieces: regions that each part of the ring lies in
 * @gpa_base: where the guest's memory starts
 * @log: with a dirty log of payload and used ring
 */
struct rig_setup {
	u64 features;
	unsigned int num;
	u32 base;
	u32 driver_base;
	unsigned int nr_cuts;
	unsigned int ring_pieces;
	u64 gpa_base;
	bool log;
};

struct rig {
	struct rig_setup setup;
	struct guest guest;
	struct khx_device dev;
	struct khx_virtqueue vq;
	struct vring_driver ring;
	struct eventfd_ctx call;
	struct eventfd_ctx error;
	bool queued;			/* the worker has something to do */
};

int rig_create(struct rig *rig, const struct rig_setup *setup,
	       const struct khx_device_ops *ops);
void rig_destroy(struct rig *rig);
/* Stop, and start again with the indices the queue stopped with. */
int rig_restart(struct rig *rig);
/* Use another table with the same contents. */
void rig_swap_memory(struct rig *rig);
void rig_work(struct rig *rig);

static inline bool rig_is_packed(const struct rig *rig)
{
	return rig->ring.at.packed;
}

#endif /* KHX_USER_RIG_H */
