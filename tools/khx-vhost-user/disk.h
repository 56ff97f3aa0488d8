/* SPDX-License-Identifier: GPL-2.0 */
/* What this process offers: a file or block device on a socket. */
#ifndef KHX_VHOST_USER_DISK_H
#define KHX_VHOST_USER_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include <linux/khx_blk.h>

struct disk {
	/* As the command line has it. */
	const char *path;
	const char *socket_path;
	bool readonly;
	bool direct;
	bool force;
	bool always_writethrough;	/* at the beginning of each session */
	bool writethrough;	/* as the last guest wants it */
	unsigned int queues;
	unsigned int queue_size;
	const char *serial;

	/* Opened before privileges are dropped. */
	int listener;
	int file;
	int device;		/* /dev/khx-blk */
	int changes;		/* readable when the file may have changed */
	int event;		/* eventfd: the kernel saw that it has */
};

/* These end the process if they cannot. */
void disk_open(struct disk *disk);
void disk_listen(struct disk *disk, int inherited);

/* Between sessions the device is as if just opened. */
int disk_attach(struct disk *disk);
void disk_detach(struct disk *disk);

/* The cache mode, now and for sessions to come. 0 or a negative errno. */
int disk_set_writethrough(struct disk *disk, bool on);

/* What came in on @changes and @event is old news now. */
void disk_drain_changes(struct disk *disk);

#endif
