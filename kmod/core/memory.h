/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_MEMORY_H
#define KHX_CORE_MEMORY_H

#include <linux/kref.h>
#include <linux/types.h>

struct vhost_memory;

/* More than QEMU ever uses, few enough for a table in one allocation. */
#define KHX_MEMORY_REGIONS_MAX	512

/**
 * struct khx_memory_region - guest memory that is contiguous for the owner
 * @gpa: first guest-physical address
 * @size: bytes, never 0; @gpa + @size - 1 does not wrap
 * @uaddr: where @gpa is mapped in the owner; all of it passed access_ok()
 */
struct khx_memory_region {
	u64 gpa;
	u64 size;
	u64 uaddr;
};

/**
 * struct khx_memory - one guest memory table, immutable once created
 * @ref: held by the device and by each of its virtqueues
 * @nregions: entries of @regions, may be 0
 * @regions: sorted by @gpa, disjoint
 */
struct khx_memory {
	struct kref ref;
	u32 nregions;
	struct khx_memory_region regions[];
};

struct khx_memory *khx_memory_create(const struct vhost_memory __user *table,
				     const char **check);
void khx_memory_release(struct kref *ref);
const struct khx_memory_region *
khx_memory_find(const struct khx_memory *memory, u64 gpa);
u64 khx_memory_end(const struct khx_memory *memory);

static inline struct khx_memory *khx_memory_get(struct khx_memory *memory)
{
	if (memory)
		kref_get(&memory->ref);
	return memory;
}

static inline void khx_memory_put(struct khx_memory *memory)
{
	if (memory)
		kref_put(&memory->ref, khx_memory_release);
}

static inline bool khx_memory_region_has(const struct khx_memory_region *region,
					 u64 gpa)
{
	return gpa - region->gpa < region->size;
}

/* Is all of it in there? */
static inline bool khx_memory_region_holds(const struct khx_memory_region *region,
					   u64 gpa, u64 len)
{
	return khx_memory_region_has(region, gpa) &&
	       len <= region->size - (gpa - region->gpa);
}

/* Where the owner has what is in there. */
static inline void __user *khx_memory_region_hva(const struct khx_memory_region *region,
						 u64 gpa)
{
	return (void __user *)(unsigned long)(region->uaddr + (gpa - region->gpa));
}

#endif /* KHX_CORE_MEMORY_H */
