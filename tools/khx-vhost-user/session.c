// SPDX-License-Identifier: GPL-2.0
/*
 * A session: messages come, the disk's size may change, and in the end all is put
 * back. The data itself never comes here: the kernel takes it from the guest's
 * memory, and the eventfds go from KVM to the kernel.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_blk.h>

#include "disk.h"
#include "inflight.h"
#include "log.h"
#include "memory.h"
#include "protocol.h"
#include "requests.h"
#include "session.h"
#include "setup.h"

int session_ioctl(const struct session *s, unsigned long command, void *arg)
{
	return ioctl(s->disk->device, command, arg) ? -errno : 0;
}

int session_get_info(const struct session *s, struct khx_blk_config *info)
{
	return session_ioctl(s, KHX_BLK_GET_CONFIG, info);
}

void session_drop_log(struct session *s)
{
	if (s->log)
		munmap(s->log, s->log_map_size);
	s->log = NULL;
}

/* Tell the front end of another size, if it is one and wants to know. */
static bool session_check_capacity(struct session *s)
{
	struct virtio_blk_config blk;
	struct khx_blk_config info;

	disk_drain_changes(s->disk);
	if (s->backend_socket < 0 || session_get_info(s, &info))
		return true;
	memcpy(&blk, info.config, sizeof(info.config) < sizeof(blk) ?
	       sizeof(info.config) : sizeof(blk));
	if (blk.capacity == s->capacity)
		return true;
	s->capacity = blk.capacity;
	return !message_send_backend(s->backend_socket,
				     BACKEND_MSG_CONFIG_CHANGE);
}

static void session_loop(struct session *s)
{
	struct pollfd fds[] = {
		{ .fd = s->socket, .events = POLLIN },
		{ .fd = s->disk->changes, .events = POLLIN },
		{ .fd = s->disk->event, .events = POLLIN },
	};
	static __thread struct message message;

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return;
		if ((fds[1].revents || fds[2].revents) &&
		    !session_check_capacity(s))
			return;
		if (fds[0].revents &&
		    (message_receive(s->socket, &message) ||
		     !request_handle(s, &message)))
			return;
	}
}

/* Has a front end gone that may come back and not know where its rings stand? */
static void session_check_end(const struct session *s)
{
	unsigned int i, running = 0;

	for (i = 0; i < s->disk->queues; i++)
		running += s->queues[i].running;
	if (running && setup_is_packed(&s->setup) && s->inflight.fd < 0)
		log_error("the front end has gone without stopping its packed queues, and has no in-flight area of ours: if its guest lives, that must be reset");
}

void session_run(struct disk *disk, int socket)
{
	struct session s = {
		.disk = disk,
		.socket = socket,
		.backend_socket = -1,
		.inflight.fd = -1,
	};

	if (!disk_attach(disk)) {
		session_loop(&s);
		session_check_end(&s);
		/* The mappings only after the kernel is done with them. */
		disk_detach(disk);
	}
	memory_release(&s.setup.memory, NULL);
	session_drop_log(&s);
	inflight_close(&s.inflight);
	if (s.backend_socket >= 0)
		close(s.backend_socket);
	close(socket);
}
