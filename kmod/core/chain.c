// SPDX-License-Identifier: GPL-2.0
/*
 * Chains: what the driver's descriptors say, checked and translated into
 * segments of the owner's memory. Both ring formats build them here.
 */
#include <linux/export.h>
#include <linux/lockdep.h>
#include <linux/minmax.h>
#include <linux/uaccess.h>

#include "core/memory.h"
#include "core/ring.h"

static const struct khx_memory_region *
khx_chain_region(struct khx_virtqueue *vq, u64 gpa)
{
	const struct khx_memory_region *region = vq->region;

	if (region && khx_memory_region_has(region, gpa))
		return region;
	region = khx_memory_find(vq->memory, gpa);
	if (region)
		vq->region = region;
	return region;
}

/*
 * Room for one more segment? A batch that is full ends before this chain; a
 * chain that is too long on its own is the driver's fault.
 */
static int khx_chain_room(struct khx_virtqueue *vq,
			  const struct khx_chain *chain)
{
	if (chain->nr_out + chain->nr_in == UIO_MAXIOV)
		return khx_virtqueue_fail(vq, -ENOBUFS,
					  "too many segments in a chain");
	return vq->nr_iov == KHX_IOV_MAX ? -ENOBUFS : 0;
}

static int khx_chain_check(struct khx_virtqueue *vq, struct khx_chain *chain,
			   u32 len, bool write)
{
	u32 *total = write ? &chain->len_in : &chain->len_out;

	if (!write && chain->nr_in)
		return khx_virtqueue_fail(vq, -EINVAL,
					  "readable descriptor after writable");
	if (check_add_overflow(*total, len, total))
		return khx_virtqueue_fail(vq, -EINVAL,
					  "chain of 4 GiB or more");
	return 0;
}

/**
 * __khx_chain_add - append guest memory to a chain, general case
 * @vq: virtqueue
 * @chain: chain under construction, the last one of the batch
 * @gpa: guest-physical address
 * @len: bytes, may be 0
 * @write: does the device write it?
 *
 * Memory that crosses from one region into the next becomes two segments.
 *
 * Return: 0; -ENOBUFS when the batch is full; another negative errno when
 * the driver is to blame and the queue was stopped.
 */
int __khx_chain_add(struct khx_virtqueue *vq, struct khx_chain *chain,
		    u64 gpa, u32 len, bool write)
{
	const struct khx_memory_region *region;
	u64 size;
	int ret;

	ret = khx_chain_check(vq, chain, len, write);

	for (; !ret && len; len -= size, gpa += size) {
		region = khx_chain_region(vq, gpa);
		if (!region)
			return khx_virtqueue_fail(vq, -EFAULT,
						  "buffer outside guest memory");
		ret = khx_chain_room(vq, chain);
		if (ret)
			break;

		size = min_t(u64, len, region->size - (gpa - region->gpa));
		vq->scratch->iov[vq->nr_iov] = (struct iovec) {
			.iov_base = khx_memory_region_hva(region, gpa),
			.iov_len = size,
		};
		vq->scratch->gpa[vq->nr_iov++] = gpa;
		if (write)
			chain->nr_in++;
		else
			chain->nr_out++;
	}
	return ret;
}

/* Drop the last chain of a batch, complete or not. */
void khx_chain_undo(struct khx_virtqueue *vq, const struct khx_chain *chain)
{
	vq->nr_iov = chain->iov - vq->scratch->iov;
}

static int khx_guest_read(struct khx_virtqueue *vq, void *to, u64 gpa,
			  u32 len)
{
	const struct khx_memory_region *region;
	u64 size;

	for (; len; len -= size, gpa += size, to += size) {
		region = khx_chain_region(vq, gpa);
		if (!region)
			return -EFAULT;
		size = min_t(u64, len, region->size - (gpa - region->gpa));
		if (copy_from_user(to, khx_memory_region_hva(region, gpa), size))
			return -EFAULT;
	}
	return 0;
}

/**
 * khx_table_init - check an indirect descriptor
 * @vq: virtqueue
 * @table: to be set up
 * @gpa: address in the descriptor
 * @len: length in the descriptor
 *
 * Return: 0, or -EINVAL when the driver is to blame and the queue was stopped.
 */
int khx_table_init(struct khx_virtqueue *vq, struct khx_table *table,
		   u64 gpa, u32 len)
{
	u32 n = len / sizeof(struct vring_desc);

	if (!khx_virtqueue_has_feature(vq, VIRTIO_RING_F_INDIRECT_DESC))
		return khx_virtqueue_fail(vq, -EINVAL,
					  "indirect table not negotiated");
	if (!n || len % sizeof(struct vring_desc))
		return khx_virtqueue_fail(vq, -EINVAL,
					  "bad size of indirect table");
	/*
	 * Not what the ring has: Linux fills tables as the configuration space of
	 * the device says, however short the ring.
	 */
	if (n > UIO_MAXIOV)
		return khx_virtqueue_fail(vq, -EINVAL,
					  "indirect table too long");

	*table = (struct khx_table) { .gpa = gpa, .n = n };
	return 0;
}

/**
 * khx_table_entry - read one entry of an indirect table
 * @vq: virtqueue
 * @table: table
 * @i: entry, less than @table->n
 *
 * Entries are copied a window at a time, each one once for as long as the
 * driver goes forward through its table.
 *
 * Return: a private copy of the entry, valid until the next call; or NULL
 * when it cannot be read and the queue was stopped.
 */
const struct vring_desc *khx_table_entry(struct khx_virtqueue *vq,
					 struct khx_table *table, u32 i)
{
	struct vring_desc *window = vq->scratch->table;
	u32 n;

	if (i - table->first < table->cached)
		return &window[i - table->first];

	n = min_t(u32, table->n - i, KHX_TABLE_WINDOW);
	if (khx_guest_read(vq, window, table->gpa + (u64)i * sizeof(*window),
			   n * sizeof(*window))) {
		khx_virtqueue_fail(vq, -EFAULT,
				   "indirect table outside guest memory");
		return NULL;
	}
	table->first = i;
	table->cached = n;
	return window;
}
