/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What has to outlive this process: how far the rings have got, and the cache
 * mode. The front end keeps it, in the file that vhost-user calls the in-flight
 * area, and gives it to whoever serves the disk next, until its guest is reset.
 *
 * The kernel writes the bases, also when we are killed. As it has then completed
 * all that it took from a ring, nothing of what is in flight has to be there; only
 * of a packed ring a base cannot be had from the ring itself.
 *
 * The file is the front end's, who can cut it at any time: no memory of ours is
 * to be it, we read and write.
 */
#ifndef KHX_VHOST_USER_INFLIGHT_H
#define KHX_VHOST_USER_INFLIGHT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define INFLIGHT_SIZE	4096

struct inflight {
	int fd;			/* -1: there is none */
	off_t offset;
};

/* A new area; the file, or a negative errno. */
int inflight_create(bool writethrough);

/* Have none any more, nor @device. */
void inflight_drop(struct inflight *inflight, int device);

/*
 * Use @fd, which is ours then, and have the kernel of @device leave bases there.
 * 0 or a negative errno; -ESTALE: it is another back end's.
 */
int inflight_set(struct inflight *inflight, int fd, off_t offset, int device);
void inflight_close(struct inflight *inflight);

/* Where a ring has stopped while the front end was not told. */
bool inflight_get_base(const struct inflight *inflight, unsigned int index,
		       bool packed, uint32_t *base);
/* From now on the kernel's word counts; or the front end's again. */
int inflight_start(const struct inflight *inflight, unsigned int index,
		   bool packed, uint32_t base);
void inflight_forget(const struct inflight *inflight, unsigned int index);

bool inflight_is_writethrough(const struct inflight *inflight);
void inflight_set_writethrough(const struct inflight *inflight, bool on);

#endif
