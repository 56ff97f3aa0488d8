/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A vhost-user-blk front end without a guest: enough of the protocol to bring
 * one virtqueue up on any back end, and requests on it.
 */
#ifndef KHX_SELFTESTS_BLK_FRONT_END_H
#define KHX_SELFTESTS_BLK_FRONT_END_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_blk.h>

#include "vring.h"

#define FRONT_GPA	0x40000000ull
#define FRONT_MEMORY	(32u << 20)
#define FRONT_DATA	(1u << 20)
#define FRONT_RING	128

struct front_request {
	uint64_t sector;
	uint32_t type;
	uint32_t index;		/* 0 to FRONT_RING - 1: whose buffers it uses */
	bool done;
};

struct front_end {
	int socket;
	int backend_socket;	/* what the back end tells of itself, or -1 */
	unsigned int flags;
	int memfd;
	uint8_t *memory;
	int area;		/* in-flight area, or -1 */
	struct front_area {
		uint64_t size, offset;
		uint16_t queues, queue_size;
	} area_at;
	int kick;
	int call;
	unsigned int queue;	/* which one, if it was changed before the start */
	uint64_t features;
	struct virtio_blk_config config;
	struct vring_driver ring;
};

#define FRONT_PACKED	(1 << 0)
#define FRONT_KEEPS	(1 << 1)	/* the in-flight area of the back end */

/* 0 or -1, with a line on stderr. */
int front_connect(struct front_end *front, const char *path);
int front_open(struct front_end *front, const char *path, unsigned int flags);
int front_start(struct front_end *front);
int front_stop(struct front_end *front, uint32_t *base);
void front_close(struct front_end *front);
/* The connection has broken: have another one, and go on with the ring as it is. */
int front_reconnect(struct front_end *front, const char *path);
int front_resume(struct front_end *front, uint32_t base);
/* Be told of changes; wait for one, and have the configuration anew. */
int front_listen(struct front_end *front);
bool front_wait_config(struct front_end *front, int ms);

/* Write the cache mode, and have the configuration anew; returns what it says. */
int front_set_wce(struct front_end *front, uint8_t wce);

/* A message with nothing special about it, for broken ones, too. */
int front_send(struct front_end *front, uint32_t request, uint32_t flags,
	       const void *payload, uint32_t size, const int *fds, int nfds);
int front_receive(struct front_end *front, void *payload, uint32_t size);

uint8_t *front_data(struct front_end *front, uint32_t index);
int front_submit(struct front_end *front, struct front_request *req,
		 uint32_t len);
void front_kick(struct front_end *front);
int front_reap(struct front_end *front, struct front_request **done,
	       int max);
/* Wait for an interrupt; false after @ms. */
bool front_wait(struct front_end *front, int ms);
uint8_t front_status(struct front_end *front, uint32_t index);
/* Submit, kick, wait. Returns the status, or -1 if none came in 20 s. */
int front_do(struct front_end *front, struct front_request *req, uint32_t len);

#endif
