// SPDX-License-Identifier: GPL-2.0
/* A vhost device, driven by this process; see vdev.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "vdev.h"

#define VDEV_ALIGN	4096

int vdev_set_memory(struct vdev *dev)
{
	struct {
		struct vhost_memory table;
		struct vhost_memory_region region;
	} mem = {
		.table.nregions = 1,
		.region = {
			.guest_phys_addr = VDEV_GPA,
			.memory_size = dev->size,
			.userspace_addr = (uintptr_t)dev->mem,
		},
	};

	return ioctl(dev->fd, VHOST_SET_MEM_TABLE, &mem);
}

/* In a file of the directory VDEV_MEMORY if that is set, for whoever wants to know. */
static void *map_memory(size_t size)
{
	const char *dir = getenv("VDEV_MEMORY");
	int fd = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE;
	void *memory;

	if (dir) {
		fd = open(dir, O_TMPFILE | O_RDWR, 0600);
		if (fd < 0 || ftruncate(fd, size))
			return MAP_FAILED;
		flags = MAP_SHARED;
	}
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (dir)
		close(fd);
	return memory;
}

int vdev_open(struct vdev *dev, const char *path, uint64_t features,
	      size_t size)
{
	*dev = (struct vdev) { .features = features, .size = size };

	dev->fd = open(path, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		return -1;
	dev->mem = map_memory(size);
	if (dev->mem == MAP_FAILED)
		goto err_fd;
	if (ioctl(dev->fd, VHOST_SET_OWNER, NULL) ||
	    ioctl(dev->fd, VHOST_SET_FEATURES, &features) ||
	    vdev_set_memory(dev))
		goto err_mem;
	return 0;

err_mem:
	munmap(dev->mem, size);
err_fd:
	close(dev->fd);
	return -1;
}

void vdev_close(struct vdev *dev)
{
	struct vdev_queue *queue;
	unsigned int i;

	close(dev->fd);
	for (i = 0; i < VDEV_QUEUES; i++) {
		queue = &dev->queues[i];
		if (!queue->ring.at.num)
			continue;
		close(queue->kick);
		close(queue->call);
		close(queue->err);
		vring_close(&queue->ring);
	}
	munmap(dev->mem, dev->size);
}

void *vdev_alloc(struct vdev *dev, size_t size)
{
	size_t at = dev->next;

	size = (size + VDEV_ALIGN - 1) & -VDEV_ALIGN;
	if (size > dev->size - at)
		abort();
	dev->next += size;
	return dev->mem + at;
}

static int vdev_set_fd(struct vdev *dev, unsigned long cmd, unsigned int index,
		       int fd)
{
	struct vhost_vring_file file = { .index = index, .fd = fd };

	return ioctl(dev->fd, cmd, &file);
}

int vdev_set_backend(struct vdev *dev, unsigned int index, int fd)
{
	return vdev_set_fd(dev, VHOST_NET_SET_BACKEND, index, fd);
}

int vdev_queue_open(struct vdev *dev, unsigned int index, unsigned int num)
{
	bool packed = dev->features & VDEV_F(VIRTIO_F_RING_PACKED);
	struct vdev_queue *queue = &dev->queues[index];
	struct vring_layout layout = {
		.packed = packed,
		.event_idx = dev->features & VDEV_F(VIRTIO_RING_F_EVENT_IDX),
		.num = num,
		.base = packed ? VRING_PACKED_BASE : 0,
		.desc = vdev_alloc(dev, vring_desc_bytes(packed, num)),
		.avail = vdev_alloc(dev, vring_avail_bytes(packed, num)),
		.used = vdev_alloc(dev, vring_used_bytes(packed, num)),
	};
	struct vhost_vring_state size = { .index = index, .num = num };
	struct vhost_vring_state base = { .index = index, .num = layout.base };
	struct vhost_vring_addr addr = {
		.index = index,
		.desc_user_addr = (uintptr_t)layout.desc,
		.avail_user_addr = (uintptr_t)layout.avail,
		.used_user_addr = (uintptr_t)layout.used,
		.log_guest_addr = vdev_gpa(dev, layout.used),
	};

	if (vring_open(&queue->ring, &layout))
		return -1;
	queue->kick = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	queue->call = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	queue->err = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (ioctl(dev->fd, VHOST_SET_VRING_NUM, &size) ||
	    ioctl(dev->fd, VHOST_SET_VRING_BASE, &base) ||
	    ioctl(dev->fd, VHOST_SET_VRING_ADDR, &addr) ||
	    vdev_set_fd(dev, VHOST_SET_VRING_KICK, index, queue->kick) ||
	    vdev_set_fd(dev, VHOST_SET_VRING_CALL, index, queue->call) ||
	    vdev_set_fd(dev, VHOST_SET_VRING_ERR, index, queue->err))
		return -1;
	return 0;
}

void vdev_publish(struct vdev_queue *queue)
{
	vring_publish(&queue->ring);
	if (vring_kick_needed(&queue->ring)) {
		eventfd_write(queue->kick, 1);
		queue->kicks++;
	}
}

bool vdev_event(int fd)
{
	eventfd_t value;

	return !eventfd_read(fd, &value);
}

bool vdev_wait(struct vdev_queue *queue, int timeout_ms)
{
	struct pollfd pollfd = { .fd = queue->call, .events = POLLIN };
	eventfd_t value;

	if (poll(&pollfd, 1, timeout_ms) != 1 ||
	    eventfd_read(queue->call, &value))
		return false;
	queue->calls++;
	queue->signals += value;
	return true;
}

bool vdev_get(struct vdev_queue *queue, void **cookie, uint32_t *len,
	      int timeout_ms)
{
	for (;;) {
		if (vring_get(&queue->ring, cookie, len) > 0)
			return true;
		vring_calls_on(&queue->ring);
		if (vring_has_used(&queue->ring))
			continue;
		if (!vdev_wait(queue, timeout_ms))
			return vring_get(&queue->ring, cookie, len) > 0;
	}
}

static long number_behind(const char *text, const char *name)
{
	size_t len = strlen(name);
	const char *at = text;

	while ((at = strstr(at, name))) {
		if (at > text && at[-1] == ' ' && at[len] == ' ')
			return atol(at + len);
		at += len;
	}
	return -1;
}

long vdev_stat(const struct vdev *dev, const char *line, const char *name)
{
	size_t len = strlen(line);
	char path[64], text[512];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", dev->fd);
	file = fopen(path, "r");
	if (!file)
		return -1;
	while (fgets(text, sizeof(text), file)) {
		if (strncmp(text, line, len) || text[len] != ':')
			continue;
		text[len + 1] = ' ';
		value = number_behind(text, name);
		break;
	}
	fclose(file);
	return value;
}
