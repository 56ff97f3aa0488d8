// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Guest memory
 *
 * The owner says with VHOST_SET_MEM_TABLE which of its memory is the guest's.
 * A table is checked as a whole, sorted by guest-physical address, and never
 * changes afterwards: a new one replaces it. Virtqueues hold a reference each
 * and exchange it under their own mutex, so that a lookup needs no lock and a
 * batch sees one table from start to end.
 *
 * A lookup is a binary search; the virtqueue remembers the region of the
 * last hit, which is nearly always the next one too.
 */
#include <linux/export.h>
#include <linux/slab.h>
#include <linux/sort.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

#include "core/memory.h"

/* What is wrong with a region, or NULL. */
static const char *khx_memory_region_fault(const struct vhost_memory_region *r)
{
	if (!r->memory_size ||
	    r->guest_phys_addr + r->memory_size - 1 < r->guest_phys_addr)
		return "region empty or beyond the last address";
	if (r->userspace_addr != (unsigned long)r->userspace_addr ||
	    r->memory_size != (unsigned long)r->memory_size ||
	    !access_ok((void __user *)(unsigned long)r->userspace_addr,
		       r->memory_size))
		return "region not in user space";
	return NULL;
}

static int khx_memory_region_cmp(const void *a, const void *b)
{
	const struct khx_memory_region *ra = a, *rb = b;

	if (ra->gpa == rb->gpa)
		return 0;
	return ra->gpa < rb->gpa ? -1 : 1;
}

static int khx_memory_fill(struct khx_memory *memory,
			   const struct vhost_memory_region *from,
			   const char **check)
{
	struct khx_memory_region *regions = memory->regions;
	u32 i;

	for (i = 0; i < memory->nregions; i++) {
		*check = khx_memory_region_fault(&from[i]);
		if (*check)
			return -EFAULT;
		regions[i] = (struct khx_memory_region) {
			.gpa = from[i].guest_phys_addr,
			.size = from[i].memory_size,
			.uaddr = from[i].userspace_addr,
		};
	}
	sort(regions, memory->nregions, sizeof(*regions),
	     khx_memory_region_cmp, NULL);
	for (i = 1; i < memory->nregions; i++)
		if (khx_memory_region_has(&regions[i - 1], regions[i].gpa))
			return -EINVAL;
	return 0;
}

/**
 * khx_memory_create - read and check a memory table of user space
 * @table: argument of VHOST_SET_MEM_TABLE
 * @check: set to what is wrong where a region is, and to NULL where none is
 *
 * Context: Process context of the owner. May sleep.
 * Return: the table with one reference, or an ERR_PTR:
 * * -E2BIG      - more than KHX_MEMORY_REGIONS_MAX regions
 * * -EOPNOTSUPP - padding is not 0
 * * -EFAULT     - unreadable, an empty region, or one that wraps or leaves
 *                 user space
 * * -EINVAL     - two regions overlap
 * * -ENOMEM
 */
struct khx_memory *khx_memory_create(const struct vhost_memory __user *table,
				     const char **check)
{
	struct vhost_memory_region *from;
	struct vhost_memory head;
	struct khx_memory *memory;
	int ret;

	if (copy_from_user(&head, table, sizeof(head)))
		return ERR_PTR(-EFAULT);
	if (head.padding)
		return ERR_PTR(-EOPNOTSUPP);
	if (head.nregions > KHX_MEMORY_REGIONS_MAX)
		return ERR_PTR(-E2BIG);

	from = vmemdup_user(table->regions,
			    array_size(head.nregions, sizeof(*from)));
	if (IS_ERR(from))
		return ERR_CAST(from);

	ret = -ENOMEM;
	memory = kzalloc(struct_size(memory, regions, head.nregions),
			 GFP_KERNEL_ACCOUNT);
	if (!memory)
		goto out;

	kref_init(&memory->ref);
	memory->nregions = head.nregions;
	ret = khx_memory_fill(memory, from, check);
	if (ret)
		kfree(memory);
out:
	kvfree(from);
	return ret ? ERR_PTR(ret) : memory;
}

/* Last reference; use khx_memory_put(). */
void khx_memory_release(struct kref *ref)
{
	kfree(container_of(ref, struct khx_memory, ref));
}
EXPORT_SYMBOL_GPL(khx_memory_release);

/**
 * khx_memory_find - the region that holds a guest-physical address
 * @memory: table, or NULL for none
 * @gpa: address
 *
 * Return: the region, or NULL when the guest has no memory there.
 */
const struct khx_memory_region *
khx_memory_find(const struct khx_memory *memory, u64 gpa)
{
	u32 low = 0, high = memory ? memory->nregions : 0;

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		const struct khx_memory_region *region = &memory->regions[mid];

		if (khx_memory_region_has(region, gpa))
			return region;
		if (gpa < region->gpa)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}
EXPORT_SYMBOL_GPL(khx_memory_find);

/**
 * khx_memory_end - the highest guest-physical address of a table
 * @memory: table, or NULL for none
 *
 * Return: the last byte's address, 0 for an empty table.
 */
u64 khx_memory_end(const struct khx_memory *memory)
{
	const struct khx_memory_region *last;

	if (!memory || !memory->nregions)
		return 0;
	last = &memory->regions[memory->nregions - 1];
	return last->gpa + (last->size - 1);
}
