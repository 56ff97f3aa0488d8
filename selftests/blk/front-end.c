// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "front-end.h"

/* The numbers of the vhost-user specification that are needed here. */
enum {
	GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE,
	SET_LOG_BASE, SET_LOG_FD, SET_VRING_NUM, SET_VRING_ADDR,
	SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL,
	SET_VRING_ERR, GET_PROTOCOL_FEATURES, SET_PROTOCOL_FEATURES,
	GET_QUEUE_NUM, SET_VRING_ENABLE, SEND_RARP, NET_SET_MTU,
	SET_BACKEND_REQ_FD, IOTLB_MSG, SET_VRING_ENDIAN, GET_CONFIG,
	SET_CONFIG,
};

#define GET_INFLIGHT_FD		31
#define SET_INFLIGHT_FD		32

/* And of what back ends send. */
#define BACKEND_CONFIG_CHANGE	2

#define VERSION			1
#define F_PROTOCOL_FEATURES	(1ull << 30)
#define PROTOCOL_F_MQ		(1ull << 0)
#define PROTOCOL_F_REPLY_ACK	(1ull << 3)
#define PROTOCOL_F_BACKEND_REQ	(1ull << 5)
#define PROTOCOL_F_CONFIG	(1ull << 9)
#define PROTOCOL_F_INFLIGHT	(1ull << 12)

#define HEADERS	0x40000		/* in guest memory, one page a request */

static int fail(const char *what)
{
	fprintf(stderr, "front end: %s: %s\n", what, strerror(errno));
	return -1;
}

int front_send(struct front_end *front, uint32_t request, uint32_t flags,
	       const void *payload, uint32_t size, const int *fds, int nfds)
{
	uint32_t header[3] = { request, flags | VERSION, size };
	struct iovec iov[2] = {
		{ header, sizeof(header) }, { (void *)payload, size },
	};
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(16 * sizeof(int))];
	} control = {};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cmsg = &control.align;

	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(nfds * sizeof(int));
		memcpy(CMSG_DATA(cmsg), fds, nfds * sizeof(int));
	}
	if (sendmsg(front->socket, &msg, MSG_NOSIGNAL) < 0)
		return fail("send");
	return 0;
}

int front_receive(struct front_end *front, void *payload, uint32_t size)
{
	uint32_t header[3];

	if (recv(front->socket, header, sizeof(header), MSG_WAITALL) !=
	    sizeof(header))
		return -1;
	if (header[2] > size ||
	    (header[2] && recv(front->socket, payload, header[2],
			       MSG_WAITALL) != header[2]))
		return -1;
	return 0;
}

static int get_u64(struct front_end *front, uint32_t request, uint64_t *value)
{
	return front_send(front, request, 0, NULL, 0, NULL, 0) ?:
	       front_receive(front, value, sizeof(*value));
}

static int set(struct front_end *front, uint32_t request, const void *payload,
	       uint32_t size, int fd)
{
	return front_send(front, request, 0, payload, size, &fd, fd >= 0);
}

static int set_u64(struct front_end *front, uint32_t request, uint64_t value,
		   int fd)
{
	return set(front, request, &value, sizeof(value), fd);
}

static int get_config(struct front_end *front)
{
	struct {
		uint32_t offset, size, flags;
		uint8_t data[60];
	} config = { .size = 57 };

	if (front_send(front, GET_CONFIG, 0, &config, 12 + 57, NULL, 0) ||
	    front_receive(front, &config, sizeof(config)))
		return -1;
	memcpy(&front->config, config.data, 57);
	return 0;
}

static int set_memory(struct front_end *front)
{
	struct {
		uint32_t nregions, padding;
		uint64_t gpa, size, address, offset;
	} table = {
		1, 0, FRONT_GPA, FRONT_MEMORY, (uintptr_t)front->memory, 0,
	};

	return set(front, SET_MEM_TABLE, &table, sizeof(table), front->memfd);
}

static int get_area(struct front_end *front)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct {
		uint32_t header[3];
		struct front_area at;
	} __attribute__((packed)) reply;
	struct iovec iov = { &reply, sizeof(reply) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};

	front->area_at = (struct front_area){ .queues = 1,
					      .queue_size = FRONT_RING };
	if (front_send(front, GET_INFLIGHT_FD, 0, &front->area_at,
		       sizeof(front->area_at), NULL, 0) ||
	    recvmsg(front->socket, &msg, MSG_WAITALL) != sizeof(reply) ||
	    !CMSG_FIRSTHDR(&msg))
		return fail("in-flight area");
	if (front->area >= 0)
		close(front->area);
	memcpy(&front->area, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	front->area_at = reply.at;
	return 0;
}

