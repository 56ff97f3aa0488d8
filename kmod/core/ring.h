/* SPDX-License-Identifier: GPL-2.0 */
/* What the two ring formats share; private to the core. */
#ifndef KHX_CORE_RING_H
#define KHX_CORE_RING_H

#include "core/memory.h"
#include "core/virtqueue.h"

/*
 * Descriptors after which a fetch returns with the chains it has. A driver
 * can hang 32768 empty descriptors on every chain: without this bound it
 * would hold the worker for two million of them a batch.
 */
#define KHX_FETCH_DESCS	4096

/**
 * struct khx_table - an indirect descriptor table while it is read
 * @gpa: where it is
 * @n: its entries
 * @first: entry that the window in the scratch starts at
 * @cached: entries in the window
 */
struct khx_table {
	u64 gpa;
	u32 n;
	u32 first;
	u32 cached;
};

int khx_table_init(struct khx_virtqueue *vq, struct khx_table *table,
		   u64 gpa, u32 len);
const struct vring_desc *khx_table_entry(struct khx_virtqueue *vq,
					 struct khx_table *table, u32 i);

int __khx_chain_add(struct khx_virtqueue *vq, struct khx_chain *chain,
		    u64 gpa, u32 len, bool write);
void khx_chain_undo(struct khx_virtqueue *vq, const struct khx_chain *chain);

int khx_ring_log_used(struct khx_virtqueue *vq, u64 offset, u64 len);

static inline void khx_chain_init(struct khx_virtqueue *vq,
				  struct khx_chain *chain)
{
	*chain = (struct khx_chain) {
		.iov = vq->scratch->iov + vq->nr_iov,
		.gpa = vq->scratch->gpa + vq->nr_iov,
		.nr_slots = 1,
	};
}

/* Can a segment follow those that a chain has? An empty chain takes any. */
static inline bool khx_chain_takes(const struct khx_chain *chain, u32 len,
				   bool write)
{
	u32 total = write ? chain->len_in : chain->len_out;

	return chain->nr_out + chain->nr_in < UIO_MAXIOV &&
	       (write || !chain->nr_in) && total + len > total;
}

/*
 * Append guest memory to a chain. Nearly every segment is in the region of the
 * last one and breaks no rule: that case is here, all others in
 * __khx_chain_add().
 */
static inline int khx_chain_add(struct khx_virtqueue *vq,
				struct khx_chain *chain, u64 gpa, u32 len,
				bool write)
{
	const struct khx_memory_region *region = vq->region;
	struct iovec *iov;

	if (unlikely(!region || !khx_chain_takes(chain, len, write) ||
		     vq->nr_iov == KHX_IOV_MAX ||
		     !khx_memory_region_holds(region, gpa, len)))
		return __khx_chain_add(vq, chain, gpa, len, write);

	iov = &vq->scratch->iov[vq->nr_iov];
	iov->iov_base = khx_memory_region_hva(region, gpa);
	iov->iov_len = len;
	vq->scratch->gpa[vq->nr_iov++] = gpa;
	if (write) {
		chain->nr_in++;
		chain->len_in += len;
	} else {
		chain->nr_out++;
		chain->len_out += len;
	}
	return 0;
}

#endif /* KHX_CORE_RING_H */
