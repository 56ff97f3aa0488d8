// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/khx_blk.h>

#include "inflight.h"
#include "memory.h"

#define MAGIC	0x6b73696430786b31ull	/* changes with the layout */

/* Whose word counts for the base of a ring. */
enum {
	FRONT_END,
	KERNEL_SPLIT,
	KERNEL_PACKED,
};

struct area {
	uint64_t magic;
	uint8_t writethrough;
	uint8_t padding[183];
	uint8_t state[KHX_BLK_QUEUES];
	uint32_t base[KHX_BLK_QUEUES];	/* aligned as the kernel wants it */
};

_Static_assert(offsetof(struct area, base) == sizeof(uint32_t[KHX_BLK_QUEUES]),
	       "KHX_BLK_SET_BASES");

static bool get(const struct inflight *inflight, size_t at, void *to,
		size_t size)
{
	return inflight->fd >= 0 &&
	       pread(inflight->fd, to, size, inflight->offset + at) ==
	       (ssize_t)size;
}

static int put(const struct inflight *inflight, size_t at, const void *from,
	       size_t size)
{
	ssize_t n;

	if (inflight->fd < 0)
		return 0;
	n = pwrite(inflight->fd, from, size, inflight->offset + at);
	return n < 0 ? -errno : n == (ssize_t)size ? 0 : -EIO;
}

int inflight_create(bool writethrough)
{
	struct area area = { .magic = MAGIC, .writethrough = writethrough };
	struct inflight new = { .fd = memfd_create("khx-inflight",
						   MFD_CLOEXEC) };
	int ret;

	if (new.fd < 0)
		return -errno;
	ret = ftruncate(new.fd, INFLIGHT_SIZE) ? -errno :
	      put(&new, 0, &area, sizeof(area));
	if (!ret)
		return new.fd;
	close(new.fd);
	return ret;
}

/* The kernel pins the page: that it was mapped here is all that it needs. */
static int set_bases(const struct inflight *inflight, int device)
{
	size_t size = memory_map_size(inflight->fd, INFLIGHT_SIZE);
	uint64_t address;
	void *map;
	int ret;

	if (!size)
		return -errno;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   inflight->fd, inflight->offset);
	if (map == MAP_FAILED)
		return -errno;
	address = (uintptr_t)map + offsetof(struct area, base);
	ret = ioctl(device, KHX_BLK_SET_BASES, &address) ? -errno : 0;
	munmap(map, size);
	return ret;
}

int inflight_set(struct inflight *inflight, int fd, off_t offset, int device)
{
	struct inflight new = { fd, offset };
	uint64_t magic = 0;
	int ret;

	ret = get(&new, 0, &magic, sizeof(magic)) && magic == MAGIC ?
	      set_bases(&new, device) : -ESTALE;
	if (ret) {
		close(fd);
		return ret;
	}
	inflight_close(inflight);
	*inflight = new;
	return 0;
}

void inflight_drop(struct inflight *inflight, int device)
{
	uint64_t none = 0;

	ioctl(device, KHX_BLK_SET_BASES, &none);
	inflight_close(inflight);
}

void inflight_close(struct inflight *inflight)
{
	if (inflight->fd >= 0)
		close(inflight->fd);
	inflight->fd = -1;
}

static size_t base_at(unsigned int index)
{
	return offsetof(struct area, base) + index * sizeof(uint32_t);
}

static size_t state_at(unsigned int index)
{
	return offsetof(struct area, state) + index;
}

bool inflight_get_base(const struct inflight *inflight, unsigned int index,
		       bool packed, uint32_t *base)
{
	uint8_t state;

	return get(inflight, state_at(index), &state, 1) &&
	       state == (packed ? KERNEL_PACKED : KERNEL_SPLIT) &&
	       get(inflight, base_at(index), base, sizeof(*base));
}

int inflight_start(const struct inflight *inflight, unsigned int index,
		   bool packed, uint32_t base)
{
	uint8_t state = packed ? KERNEL_PACKED : KERNEL_SPLIT;

	/* We may be killed between the two. */
	return put(inflight, base_at(index), &base, sizeof(base)) ?:
	       put(inflight, state_at(index), &state, 1);
}

void inflight_forget(const struct inflight *inflight, unsigned int index)
{
	uint8_t state = FRONT_END;

	put(inflight, state_at(index), &state, 1);
}

bool inflight_is_writethrough(const struct inflight *inflight)
{
	uint8_t on;

	return get(inflight, offsetof(struct area, writethrough), &on, 1) && on;
}

void inflight_set_writethrough(const struct inflight *inflight, bool on)
{
	uint8_t byte = on;

	put(inflight, offsetof(struct area, writethrough), &byte, 1);
}
