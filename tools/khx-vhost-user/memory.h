/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The guest's memory, mapped into this process so that the kernel can reach
 * it there. We never look at it ourselves.
 */
#ifndef KHX_VHOST_USER_MEMORY_H
#define KHX_VHOST_USER_MEMORY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "protocol.h"

#define MEMORY_SLOTS	32

struct memory_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t address;	/* of the front end */
	uint64_t offset;
	dev_t dev;		/* of the file */
	ino_t ino;
	uint8_t *map;
	size_t map_size;
};

struct memory {
	unsigned int nregions;
	struct memory_region regions[MEMORY_SLOTS];
};

/*
 * How much of @fd a mapping of @size bytes has: whole pages, of huge ones too. Less
 * of it cannot be unmapped. 0: errno says why.
 */
size_t memory_map_size(int fd, uint64_t size);

/* Map one region of @fd, which stays open. 0 or a negative errno. */
int memory_map(struct memory *memory, const struct message_region *region,
	       int fd);
/* Forget a region; its mapping stays until memory_release(). */
int memory_remove(struct memory *memory, const struct message_region *region);

/* Unmap all that is not in @kept, too; NULL: all. */
void memory_release(const struct memory *memory, const struct memory *kept);

/* Take over mappings from @old where they are the same. */
int memory_map_again(struct memory *memory, struct memory *old,
		     const struct message_region *region, int fd);

/* Our address of @len bytes of the front end's, or 0. */
uint64_t memory_translate(const struct memory *memory, uint64_t address,
			  uint64_t len);
bool memory_has(const struct memory *memory, uint64_t gpa, uint64_t len);
uint64_t memory_end(const struct memory *memory);
int memory_set_table(const struct memory *memory, int dev);

#endif
