// SPDX-License-Identifier: GPL-2.0
/* What the dirty log must say, by what was written. */
#include "walk.h"

static void dirty_set(u8 *dirty, u64 gpa, u64 len)
{
	u64 page;

	if (!dirty || !len)
		return;
	for (page = gpa / GUEST_PAGE; page <= (gpa + len - 1) / GUEST_PAGE;
	     page++)
		dirty[page / 8] |= 1 << page % 8;
}

void dirty_add(u64 gpa, u64 len)
{
	dirty_set(w.dirty, gpa, len);
}

/* A write of the core to ring memory: wherever the guest sees it. */
void dirty_add_hva(const char *hva, size_t len)
{
	const struct guest *guest = &w.rig.guest;
	unsigned int i;

	for (i = 0; i < guest->nr_regions; i++) {
		const struct guest_region *region = &guest->regions[i];
		const char *from = max(hva, (const char *)region->hva);
		const char *to = min(hva + len,
				     (const char *)region->hva + region->size);
		u64 gpa = region->gpa + (from - (const char *)region->hva);

		if (from < to) {
			dirty_set(w.dirty, gpa, to - from);
			dirty_set(w.dirty_ring, gpa, to - from);
		}
	}
}

/* What QEMU does: take a word of the bitmap, clear it, copy the pages. */
void log_collect(void)
{
	struct guest *guest = &w.rig.guest;
	size_t at = pick(guest->log_size);

	/* The copy is made after the bit was cleared, and has all until then. */
	if (guest->log[at]) {
		w.dirty[at] &= ~guest->log[at];
		w.dirty_ring[at] &= ~guest->log[at];
		guest->log[at] = 0;
	}
}

static void missing_check(u8 bits, u8 want, size_t at)
{
	if (want & ~bits)
		shim_die("pages written but not logged: %zx: %02x, %02x logged",
			 at * 8, want, bits);
}

/* Of the ring: of data, some may have been written that is not complete yet. */
void log_check_ring(void)
{
	size_t i;

	for (i = 0; w.dirty_ring && i < w.rig.guest.log_size; i++)
		missing_check(w.rig.guest.log[i], w.dirty_ring[i], i);
}

void log_check(void)
{
	const struct guest *guest = &w.rig.guest;
	size_t i;

	if (!w.dirty)
		return;
	for (i = 0; i < guest->log_size; i++) {
		u8 bits = guest->log[i], want = w.dirty[i];

		missing_check(bits, want, i);
		if (!w.habits.collect && bits != want)
			shim_die("pages logged but not written: %zx: %02x, %02x written",
				 i * 8, bits, want);
	}
}
