/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest's memory inside the shim's arena, cut into regions that lie at
 * guest-physical addresses of their own, with poisoned gaps between them.
 *
 * Two kinds of memory: an area for rings, each of which is contiguous for the
 * owner, and an area for data, contiguous for the guest but scattered over
 * the owner's memory. Only these and the dirty log are mapped for the device.
 */
#ifndef KHX_USER_GUEST_H
#define KHX_USER_GUEST_H

#include "shim.h"

struct khx_memory;
struct vhost_memory;

#define GUEST_PAGE		4096
#define GUEST_REGIONS_MAX	512
#define GUEST_DATA_SIZE		(256u << 10)

struct guest_region {
	u64 gpa;
	u64 size;
	char *hva;
};

struct guest {
	struct guest_region regions[GUEST_REGIONS_MAX];
	unsigned int nr_regions;
	char *next_hva;			/* arena: next free byte */
	u64 next_gpa;
	u64 data_gpa;
	char *log;			/* bitmap, of any alignment */
	size_t log_size;
};

/* Start over with an empty arena; data in @nr_cuts + 1 pieces. */
void guest_init(struct guest *guest, unsigned int nr_cuts, u64 gpa_base);
/* Owner-contiguous memory of the guest, in @pieces regions. */
char *guest_alloc(struct guest *guest, size_t size, size_t align,
		  unsigned int pieces);
/* Memory of the owner that is not the guest's. */
char *guest_alloc_owner(struct guest *guest, size_t size, size_t align);
void guest_alloc_log(struct guest *guest);

/* A table of it, as the owner would pass it, regions in random order. */
struct khx_memory *guest_table(struct guest *guest);
/* Cut a region in two without moving anything. */
void guest_recut(struct guest *guest);

char *guest_hva(const struct guest *guest, u64 gpa);
void guest_write(const struct guest *guest, u64 gpa, const void *from,
		 size_t len);
void guest_read(const struct guest *guest, u64 gpa, void *to, size_t len);
void guest_fill(const struct guest *guest, u64 gpa, u8 value, size_t len);

static inline bool guest_log_bit(const struct guest *guest, u64 page)
{
	return guest->log[page / 8] >> page % 8 & 1;
}

#endif /* KHX_USER_GUEST_H */
