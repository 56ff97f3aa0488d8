// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "memory.h"

/* Of anything sane; keeps all sums below from wrapping. */
#define MEMORY_MAX	(1ull << 46)

static struct memory_region *find(struct memory *memory,
				  const struct message_region *region)
{
	unsigned int i;

	for (i = 0; i < memory->nregions; i++) {
		struct memory_region *r = &memory->regions[i];

		if (r->gpa == region->gpa && r->size == region->size &&
		    r->address == region->address)
			return r;
	}
	return NULL;
}

size_t memory_map_size(int fd, uint64_t size)
{
	struct stat st;

	if (fstat(fd, &st))
		return 0;
	return (size + st.st_blksize - 1) / st.st_blksize * st.st_blksize;
}

static int describe(struct memory_region *r,
		    const struct message_region *region, int fd)
{
	struct stat st;
	size_t map_size;

	if (!region->size || region->size > MEMORY_MAX ||
	    region->offset > MEMORY_MAX ||
	    region->address + region->size < region->address ||
	    region->gpa + region->size < region->gpa)
		return -EINVAL;
	map_size = memory_map_size(fd, region->size + region->offset);
	if (!map_size || fstat(fd, &st))
		return -errno;
	*r = (struct memory_region) {
		.gpa = region->gpa,
		.size = region->size,
		.address = region->address,
		.offset = region->offset,
		.dev = st.st_dev,
		.ino = st.st_ino,
		.map_size = map_size,
	};
	return 0;
}

int memory_map(struct memory *memory, const struct message_region *region,
	       int fd)
{
	struct memory_region *r = &memory->regions[memory->nregions];
	int ret;

	if (memory->nregions == MEMORY_SLOTS)
		return -ENOSPC;
	ret = describe(r, region, fd);
	if (ret)
		return ret;
	r->map = mmap(NULL, r->map_size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (r->map == MAP_FAILED)
		return -errno;
	memory->nregions++;
	return 0;
}

int memory_map_again(struct memory *memory, struct memory *old,
		     const struct message_region *region, int fd)
{
	struct memory_region *was = find(old, region), now;
	int ret;

	if (was) {
		ret = describe(&now, region, fd);
		if (ret)
			return ret;
		if (was->offset == now.offset && was->dev == now.dev &&
		    was->ino == now.ino && memory->nregions < MEMORY_SLOTS) {
			/* Running rings lie in it: it must stay in place. */
			memory->regions[memory->nregions++] = *was;
			return 0;
		}
	}
	return memory_map(memory, region, fd);
}

int memory_remove(struct memory *memory, const struct message_region *region)
{
	struct memory_region *r = find(memory, region);

	if (!r)
		return -ENOENT;
	*r = memory->regions[--memory->nregions];
	return 0;
}

static bool has_map(const struct memory *memory, const uint8_t *map)
{
	unsigned int i;

	for (i = 0; memory && i < memory->nregions; i++)
		if (memory->regions[i].map == map)
			return true;
	return false;
}

void memory_release(const struct memory *memory, const struct memory *kept)
{
	unsigned int i;

	for (i = 0; i < memory->nregions; i++)
		if (!has_map(kept, memory->regions[i].map))
			munmap(memory->regions[i].map,
			       memory->regions[i].map_size);
}

uint64_t memory_translate(const struct memory *memory, uint64_t address,
			  uint64_t len)
{
	unsigned int i;

	for (i = 0; i < memory->nregions; i++) {
		const struct memory_region *r = &memory->regions[i];
		uint64_t offset = address - r->address;

		if (offset < r->size && len <= r->size - offset)
			return (uintptr_t)r->map + r->offset + offset;
	}
	return 0;
}

bool memory_has(const struct memory *memory, uint64_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < memory->nregions; i++) {
		const struct memory_region *r = &memory->regions[i];
		uint64_t offset = gpa - r->gpa;

		if (offset < r->size && len <= r->size - offset)
			return true;
	}
	return false;
}

/* First guest-physical address behind all memory. */
uint64_t memory_end(const struct memory *memory)
{
	uint64_t end = 0;
	unsigned int i;

	for (i = 0; i < memory->nregions; i++) {
		const struct memory_region *r = &memory->regions[i];

		if (r->gpa + r->size > end)
			end = r->gpa + r->size;
	}
	return end;
}

int memory_set_table(const struct memory *memory, int dev)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[MEMORY_SLOTS];
	} table = { .head.nregions = memory->nregions };
	unsigned int i;

	for (i = 0; i < memory->nregions; i++) {
		const struct memory_region *r = &memory->regions[i];

		table.regions[i] = (struct vhost_memory_region) {
			.guest_phys_addr = r->gpa,
			.memory_size = r->size,
			.userspace_addr = (uintptr_t)r->map + r->offset,
		};
	}
	return ioctl(dev, VHOST_SET_MEM_TABLE, &table) ? -errno : 0;
}
