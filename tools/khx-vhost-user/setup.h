/* SPDX-License-Identifier: GPL-2.0 */
/* What the rings of a session depend on while they run. */
#ifndef KHX_VHOST_USER_SETUP_H
#define KHX_VHOST_USER_SETUP_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/vhost.h>

#include "memory.h"

struct setup {
	uint64_t features;
	struct memory memory;
	uint64_t log_size;
};

bool setup_is_packed(const struct setup *setup);

/*
 * A ring's addresses as the kernel wants them, of those that the front end has.
 * -EFAULT: not all of it lies in the memory, or the log is too small.
 */
int setup_translate(const struct setup *setup, unsigned int num,
		    const struct vhost_vring_addr *theirs,
		    struct vhost_vring_addr *ours);

#endif
