// SPDX-License-Identifier: GPL-2.0
/*
 * A front end's messages, in the order of their numbers, turned into ioctls of
 * /dev/khx-blk: addresses of the front end become ours, files become mappings,
 * and a virtqueue runs while it is kicked and enabled.
 *
 * A front end is not trusted: what a message would make of struct setup is a
 * candidate, which counts only if it is right for all that runs.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_blk.h>

#include "disk.h"
#include "inflight.h"
#include "log.h"
#include "memory.h"
#include "protocol.h"
#include "queue.h"
#include "requests.h"
#include "session.h"
#include "setup.h"

#define PROTOCOL_FEATURES					\
	((1ull << PROTOCOL_F_MQ) |				\
	 (1ull << PROTOCOL_F_LOG_SHMFD) |			\
	 (1ull << PROTOCOL_F_REPLY_ACK) |			\
	 (1ull << PROTOCOL_F_BACKEND_REQ) |			\
	 (1ull << PROTOCOL_F_CONFIG) |				\
	 (1ull << PROTOCOL_F_INFLIGHT_SHMFD) |			\
	 (1ull << PROTOCOL_F_CONFIGURE_MEM_SLOTS))

/* Bits of the device's type; the others are the ring's and the protocol's. */
#define TYPE_FEATURES	0xffffffull

/* What a handler returns: a negative errno, or one of these. */
#define DONE	0	/* acknowledge if the front end wants that */
#define REPLIED	1	/* has sent its own reply */
#define BROKEN	2	/* the connection is of no use any more */

static int reply(struct session *s, struct message *m, uint32_t size)
{
	return message_reply(s->socket, m, size) ? BROKEN : REPLIED;
}

static int reply_u64(struct session *s, struct message *m, uint64_t value)
{
	m->payload.u64 = value;
	return reply(s, m, sizeof(value));
}

static int on_get_features(struct session *s, struct message *m)
{
	struct khx_blk_config info;
	uint64_t features;
	int ret;

	ret = session_get_info(s, &info) ?:
	      session_ioctl(s, VHOST_GET_FEATURES, &features);
	if (ret)
		return ret;
	features &= info.features | ~TYPE_FEATURES;
	return reply_u64(s, m, features | 1ull << F_PROTOCOL_FEATURES);
}

static int on_set_features(struct session *s, struct message *m)
{
	struct setup next = s->setup;
	int ret;

	next.features = m->payload.u64 & ~(1ull << F_PROTOCOL_FEATURES);
	ret = queues_check(s, &next) ?:
	      session_ioctl(s, VHOST_SET_FEATURES, &next.features);
	if (ret)
		return ret;
	s->setup = next;
	s->has_enable = m->payload.u64 & 1ull << F_PROTOCOL_FEATURES;
	return 0;
}

/* The device is ours already; it is the front end's from now on. */
static int on_owner(struct session *s, struct message *m)
{
	(void)s;
	(void)m;
	return DONE;
}

/* Have @memory instead of what there is; unmap what is not used then. */
static int session_use_memory(struct session *s, const struct memory *memory)
{
	struct setup next = s->setup;
	int ret;

	next.memory = *memory;
	ret = queues_check(s, &next) ?:
	      memory_set_table(memory, s->disk->device);
	if (ret) {
		memory_release(memory, &s->setup.memory);
		return ret;
	}
	/* Only now is the kernel done with the mappings. */
	memory_release(&s->setup.memory, memory);
	s->setup = next;
	return 0;
}

static int on_set_mem_table(struct session *s, struct message *m)
{
	struct message_memory *table = &m->payload.memory;
	struct memory *old = &s->setup.memory, new = {};
	unsigned int i;
	int ret = 0;

	if (table->nregions > MAX_FDS || table->nregions != m->nfds)
		return -EINVAL;
	for (i = 0; i < table->nregions && !ret; i++)
		ret = memory_map_again(&new, old, &table->regions[i],
				       m->fds[i]);
	if (ret) {
		memory_release(&new, old);
		return ret;
	}
	return session_use_memory(s, &new);
}

static int on_add_mem_reg(struct session *s, struct message *m)
{
	const struct message_region *region = &m->payload.slot.region;
	struct memory new = s->setup.memory;
	int ret;

	if (m->nfds != 1)
		return -EINVAL;
	ret = memory_map(&new, region, m->fds[0]);
	return ret ?: session_use_memory(s, &new);
}

static int on_rem_mem_reg(struct session *s, struct message *m)
{
	struct memory new = s->setup.memory;
	int ret;

	ret = memory_remove(&new, &m->payload.slot.region);
	return ret ?: session_use_memory(s, &new);
}

