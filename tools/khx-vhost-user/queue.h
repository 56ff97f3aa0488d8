/* SPDX-License-Identifier: GPL-2.0 */
/* A virtqueue of the disk, as the front end wants it and as the kernel has it. */
#ifndef KHX_VHOST_USER_QUEUE_H
#define KHX_VHOST_USER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct queue;
struct session;
struct setup;

/* NULL: the disk has no such queue. */
struct queue *queue_get(struct session *s, uint32_t index);

/* These return 0 or a negative errno. Tell the kernel where the ring is. */
int queue_set_addr(struct session *s, struct queue *queue);
/* Have it run, or not. */
int queue_run(struct session *s, unsigned int index, bool run);
/* The same, as the front end's messages have it by now. */
int queue_update(struct session *s, unsigned int index);
/* Would all that runs still be right with @next? */
int queues_check(const struct session *s, const struct setup *next);

#endif
