// SPDX-License-Identifier: GPL-2.0
/* Messages of vhost-user: how they come and go on a socket. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "log.h"
#include "protocol.h"

static void take_fds(struct msghdr *msg, struct message *message)
{
	struct cmsghdr *cmsg;
	size_t len;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		len = cmsg->cmsg_len - CMSG_LEN(0);
		memcpy(message->fds, CMSG_DATA(cmsg), len);
		message->nfds = len / sizeof(int);
	}
}

static int receive_header(int socket, struct message *message)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control;
	struct iovec iov = { &message->header, sizeof(message->header) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n;

	do {
		n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0) {
		if (n < 0)
			log_error("receiving: %s", strerror(errno));
		return -1;
	}
	take_fds(&msg, message);
	if (msg.msg_flags & MSG_CTRUNC) {
		log_error("a message with more than %u files", MAX_FDS);
		return -1;
	}
	if (n < (ssize_t)sizeof(message->header) &&
	    recv(socket, (char *)&message->header + n,
		 sizeof(message->header) - n, MSG_WAITALL) !=
	    (ssize_t)sizeof(message->header) - n)
		return -1;
	return 0;
}

int message_receive(int socket, struct message *message)
{
	struct message_header *header = &message->header;

	message->nfds = 0;
	if (receive_header(socket, message))
		goto err;
	if ((header->flags & MSG_VERSION_MASK) != MSG_VERSION ||
	    header->size > sizeof(message->payload)) {
		log_error("request %u: flags %#x, %u bytes", header->request,
			  header->flags, header->size);
		goto err;
	}
	memset(&message->payload, 0, sizeof(message->payload));
	if (header->size &&
	    recv(socket, &message->payload, header->size, MSG_WAITALL) !=
	    (ssize_t)header->size)
		goto err;
	return 0;

err:
	message_close_fds(message);
	return -1;
}

/* Header and payload are not neighbours: there is padding between them. */
static int send_message(int socket, const struct message_header *header,
			const void *payload, int fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov[] = {
		{ (void *)header, sizeof(*header) },
		{ (void *)payload, header->size },
	};
	struct msghdr msg = { .msg_iov = iov, .msg_iovlen = 2 };
	struct cmsghdr *cmsg = &control.align;
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = &control;
		msg.msg_controllen = sizeof(control);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	n = sendmsg(socket, &msg, MSG_NOSIGNAL);
	if (n == (ssize_t)(sizeof(*header) + header->size))
		return 0;
	log_error("sending: %s", n < 0 ? strerror(errno) : "cut short");
	return -1;
}

int message_reply_fd(int socket, struct message *message, uint32_t size, int fd)
{
	message->header.flags = MSG_VERSION | MSG_REPLY;
	message->header.size = size;
	return send_message(socket, &message->header, &message->payload, fd);
}

int message_reply(int socket, struct message *message, uint32_t size)
{
	return message_reply_fd(socket, message, size, -1);
}

int message_send_backend(int socket, uint32_t request)
{
	struct message_header header = {
		.request = request,
		.flags = MSG_VERSION,
	};

	return send_message(socket, &header, NULL, -1);
}

int message_take_fd(struct message *message, unsigned int i)
{
	int fd;

	if (i >= message->nfds)
		return -1;
	fd = message->fds[i];
	message->fds[i] = -1;
	return fd;
}

void message_close_fds(struct message *message)
{
	while (message->nfds) {
		int fd = message->fds[--message->nfds];

		if (fd >= 0)
			close(fd);
	}
}