static int on_set_log_base(struct session *s, struct message *m)
{
	const struct message_log *log = &m->payload.log;
	struct setup next = s->setup;
	uint64_t base;
	uint8_t *map;
	size_t size;
	int ret;

	if (m->nfds != 1 || !log->size || log->size > 1ull << 40 ||
	    log->offset > 1ull << 40)
		return -EINVAL;
	size = memory_map_size(m->fds[0], log->size + log->offset);
	if (!size)
		return -errno;
	map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[0], 0);
	if (map == MAP_FAILED)
		return -errno;
	base = (uintptr_t)map + log->offset;
	next.log_size = log->size;
	ret = queues_check(s, &next) ?:
	      session_ioctl(s, VHOST_SET_LOG_BASE, &base);
	if (ret) {
		munmap(map, size);
		return ret;
	}
	session_drop_log(s);
	s->setup = next;
	s->log = map;
	s->log_map_size = size;
	return reply(s, m, 0);
}

static int on_set_vring_num(struct session *s, struct message *m)
{
	struct queue *queue = queue_get(s, m->payload.state.index);
	int ret;

	if (!queue || m->payload.state.num > s->disk->queue_size)
		return -EINVAL;
	ret = session_ioctl(s, VHOST_SET_VRING_NUM, &m->payload.state);
	if (!ret)
		queue->num = m->payload.state.num;
	return ret;
}

static int on_set_vring_addr(struct session *s, struct message *m)
{
	struct queue *queue = queue_get(s, m->payload.addr.index);
	struct vhost_vring_addr old;
	int ret = 0;

	if (!queue)
		return -EINVAL;
	old = queue->addr;
	queue->addr = m->payload.addr;
	queue->has_addr = true;
	/* Of a running one only the logging changes; others when they start. */
	if (queue->running)
		ret = queue_set_addr(s, queue);
	if (ret)
		queue->addr = old;
	return ret;
}

static int on_set_vring_base(struct session *s, struct message *m)
{
	struct queue *queue = queue_get(s, m->payload.state.index);

	if (!queue)
		return -EINVAL;
	/*
	 * At first it may not know better; but now it has seen us. Of one that runs
	 * the kernel knows best, and refuses.
	 */
	if (queue->started && !queue->running)
		inflight_forget(&s->inflight, m->payload.state.index);
	return session_ioctl(s, VHOST_SET_VRING_BASE, &m->payload.state);
}

/* Ends the virtqueue, whatever else comes, until it is kicked anew. */
static int on_get_vring_base(struct session *s, struct message *m)
{
	uint32_t index = m->payload.state.index;
	struct queue *queue = queue_get(s, index);
	int ret;

	if (!queue)
		return -EINVAL;
	queue->kicked = false;
	ret = queue_run(s, index, false) ?:
	      session_ioctl(s, VHOST_GET_VRING_BASE, &m->payload.state) ?:
	      reply(s, m, sizeof(m->payload.state));
	/* Only when it has been told. */
	if (ret == REPLIED)
		inflight_forget(&s->inflight, index);
	return ret;
}

static int set_vring_file(struct session *s, struct message *m,
			  unsigned long command)
{
	struct vhost_vring_file file = {
		.index = m->payload.u64 & VRING_INDEX_MASK,
		.fd = VHOST_FILE_UNBIND,
	};

	if (!queue_get(s, file.index))
		return -EINVAL;
	if (!(m->payload.u64 & VRING_NO_FD)) {
		if (m->nfds != 1)
			return -EINVAL;
		file.fd = m->fds[0];
	}
	return session_ioctl(s, command, &file);
}

static int on_set_vring_kick(struct session *s, struct message *m)
{
	uint32_t index = m->payload.u64 & VRING_INDEX_MASK;
	int ret;

	/* It means that we poll: the ring would be served once, and never again. */
	if (m->payload.u64 & VRING_NO_FD) {
		log_error("queue %u: no eventfd for kicks, and rings are not polled",
			  index);
		return -EOPNOTSUPP;
	}
	ret = set_vring_file(s, m, VHOST_SET_VRING_KICK);
	if (ret)
		return ret;
	s->queues[index].kicked = true;
	return queue_update(s, index);
}

static int on_set_vring_call(struct session *s, struct message *m)
{
	return set_vring_file(s, m, VHOST_SET_VRING_CALL);
}

static int on_set_vring_err(struct session *s, struct message *m)
{
	return set_vring_file(s, m, VHOST_SET_VRING_ERR);
}

