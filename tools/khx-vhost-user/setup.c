// SPDX-License-Identifier: GPL-2.0
#include <errno.h>

#include <linux/virtio_config.h>

#include "setup.h"

#define LOG_PAGE	4096

bool setup_is_packed(const struct setup *setup)
{
	return setup->features & (1ull << VIRTIO_F_RING_PACKED);
}

/* Is there room in the log for everything the device may write? */
static bool log_covers_memory(const struct setup *setup)
{
	return memory_end(&setup->memory) <= setup->log_size * 8 * LOG_PAGE;
}

/* The kernel logs data, rings, or both; a packed ring where it lies. */
static bool is_logged(const struct setup *setup,
		      const struct vhost_vring_addr *addr)
{
	return setup->features & (1ull << VHOST_F_LOG_ALL) ||
	       addr->flags & (1 << VHOST_VRING_F_LOG);
}

/* Sizes of a ring's three parts. */
static void ring_sizes(const struct setup *setup, unsigned int num,
		       uint64_t *desc, uint64_t *avail, uint64_t *used)
{
	*desc = 16ull * num;
	*avail = 6 + 2ull * num;
	*used = 6 + 8ull * num;
	if (setup_is_packed(setup)) {
		*avail = 4;
		*used = 4;
	}
}

int setup_translate(const struct setup *setup, unsigned int num,
		    const struct vhost_vring_addr *theirs,
		    struct vhost_vring_addr *ours)
{
	const struct memory *memory = &setup->memory;
	uint64_t desc, avail, used;

	ring_sizes(setup, num, &desc, &avail, &used);
	*ours = *theirs;
	ours->desc_user_addr = memory_translate(memory, ours->desc_user_addr,
						desc);
	ours->avail_user_addr = memory_translate(memory, ours->avail_user_addr,
						 avail);
	ours->used_user_addr = memory_translate(memory, ours->used_user_addr,
						used);
	if (!ours->desc_user_addr || !ours->avail_user_addr ||
	    !ours->used_user_addr)
		return -EFAULT;
	if (ours->flags & (1 << VHOST_VRING_F_LOG) &&
	    !memory_has(memory, ours->log_guest_addr, used))
		return -EFAULT;
	if (is_logged(setup, ours) && !log_covers_memory(setup))
		return -EFAULT;
	return 0;
}
