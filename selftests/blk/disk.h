/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A disk of /dev/khx-blk with this process as its driver: guest memory, one
 * or more virtqueues, and requests in any cut.
 */
#ifndef KHX_SELFTESTS_BLK_DISK_H
#define KHX_SELFTESTS_BLK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <linux/khx_blk.h>
#include <linux/virtio_blk.h>

#include "vring.h"

#define DISK_GPA	0x40000000ull
#define DISK_RING_MAX	1024
#define DISK_QUEUES	KHX_BLK_QUEUES

struct disk_queue {
	struct vring_driver ring;
	int kick;
	int call;
	int error;
	uint8_t *tables;
	unsigned int next_table;
	unsigned int base;	/* where the device goes on */
};

struct disk {
	int fd;
	int memfd;
	uint8_t *memory;	/* what the guest has, at DISK_GPA */
	unsigned int nqueues;
	unsigned int num;
	bool packed;
	uint64_t features;
	struct khx_blk_config info;
	struct virtio_blk_config config;
	struct disk_queue queues[DISK_QUEUES];
};

struct disk_options {
	unsigned int flags;	/* KHX_BLK_F_* */
	bool readonly;		/* open the file so */
	bool packed;
	unsigned int nqueues;	/* 0: 1 */
	unsigned int num;	/* 0: 128 */
	uint64_t without;	/* features not to negotiate */
	bool memory;		/* what the guest has is in @memfd, which is ours then */
	int memfd;
};

/* Where things are in guest memory: all below is by offset from DISK_GPA. */
#define DISK_RING	(1u << 20)	/* ring and tables of each queue */
#define DISK_FIXED	(DISK_QUEUES * DISK_RING)	/* from here on headers */
#define DISK_DATA	(DISK_FIXED + (8u << 20))
#define DISK_MEMORY	(DISK_DATA + (48u << 20))

/* Ends the test if it cannot. */
void disk_open(struct disk *disk, const char *path,
	       const struct disk_options *options);
int disk_attach(struct disk *disk, const char *path, unsigned int flags,
		bool readonly);
void disk_close(struct disk *disk);
int disk_start(struct disk *disk, unsigned int queue);
int disk_stop(struct disk *disk, unsigned int queue);
void disk_run(struct disk *disk);
void disk_halt(struct disk *disk);

static inline uint64_t disk_gpa(const struct disk *disk, const void *p)
{
	return DISK_GPA + ((const uint8_t *)p - disk->memory);
}

/* The thread that serves the first queue, and that one's requests in flight. */
pid_t disk_worker(const struct disk *disk);
unsigned int disk_in_flight(const struct disk *disk);

/* Put all memory but that of the rings elsewhere, while they run. */
void disk_remap(struct disk *disk);
/* Put the data elsewhere, by @bytes, also while they run. */
void disk_shift_data(struct disk *disk, unsigned int bytes);
/* Leave the guest nothing but the rings, while they run. */
void disk_lose_memory(struct disk *disk);

/*
 * One request, header and status taken from its own place in guest memory.
 * Data is at @data, of @len bytes, in pieces of @cut bytes (0: one piece).
 */
struct disk_request {
	uint32_t type;
	uint64_t sector;
	uint8_t *data;
	uint32_t len;
	uint32_t cut;
	uint32_t header_cut;	/* header in pieces of so many bytes, 0: one */
	bool join;		/* header, status share one (ANY_LAYOUT) */
	bool indirect;
	/* How it ended. */
	volatile uint8_t *status;
	uint32_t used_len;
	bool done;
	unsigned int slot;
};

int disk_submit(struct disk *disk, unsigned int queue,
		struct disk_request *req);
void disk_kick(struct disk *disk, unsigned int queue);
/* Take what is done; returns how many requests, waits up to @ms for one. */
int disk_reap(struct disk *disk, unsigned int queue, int ms);
/* Does the device say, within @ms, that it serves a queue no more? */
bool disk_has_failed(struct disk *disk, unsigned int queue, int ms);
/* Submit, kick, wait. Returns the status, or -1 if none came in 20 s. */
int disk_do(struct disk *disk, unsigned int queue, struct disk_request *req);

int disk_rw(struct disk *disk, uint32_t type, uint64_t sector, void *data,
	    uint32_t len);
int disk_range(struct disk *disk, uint32_t type, uint64_t sector,
	       uint32_t sectors, uint32_t flags);

/* A chain as it is, for broken ones. Returns how vring_add() did. */
int disk_submit_raw(struct disk *disk, unsigned int queue,
		    const struct vring_buf *bufs, unsigned int nr_out,
		    unsigned int nr_in, struct disk_request *req);

/* A pattern that tells where it belongs. */
void disk_fill(void *data, uint32_t len, uint64_t sector, uint32_t seed);
bool disk_check(const void *data, uint32_t len, uint64_t sector,
		uint32_t seed);

#endif
