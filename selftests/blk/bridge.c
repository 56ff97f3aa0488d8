// SPDX-License-Identifier: GPL-2.0
/*
 * bridge SOCKET: khx-vhost-user serves good front ends and survives bad ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <linux/vhost.h>
#include <linux/virtio_config.h>

#include "front-end.h"
#include "tap.h"

static const char *path;

static int io(struct front_end *front, uint32_t type, uint64_t sector)
{
	struct front_request req = { .type = type, .sector = sector };
	struct front_request *done;

	if (front_submit(front, &req, 4096))
		return -1;
	front_kick(front);
	while (!req.done) {
		if (!front_wait(front, 20000))
			return -1;
		front_reap(front, &done, 1);
	}
	return front_status(front, 0);
}

static bool session_works(uint32_t *base)
{
	struct front_end front;
	bool ok;

	if (front_connect(&front, path) || front_start(&front))
		return false;
	if (!(front.features & (1ull << VIRTIO_F_VERSION_1)) ||
	    !front.config.capacity) {
		tap_diag("features %#llx, capacity %llu",
			 (unsigned long long)front.features,
			 (unsigned long long)front.config.capacity);
		return false;
	}
	memset(front_data(&front, 0), 0x5a, 4096);
	ok = !io(&front, VIRTIO_BLK_T_OUT, 16);
	memset(front_data(&front, 0), 0, 4096);
	ok &= !io(&front, VIRTIO_BLK_T_IN, 16) &&
	      front_data(&front, 0)[4095] == 0x5a &&
	      !io(&front, VIRTIO_BLK_T_FLUSH, 0);
	ok &= !front_stop(&front, base);
	/* And once more, as a guest that reboots. */
	ok &= !front_start(&front) && !io(&front, VIRTIO_BLK_T_IN, 16);
	front_close(&front);
	return ok;
}

/* Is the connection ended, within 5 s? */
static bool is_cut(struct front_end *front)
{
	struct timeval limit = { .tv_sec = 5 };
	char byte;

	setsockopt(front->socket, SOL_SOCKET, SO_RCVTIMEO, &limit,
		   sizeof(limit));
	/* Reset, if it had not read all that we sent. */
	return recv(front->socket, &byte, 1, 0) == 0 || errno == ECONNRESET;
}

static bool cut_for(uint32_t request, uint32_t flags, const void *payload,
		    uint32_t size, int nfds)
{
	static const int fds[12];
	struct front_end front;
	bool cut;

	if (front_connect(&front, path))
		return false;
	front_send(&front, request, flags, payload, size, fds, nfds);
	cut = is_cut(&front);
	close(front.socket);
	return cut;
}

/* A ring whose end lies outside the memory must not start. */
static bool refuses_ring(void)
{
	struct vhost_vring_state num = { 0, 1024 }, on = { 0, 1 };
	struct vhost_vring_addr addr = {};
	struct front_end front;
	uint64_t zero = 0;
	bool served;

	if (front_connect(&front, path))
		return false;
	addr.desc_user_addr = (uintptr_t)front.memory;
	addr.avail_user_addr = (uintptr_t)front.memory + 0x10000;
	addr.used_user_addr = (uintptr_t)front.memory + FRONT_MEMORY - 64;
	front_send(&front, 8, 0, &num, sizeof(num), NULL, 0);
	front_send(&front, 9, 0, &addr, sizeof(addr), NULL, 0);
	front_send(&front, 12, 0, &zero, sizeof(zero), &front.kick, 1);
	front_send(&front, 18, 0, &on, sizeof(on), NULL, 0);
	served = !front_stop(&front, &num.num);
	close(front.socket);
	return served;
}

int main(int argc, char **argv)
{
	static uint8_t big[512];
	uint32_t base = 0;
	unsigned int i;
	bool ok = true;

	if (argc != 2)
		tap_bail("usage: bridge SOCKET");
	path = argv[1];
	tap_plan(9);
	tap_ok(session_works(&base), "a front end reads and writes");
	tap_is(base, 3, "GET_VRING_BASE tells where it stopped");
	tap_ok(cut_for(1, 2, NULL, 0, 0), "a wrong version ends the session");
	tap_ok(cut_for(11, 0, &(uint64_t){ 200 }, 8, 0),
	       "so does the base of a queue that there is not");
	tap_ok(cut_for(5, 0, big, sizeof(big), 0), "and a payload too long");
	tap_ok(cut_for(37, 0, big, 40, 12), "and too many files");
	tap_ok(refuses_ring(), "a ring outside the memory is refused");
	for (i = 0; i < 20; i++) {
		struct front_end front;

		ok &= !front_connect(&front, path) && !front_start(&front);
		close(front.socket);
	}
	tap_ok(ok, "20 front ends that just go away");
	tap_ok(session_works(&base), "the next one is served as ever");
	return tap_exit();
}
