// SPDX-License-Identifier: GPL-2.0
/*
 * Virtqueues of the disk. The kernel reads and writes rings where we say, in our
 * address space; hence a ring is checked to lie in what the front end gave us,
 * whole, before it runs, and before anything changes that it depends on while it
 * runs: what a message would make of struct setup is a candidate that
 * queues_check() has to pass.
 */
#include <errno.h>
#include <string.h>

#include "log.h"
#include "queue.h"
#include "session.h"

struct queue *queue_get(struct session *s, uint32_t index)
{
	return index < s->disk->queues ? &s->queues[index] : NULL;
}

static int queue_translate(const struct queue *queue, const struct setup *setup,
			   struct vhost_vring_addr *ours)
{
	return setup_translate(setup, queue->num, &queue->addr, ours);
}

int queue_set_addr(struct session *s, struct queue *queue)
{
	struct vhost_vring_addr addr;
	int ret;

	ret = queue_translate(queue, &s->setup, &addr);
	ret = ret ?: session_ioctl(s, VHOST_SET_VRING_ADDR, &addr);
	if (!ret)
		queue->ours = addr;
	return ret;
}

/*
 * Would all that runs still be right with @next? The kernel keeps the addresses of
 * a running ring: none of it may move.
 */
int queues_check(const struct session *s, const struct setup *next)
{
	unsigned int i;
	int ret;

	for (i = 0; i < s->disk->queues; i++) {
		const struct queue *queue = &s->queues[i];
		struct vhost_vring_addr addr;

		if (!queue->running)
			continue;
		ret = queue_translate(queue, next, &addr);
		if (ret)
			return ret;
		if (addr.desc_user_addr != queue->ours.desc_user_addr ||
		    addr.avail_user_addr != queue->ours.avail_user_addr ||
		    addr.used_user_addr != queue->ours.used_user_addr)
			return -EBUSY;
	}
	return 0;
}

/*
 * Where the ring goes on: the front end may not know, if it was not us who said
 * where it had stopped.
 */
static int queue_set_base(struct session *s, unsigned int index)
{
	struct vhost_vring_state state = { .index = index };
	bool packed = setup_is_packed(&s->setup);
	int ret;

	/* A split ring tells the most itself; here, any base would be a guess. */
	if (packed && s->area_is_foreign) {
		log_error("queue %u: where its packed ring stands is another back end's to say: reset the guest",
			  index);
		return -ESTALE;
	}
	if (inflight_get_base(&s->inflight, index, packed, &state.num))
		return session_ioctl(s, VHOST_SET_VRING_BASE, &state);
	ret = session_ioctl(s, VHOST_GET_VRING_BASE, &state);
	return ret ?: inflight_start(&s->inflight, index, packed, state.num);
}

static int queue_prepare(struct session *s, unsigned int index)
{
	struct queue *queue = &s->queues[index];

	if (!queue->has_addr)
		return -EFAULT;
	return queue_set_addr(s, queue) ?: queue_set_base(s, index);
}

int queue_run(struct session *s, unsigned int index, bool run)
{
	struct vhost_vring_state state = { .index = index, .num = run };
	struct queue *queue = &s->queues[index];
	int ret = 0;

	if (queue->running == run)
		return 0;
	if (run)
		ret = queue_prepare(s, index);
	ret = ret ?: session_ioctl(s, KHX_BLK_RUN_VRING, &state);
	if (ret)
		log_error("queue %u does not %s: %s", index,
			  run ? "start" : "stop", strerror(-ret));
	else
		queue->running = run;
	queue->started |= queue->running;
	return ret;
}

/*
 * Kick and enable come in any order, more than once, and even too late. A
 * front end that knows no protocol features cannot enable, hence need not.
 */
int queue_update(struct session *s, unsigned int index)
{
	struct queue *queue = &s->queues[index];

	return queue_run(s, index, queue->kicked &&
			 (queue->enabled || !s->has_enable));
}
