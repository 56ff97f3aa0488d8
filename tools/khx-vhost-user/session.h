/* SPDX-License-Identifier: GPL-2.0 */
/* One front end, from its connection to its end. */
#ifndef KHX_VHOST_USER_SESSION_H
#define KHX_VHOST_USER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/vhost.h>

#include "disk.h"
#include "inflight.h"
#include "setup.h"

struct queue {
	unsigned int num;
	struct vhost_vring_addr addr;	/* as the front end sees it */
	struct vhost_vring_addr ours;	/* as the kernel has it */
	bool has_addr;
	bool started;			/* has run in this session */
	bool kicked;
	bool enabled;
	bool running;
};

struct session {
	struct disk *disk;
	int socket;
	int backend_socket;		/* for our own messages, or -1 */
	uint64_t protocol;
	bool has_enable;		/* virtqueues wait for being enabled */
	uint64_t capacity;		/* that the front end knows */
	struct setup setup;
	uint8_t *log;
	size_t log_map_size;
	struct inflight inflight;
	bool area_is_foreign;		/* so nobody knows where rings stand */
	struct queue queues[KHX_BLK_QUEUES];
};

/* Serve the front end on @socket until it goes; closes the socket. */
void session_run(struct disk *disk, int socket);

/* An ioctl of the disk's device. 0 or a negative errno. */
int session_ioctl(const struct session *s, unsigned long command, void *arg);
int session_get_info(const struct session *s, struct khx_blk_config *info);

/* Unmap the dirty log, which the kernel must not use any more. */
void session_drop_log(struct session *s);

#endif
