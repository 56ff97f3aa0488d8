/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vhost device, driven by this process: no guest, our own memory and rings.
 *
 *	struct vdev dev;
 *
 *	vdev_open(&dev, "/dev/khx-net", features, 16 << 20);
 *	vdev_queue_open(&dev, 0, 256);
 *	vdev_set_backend(&dev, 0, tap);
 *
 * Functions that return int return 0, or -1 with errno set.
 */
#ifndef KHX_SELFTESTS_VDEV_H
#define KHX_SELFTESTS_VDEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vring.h"

#define VDEV_QUEUES	2
#define VDEV_GPA	0x100000	/* where our memory is for the device */

#define VDEV_F(bit)	(1ULL << (bit))

/**
 * struct vdev_queue - one virtqueue
 * @ring: our side of it
 * @kick: eventfd to notify the device
 * @call: eventfd by which it interrupts us
 * @err: eventfd that says the ring is broken
 * @kicks: kicks sent
 * @calls: interrupts waited for
 * @signals: interrupts that had come by then
 */
struct vdev_queue {
	struct vring_driver ring;
	int kick;
	int call;
	int err;
	unsigned long kicks;
	unsigned long calls;
	unsigned long signals;
};

/**
 * struct vdev - an open device
 * @fd: its file
 * @features: negotiated
 * @mem: memory that the device may reach
 * @size: bytes of it
 * @next: bytes given out by vdev_alloc()
 * @queues: the first ones are open
 */
struct vdev {
	int fd;
	uint64_t features;
	char *mem;
	size_t size;
	size_t next;
	struct vdev_queue queues[VDEV_QUEUES];
};

int vdev_open(struct vdev *dev, const char *path, uint64_t features,
	      size_t size);
void vdev_close(struct vdev *dev);
int vdev_set_memory(struct vdev *dev);
int vdev_queue_open(struct vdev *dev, unsigned int index, unsigned int num);
int vdev_set_backend(struct vdev *dev, unsigned int index, int fd);

/*
 * The number behind @name on the line @line of the device's fdinfo, such as
 * "queue-0-stats", "chains"; -1 if there is none. Only for khx devices.
 */
long vdev_stat(const struct vdev *dev, const char *line, const char *name);

void *vdev_alloc(struct vdev *dev, size_t size);

static inline uint64_t vdev_gpa(const struct vdev *dev, const void *p)
{
	return VDEV_GPA + ((const char *)p - dev->mem);
}

/* Publish what was added, and kick if the device wants it. */
void vdev_publish(struct vdev_queue *queue);
/* Sleep until interrupted; false after @timeout_ms. */
bool vdev_wait(struct vdev_queue *queue, int timeout_ms);
/* Has the eventfd fired since last asked? */
bool vdev_event(int eventfd);
/* The next chain that came back, waiting for it; false after @timeout_ms. */
bool vdev_get(struct vdev_queue *queue, void **cookie, uint32_t *len,
	      int timeout_ms);

#endif /* KHX_SELFTESTS_VDEV_H */
