/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The vhost-user protocol as far as disks need it. It is spoken between
 * processes of one machine, in its byte order.
 */
#ifndef KHX_VHOST_USER_PROTOCOL_H
#define KHX_VHOST_USER_PROTOCOL_H

#include <stdint.h>

#include <linux/vhost.h>

enum message_request {
	MSG_GET_FEATURES = 1,
	MSG_SET_FEATURES = 2,
	MSG_SET_OWNER = 3,
	MSG_RESET_OWNER = 4,
	MSG_SET_MEM_TABLE = 5,
	MSG_SET_LOG_BASE = 6,
	MSG_SET_LOG_FD = 7,
	MSG_SET_VRING_NUM = 8,
	MSG_SET_VRING_ADDR = 9,
	MSG_SET_VRING_BASE = 10,
	MSG_GET_VRING_BASE = 11,
	MSG_SET_VRING_KICK = 12,
	MSG_SET_VRING_CALL = 13,
	MSG_SET_VRING_ERR = 14,
	MSG_GET_PROTOCOL_FEATURES = 15,
	MSG_SET_PROTOCOL_FEATURES = 16,
	MSG_GET_QUEUE_NUM = 17,
	MSG_SET_VRING_ENABLE = 18,
	MSG_SET_BACKEND_REQ_FD = 21,
	MSG_GET_CONFIG = 24,
	MSG_SET_CONFIG = 25,
	MSG_GET_INFLIGHT_FD = 31,
	MSG_SET_INFLIGHT_FD = 32,
	MSG_GET_MAX_MEM_SLOTS = 36,
	MSG_ADD_MEM_REG = 37,
	MSG_REM_MEM_REG = 38,
	MSG_REQUESTS,
};

/* What the back end sends, on the channel of MSG_SET_BACKEND_REQ_FD. */
#define BACKEND_MSG_CONFIG_CHANGE	2

#define MSG_VERSION		1
#define MSG_VERSION_MASK	3
#define MSG_REPLY		(1 << 2)
#define MSG_NEED_REPLY		(1 << 3)

#define F_PROTOCOL_FEATURES	30	/* in the virtio features */

enum protocol_feature {
	PROTOCOL_F_MQ = 0,
	PROTOCOL_F_LOG_SHMFD = 1,
	PROTOCOL_F_REPLY_ACK = 3,
	PROTOCOL_F_BACKEND_REQ = 5,
	PROTOCOL_F_CONFIG = 9,
	PROTOCOL_F_INFLIGHT_SHMFD = 12,
	PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
};

/* In SET_VRING_KICK, _CALL and _ERR. */
#define VRING_INDEX_MASK	0xff
#define VRING_NO_FD		(1 << 8)

#define MAX_FDS			8
#define MAX_CONFIG		256

struct message_header {
	uint32_t request;
	uint32_t flags;
	uint32_t size;
};

struct message_region {
	uint64_t gpa;
	uint64_t size;
	uint64_t address;	/* of the front end */
	uint64_t offset;	/* in the file */
};

struct message_memory {
	uint32_t nregions;
	uint32_t padding;
	struct message_region regions[MAX_FDS];
};

struct message_slot {
	uint64_t padding;
	struct message_region region;
};

struct message_log {
	uint64_t size;
	uint64_t offset;
};

struct message_config {
	uint32_t offset;
	uint32_t size;
	uint32_t flags;
	uint8_t data[MAX_CONFIG];
};

struct message_inflight {
	uint64_t size;
	uint64_t offset;
	uint16_t queues;
	uint16_t queue_size;
};

union message_payload {
	uint64_t u64;
	struct vhost_vring_state state;
	struct vhost_vring_addr addr;
	struct message_memory memory;
	struct message_slot slot;
	struct message_log log;
	struct message_config config;
	struct message_inflight inflight;
};

struct message {
	struct message_header header;
	union message_payload payload;
	int fds[MAX_FDS];	/* -1 once somebody else owns it */
	unsigned int nfds;
};

/* All return 0, or -1 when the connection is of no use any more. */
int message_receive(int socket, struct message *message);
int message_reply(int socket, struct message *message, uint32_t size);
/* The same with a file; -1: without. */
int message_reply_fd(int socket, struct message *message, uint32_t size, int fd);
int message_send_backend(int socket, uint32_t request);

/* The file that came with a message, or -1; the caller owns it now. */
int message_take_fd(struct message *message, unsigned int i);
void message_close_fds(struct message *message);

#endif
