// SPDX-License-Identifier: GPL-2.0
/*
 * The configuration space: what the driver is shown of the backend, and who
 * is told when that changes.
 */
#include <linux/blkdev.h>
#include <linux/err.h>
#include <linux/eventfd.h>
#include <linux/lockdep.h>
#include <linux/log2.h>
#include <linux/uaccess.h>
#include <uapi/linux/virtio_blk.h>

#include "blk/backend.h"
#include "blk/blk.h"

/* Those that the core does, or that all backends have. */
#define KHX_BLK_FEATURES_ALWAYS					\
	(KHX_BLK_FEATURES &					\
	 ~(BIT_ULL(VIRTIO_BLK_F_RO) |				\
	   BIT_ULL(VIRTIO_BLK_F_DISCARD) |			\
	   BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES)))

static u64 khx_blk_config_features(const struct khx_blk_backend *be)
{
	u64 features = KHX_BLK_FEATURES_ALWAYS;

	if (be->readonly)
		return features | BIT_ULL(VIRTIO_BLK_F_RO);
	if (be->limits.discard_sectors)
		features |= BIT_ULL(VIRTIO_BLK_F_DISCARD);
	if (be->limits.zeroes_sectors)
		features |= BIT_ULL(VIRTIO_BLK_F_WRITE_ZEROES);
	return features;
}

static __virtio16 khx_blk_le16(u32 v)
{
	return __cpu_to_virtio16(true, min_t(u32, v, U16_MAX));
}

static __virtio32 khx_blk_le32(u32 v)
{
	return __cpu_to_virtio32(true, v);
}

static void khx_blk_config_set_topology(struct virtio_blk_config *config,
					const struct khx_blk_limits *limits)
{
	u32 block = limits->block;

	config->blk_size = khx_blk_le32(block);
	config->physical_block_exp = ilog2(max(limits->physical / block, 1U));
	config->alignment_offset = min(limits->alignment / block,
				       (u32)U8_MAX);
	config->min_io_size = khx_blk_le16(limits->io_min / block);
	config->opt_io_size = khx_blk_le32(limits->io_opt / block);
}

static void khx_blk_config_set_ranges(struct virtio_blk_config *config,
				      const struct khx_blk_limits *limits)
{
	if (limits->discard_sectors) {
		config->max_discard_sectors =
			khx_blk_le32(limits->discard_sectors);
		config->max_discard_seg = khx_blk_le32(1);
		config->discard_sector_alignment =
			khx_blk_le32(limits->discard_granularity >>
				     SECTOR_SHIFT);
	}
	if (limits->zeroes_sectors) {
		config->max_write_zeroes_sectors =
			khx_blk_le32(limits->zeroes_sectors);
		config->max_write_zeroes_seg = khx_blk_le32(1);
		config->write_zeroes_may_unmap = limits->discard_sectors != 0;
	}
}

/**
 * khx_blk_config_get - KHX_BLK_GET_CONFIG
 * @blk: disk
 * @argp: user address
 *
 * Context: Under the device's mutex.
 */
long khx_blk_config_get(struct khx_blk *blk,
			struct khx_blk_config __user *argp)
{
	struct virtio_blk_config config = {};
	struct khx_blk_config arg = {};

	lockdep_assert_held(&blk->dev.mutex);
	if (!blk->backend)
		return -ENODEV;

	config.capacity = __cpu_to_virtio64(true, khx_blk_config_sectors(blk));
	config.size_max = khx_blk_le32(KHX_BLK_SIZE_MAX);
	config.seg_max = khx_blk_le32(KHX_BLK_SEG_MAX);
	config.num_queues = khx_blk_le16(KHX_BLK_QUEUES);
	config.wce = blk->wce;
	khx_blk_config_set_topology(&config, &blk->backend->limits);
	if (!blk->backend->readonly)
		khx_blk_config_set_ranges(&config, &blk->backend->limits);

	arg.features = khx_blk_config_features(blk->backend);
	memcpy(arg.config, &config, min(sizeof(config), sizeof(arg.config)));
	return copy_to_user(argp, &arg, sizeof(arg)) ? -EFAULT : 0;
}

/* KHX_BLK_SET_CONFIG_EVENT. */
long khx_blk_config_set_event(struct khx_blk *blk, int fd)
{
	struct eventfd_ctx *event = NULL;

	if (fd != -1)
		event = eventfd_ctx_fdget(fd);
	if (IS_ERR(event))
		return PTR_ERR(event);

	spin_lock(&blk->event_lock);
	swap(event, blk->config_event);
	spin_unlock(&blk->event_lock);
	if (event)
		eventfd_ctx_put(event);
	return 0;
}

/**
 * khx_blk_config_sectors - the size of the disk, now
 * @blk: disk with a backend that cannot go away
 *
 * Signals the event if it is not what it was the last time.
 */
u64 khx_blk_config_sectors(struct khx_blk *blk)
{
	u64 sectors = blk->backend->ops->sectors(blk->backend);

	if (likely(sectors == READ_ONCE(blk->sectors)))
		return sectors;
	spin_lock(&blk->event_lock);
	if (blk->config_event && sectors != blk->sectors)
		eventfd_signal(blk->config_event);
	WRITE_ONCE(blk->sectors, sectors);
	spin_unlock(&blk->event_lock);
	return sectors;
}