static int on_set_vring_enable(struct session *s, struct message *m)
{
	struct queue *queue = queue_get(s, m->payload.state.index);

	if (!queue || m->payload.state.num > 1)
		return -EINVAL;
	queue->enabled = m->payload.state.num;
	return queue_update(s, m->payload.state.index);
}

static int on_get_protocol_features(struct session *s, struct message *m)
{
	return reply_u64(s, m, PROTOCOL_FEATURES);
}

static int on_set_protocol_features(struct session *s, struct message *m)
{
	if (m->payload.u64 & ~PROTOCOL_FEATURES)
		return -EINVAL;
	s->protocol = m->payload.u64;
	return DONE;
}

static int on_get_queue_num(struct session *s, struct message *m)
{
	return reply_u64(s, m, s->disk->queues);
}

static int on_get_max_mem_slots(struct session *s, struct message *m)
{
	return reply_u64(s, m, MEMORY_SLOTS);
}

static int on_set_backend_req_fd(struct session *s, struct message *m)
{
	int fd = message_take_fd(m, 0);

	if (fd < 0)
		return -EINVAL;
	if (s->backend_socket >= 0)
		close(s->backend_socket);
	s->backend_socket = fd;
	return DONE;
}

static int on_get_config(struct session *s, struct message *m)
{
	struct message_config *config = &m->payload.config;
	struct virtio_blk_config blk;
	struct khx_blk_config info;
	uint8_t data[MAX_CONFIG] = {};

	if (config->offset > MAX_CONFIG ||
	    config->size > MAX_CONFIG - config->offset)
		return -EINVAL;
	if (session_get_info(s, &info))
		return -ENODEV;
	memcpy(data, info.config, sizeof(info.config));
	memcpy(&blk, data, sizeof(blk));
	blk.num_queues = s->disk->queues;
	memcpy(data, &blk, sizeof(blk));
	s->capacity = blk.capacity;

	memcpy(config->data, data + config->offset, config->size);
	return reply(s, m, offsetof(struct message_config, data) +
			   config->size);
}

/* The cache mode is all that a driver may write. */
static int on_set_config(struct session *s, struct message *m)
{
	const struct message_config *config = &m->payload.config;
	int ret;

	if (config->offset != offsetof(struct virtio_blk_config, wce) ||
	    config->size != 1 || config->data[0] > 1)
		return -EINVAL;
	ret = disk_set_writethrough(s->disk, !config->data[0]);
	if (!ret)
		inflight_set_writethrough(&s->inflight,
					  s->disk->writethrough);
	return ret;
}

/* Some have no padding behind it. */
static bool is_inflight(const struct message *m)
{
	return m->header.size == sizeof(struct message_inflight) ||
	       m->header.size == offsetof(struct message_inflight, queue_size) +
				 sizeof(uint16_t);
}

/* It may do without, as front ends do that do not know of this. */
static int on_get_inflight_fd(struct session *s, struct message *m)
{
	int fd, ret;

	if (!is_inflight(m))
		return -EINVAL;
	fd = inflight_create(s->disk->writethrough);
	if (fd < 0)
		log_error("no in-flight area: %s", strerror(-fd));
	m->payload.inflight.size = fd < 0 ? 0 : INFLIGHT_SIZE;
	m->payload.inflight.offset = 0;
	ret = message_reply_fd(s->socket, m, m->header.size, fd) ? BROKEN :
								   REPLIED;
	if (fd >= 0)
		close(fd);
	return ret;
}

/*
 * The last front end, or back end, may have ended without a word. That its guest
 * wants no write-back cache is in its interest and never to anybody's harm.
 */
static int on_set_inflight_fd(struct session *s, struct message *m)
{
	const struct message_inflight *area = &m->payload.inflight;
	int ret, fd;

	if (!is_inflight(m) || area->size < INFLIGHT_SIZE)
		return -EINVAL;
	fd = message_take_fd(m, 0);
	if (fd < 0)
		return -EINVAL;
	ret = inflight_set(&s->inflight, fd, area->offset, s->disk->device);
	s->area_is_foreign = ret == -ESTALE;
	if (s->area_is_foreign) {
		log_error("the in-flight area is another back end's");
		inflight_drop(&s->inflight, s->disk->device);
	}
	if (ret)
		return ret;
	if (inflight_is_writethrough(&s->inflight))
		return disk_set_writethrough(s->disk, true);
	inflight_set_writethrough(&s->inflight, s->disk->writethrough);
	return 0;
}