static int handshake(struct front_end *front, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	uint64_t features, protocol;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	front->socket = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(front->socket, (struct sockaddr *)&address,
		    sizeof(address)))
		return fail(path);
	if (get_u64(front, GET_FEATURES, &features) ||
	    get_u64(front, GET_PROTOCOL_FEATURES, &protocol) ||
	    set_u64(front, SET_PROTOCOL_FEATURES,
		    protocol & (PROTOCOL_F_MQ | PROTOCOL_F_BACKEND_REQ |
				PROTOCOL_F_CONFIG | PROTOCOL_F_REPLY_ACK |
				PROTOCOL_F_INFLIGHT), -1) ||
	    front_send(front, SET_OWNER, 0, NULL, 0, NULL, 0) ||
	    get_config(front))
		return fail("handshake");
	front->features = features &
		(F_PROTOCOL_FEATURES | 1ull << VIRTIO_F_VERSION_1 |
		 1ull << VIRTIO_RING_F_EVENT_IDX |
		 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_MQ |
		 1ull << VIRTIO_BLK_F_CONFIG_WCE);
	if (front->flags & FRONT_PACKED)
		front->features |= features & 1ull << VIRTIO_F_RING_PACKED;
	return set_u64(front, SET_FEATURES, front->features, -1) ?:
	       set_memory(front);
}

int front_open(struct front_end *front, const char *path, unsigned int flags)
{
	memset(front, 0, sizeof(*front));
	front->flags = flags;
	front->backend_socket = -1;
	front->area = -1;
	front->memfd = memfd_create("front", 0);
	if (ftruncate(front->memfd, FRONT_MEMORY))
		return fail("memory");
	front->memory = mmap(NULL, FRONT_MEMORY, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_POPULATE, front->memfd, 0);
	front->kick = eventfd(0, 0);
	front->call = eventfd(0, EFD_NONBLOCK);
	return handshake(front, path);
}

int front_connect(struct front_end *front, const char *path)
{
	return front_open(front, path, 0);
}

int front_reconnect(struct front_end *front, const char *path)
{
	close(front->socket);
	return handshake(front, path);
}

int front_start(struct front_end *front)
{
	bool packed = front->features & (1ull << VIRTIO_F_RING_PACKED);
	struct vring_layout at = {
		.packed = packed,
		.base = packed ? VRING_PACKED_BASE : 0,
		.event_idx = front->features & (1ull << VIRTIO_RING_F_EVENT_IDX),
		.num = FRONT_RING,
		.desc = front->memory,
		.avail = front->memory + 0x10000,
		.used = front->memory + 0x20000,
	};

	memset(front->memory, 0, 0x30000);
	if (front->ring.states)
		vring_close(&front->ring);
	if (vring_open(&front->ring, &at) ||
	    (front->flags & FRONT_KEEPS && get_area(front)))
		return -1;
	return front_resume(front, at.base);
}

int front_resume(struct front_end *front, uint32_t base)
{
	const struct vring_layout *at = &front->ring.at;
	struct vhost_vring_state state = { front->queue, FRONT_RING };
	struct vhost_vring_addr addr = {
		.index = front->queue,
		.desc_user_addr = (uintptr_t)at->desc,
		.avail_user_addr = (uintptr_t)at->avail,
		.used_user_addr = (uintptr_t)at->used,
		.log_guest_addr = FRONT_GPA + 0x20000,
	};

	if (front->area >= 0 &&
	    set(front, SET_INFLIGHT_FD, &front->area_at,
		sizeof(front->area_at), front->area))
		return -1;
	if (set(front, SET_VRING_NUM, &state, sizeof(state), -1))
		return -1;
	state.num = base;
	if (set(front, SET_VRING_BASE, &state, sizeof(state), -1) ||
	    set(front, SET_VRING_ADDR, &addr, sizeof(addr), -1) ||
	    set_u64(front, SET_VRING_KICK, front->queue, front->kick) ||
	    set_u64(front, SET_VRING_CALL, front->queue, front->call))
		return -1;
	state.num = 1;
	return set(front, SET_VRING_ENABLE, &state, sizeof(state), -1);
}

