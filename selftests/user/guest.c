// SPDX-License-Identifier: GPL-2.0
/* A guest's memory; see guest.h. */
#include <sanitizer/asan_interface.h>
#include <sys/mman.h>
#include <uapi/linux/vhost.h>

#include "core/memory.h"
#include "guest.h"

#define ARENA_SIZE	(16u << 20)

/* Up to where the last guest used the arena. */
static char *used_end;

/* ASan tells single bytes apart only at the end of an aligned eight. */
static char *arena_take(struct guest *guest, size_t size, size_t align)
{
	char *hva = guest->next_hva + 16 + shim_random() % 5 * 8;

	if (align < 8)
		align = 8;
	hva += -(uintptr_t)hva & (align - 1);
	guest->next_hva = hva + size;
	if (guest->next_hva > shim.arena + shim.arena_size)
		shim_die("arena too small");
	used_end = guest->next_hva;
	ASAN_UNPOISON_MEMORY_REGION(hva, size);
	return hva;
}

static void region_add(struct guest *guest, u64 gpa, u64 size, char *hva)
{
	if (guest->nr_regions == GUEST_REGIONS_MAX)
		shim_die("too many regions");
	guest->regions[guest->nr_regions++] = (struct guest_region) {
		.gpa = gpa, .size = size, .hva = hva,
	};
}

static int offset_cmp(const void *a, const void *b)
{
	return *(const u32 *)a < *(const u32 *)b ? -1 : 1;
}

/* The pieces stand in the arena in any order. */
static void data_init(struct guest *guest, unsigned int nr_cuts)
{
	u32 cuts[GUEST_REGIONS_MAX + 1], place[GUEST_REGIONS_MAX];
	unsigned int i, j;

	cuts[0] = 0;
	for (i = 1; i <= nr_cuts; i++)
		cuts[i] = 1 + shim_random() % (GUEST_DATA_SIZE - 1);
	cuts[nr_cuts + 1] = GUEST_DATA_SIZE;
	qsort(cuts, nr_cuts + 2, sizeof(*cuts), offset_cmp);

	for (i = 0; i <= nr_cuts; i++) {
		j = shim_random() % (i + 1);
		place[i] = place[j];
		place[j] = i;
	}
	for (i = 0; i <= nr_cuts; i++) {
		u32 from = cuts[place[i]], to = cuts[place[i] + 1];

		if (from != to)
			region_add(guest, guest->data_gpa + from, to - from,
				   arena_take(guest, to - from, 1));
	}
}

void guest_init(struct guest *guest, unsigned int nr_cuts, u64 gpa_base)
{
	if (!shim.arena) {
		shim.arena_size = ARENA_SIZE;
		shim.arena = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (shim.arena == MAP_FAILED)
			shim_die("no memory for the arena");
	}
	ASAN_POISON_MEMORY_REGION(shim.arena, used_end ? used_end - shim.arena :
						       ARENA_SIZE);
	used_end = shim.arena;

	guest->nr_regions = 0;
	guest->next_hva = shim.arena;
	guest->log = NULL;
	guest->log_size = 0;
	guest->data_gpa = gpa_base + shim_random() % (4 * GUEST_PAGE);
	guest->next_gpa = guest->data_gpa + GUEST_DATA_SIZE;
	data_init(guest, nr_cuts);
}

char *guest_alloc(struct guest *guest, size_t size, size_t align,
		  unsigned int pieces)
{
	char *hva = arena_take(guest, size, align);
	size_t at = 0, len;
	u64 gpa;

	while (at < size) {
		len = size - at;
		if (--pieces && len > align)
			len = align * (1 + shim_random() % (len / align));
		gpa = guest->next_gpa + GUEST_PAGE;
		gpa += -gpa & (align - 1);
		region_add(guest, gpa, len, hva + at);
		guest->next_gpa = gpa + len + shim_random() % GUEST_PAGE;
		at += len;
	}
	return hva;
}

