// SPDX-License-Identifier: GPL-2.0
/* A virtqueue and its driver; see rig.h. */
#include <core/netlink.h>

#include "rig.h"

/* Nobody listens. */
void khx_netlink_vq_event(struct khx_virtqueue *vq, u8 cmd)
{
}

/* What the core would do with threads and wait queues. */

void khx_work_init(struct khx_work *work, khx_work_fn fn)
{
	work->fn = fn;
}

bool khx_worker_queue(struct khx_worker *worker, struct khx_work *work)
{
	((struct rig *)worker)->queued = true;
	return true;
}

void khx_poll_init(struct khx_poll *poll, struct khx_virtqueue *vq,
		   __poll_t mask, u64 *count)
{
}

void rig_work(struct rig *rig)
{
	rig->queued = false;
	rig->vq.work.fn(&rig->vq.work);
}

static void ring_alloc(struct rig *rig, struct vring_layout *at)
{
	unsigned int pieces = rig->setup.ring_pieces;
	struct guest *guest = &rig->guest;

	at->desc = guest_alloc(guest, vring_desc_bytes(at->packed, at->num),
			       16, pieces);
	at->avail = guest_alloc(guest, vring_avail_bytes(at->packed, at->num),
				at->packed ? 4 : 2, pieces);
	/* The owner gives one address to log it by: one region. */
	at->used = guest_alloc(guest, vring_used_bytes(at->packed, at->num),
			       4, 1);
}

static u64 hva_to_gpa(const struct guest *guest, const void *hva)
{
	unsigned int i;

	for (i = 0; i < guest->nr_regions; i++) {
		const struct guest_region *region = &guest->regions[i];

		if ((uintptr_t)hva - (uintptr_t)region->hva < region->size)
			return region->gpa + ((char *)hva - region->hva);
	}
	shim_die("not the guest's: %p", hva);
}

static int queue_start(struct rig *rig, u32 base)
{
	struct khx_virtqueue *vq = &rig->vq;
	int ret;

	mutex_lock(&rig->dev.mutex);
	mutex_lock(&vq->mutex);
	khx_virtqueue_set_features(vq, rig->setup.features);
	vq->num = rig->setup.num;
	vq->desc = rig->ring.at.desc;
	vq->avail = rig->ring.at.avail;
	vq->used = rig->ring.at.used;
	vq->log_used = rig->setup.log;
	vq->log_used_gpa = hva_to_gpa(&rig->guest, vq->used);
	vq->log_base = rig->guest.log;
	vq->call = &rig->call;
	vq->error = &rig->error;
	vq->worker = (struct khx_worker *)rig;
	ret = vq->ops->set_base(vq, base);
	if (!ret)
		ret = khx_virtqueue_start(vq, rig);
	mutex_unlock(&vq->mutex);
	mutex_unlock(&rig->dev.mutex);
	return ret;
}

static void queue_stop(struct rig *rig)
{
	mutex_lock(&rig->vq.mutex);
	khx_virtqueue_stop(&rig->vq);
	mutex_unlock(&rig->vq.mutex);
}

int rig_restart(struct rig *rig)
{
	u32 base;

	queue_stop(rig);
	base = rig->vq.ops->get_base(&rig->vq);
	mutex_lock(&rig->vq.mutex);
	/* Another life of the same file, or another host altogether. */
	khx_virtqueue_reset(&rig->vq);
	mutex_unlock(&rig->vq.mutex);
	rig_swap_memory(rig);
	return queue_start(rig, base);
}

void rig_swap_memory(struct rig *rig)
{
	struct khx_memory *memory;

	guest_recut(&rig->guest);
	memory = guest_table(&rig->guest);
	if (IS_ERR(memory))
		shim_die("memory table refused: %ld", PTR_ERR(memory));

	mutex_lock(&rig->vq.mutex);
	khx_virtqueue_set_memory(&rig->vq, memory);
	mutex_unlock(&rig->vq.mutex);
	khx_memory_put(memory);
}

int rig_create(struct rig *rig, const struct rig_setup *setup,
	       const struct khx_device_ops *ops)
{
	struct vring_layout at = {
		.packed = setup->features & BIT_ULL(VIRTIO_F_RING_PACKED),
		.event_idx = setup->features &
			     BIT_ULL(VIRTIO_RING_F_EVENT_IDX),
		.num = setup->num,
		.base = setup->driver_base,
	};
	int ret;

	memset(rig, 0, sizeof(*rig));
	rig->setup = *setup;
	rig->dev.ops = ops;
	guest_init(&rig->guest, setup->nr_cuts, setup->gpa_base);
	ring_alloc(rig, &at);
	if (setup->log)
		guest_alloc_log(&rig->guest);
	ret = vring_open(&rig->ring, &at);
	if (!ret)
		ret = khx_virtqueue_init(&rig->vq, &rig->dev, 0);
	if (ret)
		return ret;
	rig_swap_memory(rig);
	return queue_start(rig, setup->base);
}

void rig_destroy(struct rig *rig)
{
	queue_stop(rig);
	mutex_lock(&rig->vq.mutex);
	khx_virtqueue_reset(&rig->vq);
	mutex_unlock(&rig->vq.mutex);
	khx_virtqueue_destroy(&rig->vq);
	vring_close(&rig->ring);
}
