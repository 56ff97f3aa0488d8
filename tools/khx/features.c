// SPDX-License-Identifier: GPL-2.0
/* Names of virtio feature bits; which ones exist depends on the type. */
#include <linux/vhost_types.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>

#include "features.h"

struct feature {
	unsigned int bit;
	const char *name;
};

static const struct feature features_net[] = {
	{ VIRTIO_NET_F_MTU, "mtu" },
	{ VIRTIO_NET_F_MRG_RXBUF, "mrg_rxbuf" },
	{ VHOST_NET_F_VIRTIO_NET_HDR, "virtio_net_hdr" },
	{ }
};

static const struct feature features_blk[] = {
	{ VIRTIO_BLK_F_SIZE_MAX, "size_max" },
	{ VIRTIO_BLK_F_SEG_MAX, "seg_max" },
	{ VIRTIO_BLK_F_GEOMETRY, "geometry" },
	{ VIRTIO_BLK_F_RO, "ro" },
	{ VIRTIO_BLK_F_BLK_SIZE, "blk_size" },
	{ VIRTIO_BLK_F_FLUSH, "flush" },
	{ VIRTIO_BLK_F_TOPOLOGY, "topology" },
	{ VIRTIO_BLK_F_CONFIG_WCE, "config_wce" },
	{ VIRTIO_BLK_F_MQ, "mq" },
	{ VIRTIO_BLK_F_DISCARD, "discard" },
	{ VIRTIO_BLK_F_WRITE_ZEROES, "write_zeroes" },
	{ }
};

static const struct feature features_all[] = {
	{ VIRTIO_F_NOTIFY_ON_EMPTY, "notify_on_empty" },
	{ VHOST_F_LOG_ALL, "log_all" },
	{ VIRTIO_RING_F_INDIRECT_DESC, "indirect_desc" },
	{ VIRTIO_RING_F_EVENT_IDX, "event_idx" },
	{ VIRTIO_F_VERSION_1, "version_1" },
	{ VIRTIO_F_ACCESS_PLATFORM, "access_platform" },
	{ VIRTIO_F_RING_PACKED, "ring_packed" },
	{ VIRTIO_F_IN_ORDER, "in_order" },
	{ }
};

static const char *features_find(const struct feature *table, unsigned int bit)
{
	for (; table->name; table++)
		if (table->bit == bit)
			return table->name;
	return NULL;
}

static const struct feature *features_of_type(const char *type)
{
	return strcmp(type, "net") ? features_blk : features_net;
}

struct json_object *features_names(const char *type, uint64_t features)
{
	struct json_object *names = json_object_new_array();
	const char *name;
	unsigned int bit;
	char number[8];

	for (bit = 0; bit < 64; bit++) {
		if (!(features & (UINT64_C(1) << bit)))
			continue;
		name = features_find(features_all, bit);
		if (!name)
			name = features_find(features_of_type(type), bit);
		if (!name) {
			snprintf(number, sizeof(number), "bit%u", bit);
			name = number;
		}
		json_object_array_add(names, json_object_new_string(name));
	}
	return names;
}