char *guest_alloc_owner(struct guest *guest, size_t size, size_t align)
{
	return arena_take(guest, size, align);
}

/* Bits are set in aligned words around the bitmap: as in any heap. */
void guest_alloc_log(struct guest *guest)
{
	char *block;

	guest->log_size = guest->next_gpa / GUEST_PAGE / 8 + 1;
	block = arena_take(guest, guest->log_size + 8, 4);
	memset(block, 0, guest->log_size + 8);
	guest->log = block + shim_random() % 4;
}

struct khx_memory *guest_table(struct guest *guest)
{
	static u64 room[1 + GUEST_REGIONS_MAX * 4];
	struct vhost_memory *table = (void *)room;
	size_t size = shim.arena_size;
	unsigned int i, j, fault_rate = shim.fault_rate;
	struct khx_memory *memory;
	char *arena = shim.arena;
	const char *check;

	table->nregions = guest->nr_regions;
	for (i = 0; i < guest->nr_regions; i++) {
		const struct guest_region *region = &guest->regions[i];

		j = shim_random() % (i + 1);
		table->regions[i] = table->regions[j];
		table->regions[j] = (struct vhost_memory_region) {
			.guest_phys_addr = region->gpa,
			.memory_size = region->size,
			.userspace_addr = (uintptr_t)region->hva,
		};
	}

	/* The table itself lies outside the arena, and is always there. */
	shim.fault_rate = 0;
	shim.arena = (char *)room;
	shim.arena_size = sizeof(room);
	memory = khx_memory_create(table, &check);
	shim.arena = arena;
	shim.arena_size = size;
	shim.fault_rate = fault_rate;
	return memory;
}

void guest_recut(struct guest *guest)
{
	struct guest_region *region;
	u64 at;

	if (guest->nr_regions == GUEST_REGIONS_MAX)
		return;
	region = &guest->regions[shim_random() % guest->nr_regions];
	if (region->size < 2)
		return;
	at = 1 + shim_random() % (region->size - 1);
	region_add(guest, region->gpa + at, region->size - at,
		   region->hva + at);
	region->size = at;
}

static const struct guest_region *region_find(const struct guest *guest,
					      u64 gpa)
{
	static unsigned int last;
	unsigned int i;

	if (last < guest->nr_regions &&
	    gpa - guest->regions[last].gpa < guest->regions[last].size)
		return &guest->regions[last];
	for (i = 0; i < guest->nr_regions; i++)
		if (gpa - guest->regions[i].gpa < guest->regions[i].size)
			return &guest->regions[last = i];
	return NULL;
}

char *guest_hva(const struct guest *guest, u64 gpa)
{
	const struct guest_region *region = region_find(guest, gpa);

	return region ? region->hva + (gpa - region->gpa) : NULL;
}

/* The owner's address of @gpa, and how many of @len bytes follow there. */
static char *guest_span(const struct guest *guest, u64 gpa, size_t *len)
{
	const struct guest_region *region = region_find(guest, gpa);
	u64 offset;

	if (!region)
		shim_die("test uses guest memory at %llx: there is none", gpa);
	offset = gpa - region->gpa;
	if (*len > region->size - offset)
		*len = region->size - offset;
	return region->hva + offset;
}

void guest_write(const struct guest *guest, u64 gpa, const void *from,
		 size_t len)
{
	size_t n;

	for (; len; len -= n, gpa += n, from += n) {
		n = len;
		memcpy(guest_span(guest, gpa, &n), from, n);
	}
}

void guest_read(const struct guest *guest, u64 gpa, void *to, size_t len)
{
	size_t n;

	for (; len; len -= n, gpa += n, to += n) {
		n = len;
		memcpy(to, guest_span(guest, gpa, &n), n);
	}
}

void guest_fill(const struct guest *guest, u64 gpa, u8 value, size_t len)
{
	size_t n;

	for (; len; len -= n, gpa += n) {
		n = len;
		memset(guest_span(guest, gpa, &n), value, n);
	}
}