#define ANY_SIZE	UINT32_MAX
#define U64		sizeof(uint64_t)
#define STATE		sizeof(struct vhost_vring_state)

static const struct {
	const char *name;
	int (*handle)(struct session *s, struct message *m);
	uint32_t size;
	bool replies;		/* by itself: an error has to be told so, too */
} requests[MSG_REQUESTS] = {
	[MSG_GET_FEATURES] = { "GET_FEATURES", on_get_features, 0, true },
	[MSG_SET_FEATURES] = { "SET_FEATURES", on_set_features, U64 },
	[MSG_SET_OWNER] = { "SET_OWNER", on_owner, 0 },
	[MSG_RESET_OWNER] = { "RESET_OWNER", on_owner, 0 },
	[MSG_SET_MEM_TABLE] = { "SET_MEM_TABLE", on_set_mem_table, ANY_SIZE },
	[MSG_SET_LOG_BASE] = { "SET_LOG_BASE", on_set_log_base,
			       sizeof(struct message_log), true },
	[MSG_SET_VRING_NUM] = { "SET_VRING_NUM", on_set_vring_num, STATE },
	[MSG_SET_VRING_ADDR] = { "SET_VRING_ADDR", on_set_vring_addr,
				 sizeof(struct vhost_vring_addr) },
	[MSG_SET_VRING_BASE] = { "SET_VRING_BASE", on_set_vring_base, STATE },
	[MSG_GET_VRING_BASE] = { "GET_VRING_BASE", on_get_vring_base, STATE,
				 true },
	[MSG_SET_VRING_KICK] = { "SET_VRING_KICK", on_set_vring_kick, U64 },
	[MSG_SET_VRING_CALL] = { "SET_VRING_CALL", on_set_vring_call, U64 },
	[MSG_SET_VRING_ERR] = { "SET_VRING_ERR", on_set_vring_err, U64 },
	[MSG_GET_PROTOCOL_FEATURES] = { "GET_PROTOCOL_FEATURES",
					on_get_protocol_features, 0, true },
	[MSG_SET_PROTOCOL_FEATURES] = { "SET_PROTOCOL_FEATURES",
					on_set_protocol_features, U64 },
	[MSG_GET_QUEUE_NUM] = { "GET_QUEUE_NUM", on_get_queue_num, 0, true },
	[MSG_SET_VRING_ENABLE] = { "SET_VRING_ENABLE", on_set_vring_enable,
				   STATE },
	[MSG_SET_BACKEND_REQ_FD] = { "SET_BACKEND_REQ_FD",
				     on_set_backend_req_fd, ANY_SIZE },
	[MSG_GET_CONFIG] = { "GET_CONFIG", on_get_config, ANY_SIZE, true },
	[MSG_SET_CONFIG] = { "SET_CONFIG", on_set_config, ANY_SIZE },
	[MSG_GET_INFLIGHT_FD] = { "GET_INFLIGHT_FD", on_get_inflight_fd,
				  ANY_SIZE, true },
	[MSG_SET_INFLIGHT_FD] = { "SET_INFLIGHT_FD", on_set_inflight_fd,
				  ANY_SIZE },
	[MSG_GET_MAX_MEM_SLOTS] = { "GET_MAX_MEM_SLOTS", on_get_max_mem_slots,
				    0, true },
	[MSG_ADD_MEM_REG] = { "ADD_MEM_REG", on_add_mem_reg,
			      sizeof(struct message_slot) },
	[MSG_REM_MEM_REG] = { "REM_MEM_REG", on_rem_mem_reg,
			      sizeof(struct message_slot) },
};

bool request_handle(struct session *s, struct message *m)
{
	uint32_t request = m->header.request;
	bool wants_ack = m->header.flags & MSG_NEED_REPLY &&
			 s->protocol & (1ull << PROTOCOL_F_REPLY_ACK);
	int ret = -EOPNOTSUPP;

	if (request < MSG_REQUESTS && requests[request].handle) {
		ret = -EINVAL;
		if (requests[request].size == ANY_SIZE ||
		    requests[request].size == m->header.size)
			ret = requests[request].handle(s, m);
	}
	message_close_fds(m);
	if (ret > 0)
		return ret == REPLIED;
	if (ret < 0) {
		log_error("%s (%u): %s",
			  request < MSG_REQUESTS && requests[request].name ?
			  requests[request].name : "unknown request", request,
			  strerror(-ret));
		/* It waits for an answer that we do not have. */
		if (request < MSG_REQUESTS && requests[request].replies)
			return false;
	}
	return !wants_ack || reply_u64(s, m, ret != 0) == REPLIED;
}