int front_set_wce(struct front_end *front, uint8_t wce)
{
	struct {
		uint32_t offset, size, flags;
		uint8_t data;
	} __attribute__((packed)) config = {
		.offset = offsetof(struct virtio_blk_config, wce),
		.size = 1,
		.data = wce,
	};

	if (set(front, SET_CONFIG, &config, sizeof(config), -1) ||
	    get_config(front))
		return -1;
	return front->config.wce;
}

int front_stop(struct front_end *front, uint32_t *base)
{
	struct vhost_vring_state state = { front->queue, 0 };

	if (set(front, GET_VRING_BASE, &state, sizeof(state), -1) ||
	    front_receive(front, &state, sizeof(state)))
		return -1;
	*base = state.num;
	return 0;
}

int front_listen(struct front_end *front)
{
	int sockets[2], ret;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		return fail("socketpair");
	ret = set(front, SET_BACKEND_REQ_FD, NULL, 0, sockets[1]);
	close(sockets[1]);
	front->backend_socket = sockets[0];
	return ret;
}

bool front_wait_config(struct front_end *front, int ms)
{
	struct pollfd pfd = { .fd = front->backend_socket, .events = POLLIN };
	uint32_t header[3];

	if (poll(&pfd, 1, ms) != 1 ||
	    recv(front->backend_socket, header, sizeof(header), MSG_WAITALL) !=
	    sizeof(header) || header[0] != BACKEND_CONFIG_CHANGE)
		return false;
	return !get_config(front);
}

void front_close(struct front_end *front)
{
	if (front->backend_socket >= 0)
		close(front->backend_socket);
	close(front->socket);
	close(front->kick);
	close(front->call);
	vring_close(&front->ring);
	munmap(front->memory, FRONT_MEMORY);
	close(front->memfd);
	if (front->area >= 0)
		close(front->area);
}

static uint8_t *header_of(struct front_end *front, uint32_t index)
{
	return front->memory + HEADERS + index * 64;
}

uint8_t *front_data(struct front_end *front, uint32_t index)
{
	return front->memory + FRONT_DATA + index * 65536;
}

uint8_t front_status(struct front_end *front, uint32_t index)
{
	return header_of(front, index)[63];
}

static uint64_t gpa(struct front_end *front, const uint8_t *p)
{
	return FRONT_GPA + (p - front->memory);
}

int front_submit(struct front_end *front, struct front_request *req,
		 uint32_t len)
{
	uint8_t *header = header_of(front, req->index);
	struct virtio_blk_outhdr *hdr = (void *)header;
	struct vring_buf bufs[3] = {
		{ gpa(front, header), sizeof(*hdr) },
		{ gpa(front, front_data(front, req->index)), len },
		{ gpa(front, header + 63), 1 },
	};
	struct vring_chain chain = {
		.bufs = bufs,
		.nr_out = req->type == VIRTIO_BLK_T_OUT ? 2 : 1,
		.nr_in = req->type == VIRTIO_BLK_T_OUT ? 1 : 2,
	};

	if (req->type == VIRTIO_BLK_T_FLUSH) {
		bufs[1] = bufs[2];
		chain.nr_in = 1;
	}
	hdr->type = req->type;
	hdr->ioprio = 0;
	hdr->sector = req->sector;
	header[63] = 0xff;
	req->done = false;
	return vring_add(&front->ring, &chain, req);
}

void front_kick(struct front_end *front)
{
	uint64_t one = 1;

	vring_publish(&front->ring);
	if (vring_kick_needed(&front->ring) &&
	    write(front->kick, &one, sizeof(one)) < 0)
		fail("kick");
}

int front_reap(struct front_end *front, struct front_request **done, int max)
{
	void *cookie;
	uint32_t len;
	int n = 0;

	while (n < max && vring_get(&front->ring, &cookie, &len) > 0) {
		done[n] = cookie;
		done[n++]->done = true;
	}
	return n;
}

bool front_wait(struct front_end *front, int ms)
{
	struct pollfd pfd = { .fd = front->call, .events = POLLIN };
	uint64_t calls;

	vring_calls_on(&front->ring);
	if (vring_has_used(&front->ring))
		return true;
	if (poll(&pfd, 1, ms) != 1)
		return vring_has_used(&front->ring);
	return read(front->call, &calls, sizeof(calls)) > 0;
}

int front_do(struct front_end *front, struct front_request *req, uint32_t len)
{
	struct front_request *done;

	if (front_submit(front, req, len))
		return -1;
	front_kick(front);
	while (!req->done) {
		if (!front_wait(front, 20000))
			return -1;
		front_reap(front, &done, 1);
	}
	return front_status(front, req->index);
}
