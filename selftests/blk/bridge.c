// SPDX-License-Identifier: GPL-2.0
/*
 * bridge SOCKET: khx-vhost-user serves good front ends and survives bad ones.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/resource.h>
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

static bool session_works(unsigned int queue, uint32_t *base)
{
	struct front_end front;
	bool ok;

	if (front_connect(&front, path))
		return false;
	front.queue = queue;
	if (front_start(&front))
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
	ssize_t n;
	char byte;

	setsockopt(front->socket, SOL_SOCKET, SO_RCVTIMEO, &limit,
		   sizeof(limit));
	n = recv(front->socket, &byte, 1, 0);
	/* Reset, if it had not read all that we sent. */
	return n == 0 || (n < 0 && errno == ECONNRESET);
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

/* 0 if the back end took it; each message is answered from the first one on. */
static uint64_t ask(struct front_end *front, uint32_t request,
		    const void *payload, uint32_t size, int fd)
{
	uint64_t reply_ack = 1 << 3, status = -1;

	front_send(front, 16, 0, &reply_ack, sizeof(reply_ack), NULL, 0);
	front_send(front, request, 8, payload, size, &fd, fd >= 0);
	front_receive(front, &status, sizeof(status));
	return status;
}

/* Other memory where a ring runs: the kernel would go on with the old one. */
static bool keeps_memory(void)
{
	struct {
		uint32_t nregions, padding;
		uint64_t gpa, size, address, offset;
	} table = { .nregions = 1, .gpa = FRONT_GPA, .size = FRONT_MEMORY };
	struct front_end front;
	int fd = memfd_create("other", 0);
	bool kept;

	if (ftruncate(fd, FRONT_MEMORY) || front_connect(&front, path) ||
	    front_start(&front))
		return false;
	table.address = (uintptr_t)front.memory;
	kept = !io(&front, VIRTIO_BLK_T_IN, 16) &&
	       !ask(&front, 5, &table, sizeof(table), front.memfd) &&
	       ask(&front, 5, &table, sizeof(table), fd) &&
	       !io(&front, VIRTIO_BLK_T_IN, 16);
	front_close(&front);
	close(fd);
	return kept;
}

/*
 * A ring can be logged without VHOST_F_LOG_ALL. The log may be replaced, but
 * not by one that is too small for it.
 */
static bool keeps_log(void)
{
	uint64_t log[2] = { (FRONT_GPA + FRONT_MEMORY) / 4096 / 8, 0 };
	struct vhost_vring_addr addr = { .flags = 1 << VHOST_VRING_F_LOG };
	struct front_end front;
	int fd = memfd_create("log", 0);
	bool kept;

	if (ftruncate(fd, log[0]) || front_connect(&front, path) ||
	    front_start(&front))
		return false;
	addr.desc_user_addr = (uintptr_t)front.memory;
	addr.avail_user_addr = (uintptr_t)front.memory + 0x10000;
	addr.used_user_addr = (uintptr_t)front.memory + 0x20000;
	addr.log_guest_addr = FRONT_GPA + 0x20000;
	kept = ask(&front, 9, &addr, sizeof(addr), -1) &&
	       !front_send(&front, 6, 0, log, sizeof(log), &fd, 1) &&
	       !front_receive(&front, NULL, 0) &&
	       !ask(&front, 9, &addr, sizeof(addr), -1) &&
	       !io(&front, VIRTIO_BLK_T_IN, 16);
	log[0] = 1;
	front_send(&front, 6, 0, log, sizeof(log), &fd, 1);
	kept &= is_cut(&front);
	front_close(&front);
	close(fd);
	return kept;
}

static pid_t peer_of(struct front_end *front)
{
	struct ucred peer = {};
	socklen_t size = sizeof(peer);

	getsockopt(front->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return peer.pid;
}

/* Files are released from the last one down: the device before we are told. */
static bool device_goes_first(void)
{
	char name[64], target[64] = "";
	struct front_end front;
	int fd, last = -1;
	struct dirent *entry;
	pid_t peer;
	DIR *dir;

	if (front_connect(&front, path))
		return false;
	peer = peer_of(&front);
	snprintf(name, sizeof(name), "/proc/%d/fd", peer);
	dir = opendir(name);
	while (dir && (entry = readdir(dir))) {
		fd = atoi(entry->d_name);
		last = fd > last ? fd : last;
	}
	if (dir)
		closedir(dir);
	close(front.socket);
	snprintf(name, sizeof(name), "/proc/%d/fd/%d", peer, last);
	return readlink(name, target, sizeof(target) - 1) > 0 &&
	       !strcmp(target, "/dev/khx-blk");
}

/* It may say each time that it does not know what that is, and so fill disks. */
static bool forgives_nonsense(void)
{
	struct front_end front;
	uint64_t features = 0;
	unsigned int i;

	if (front_connect(&front, path))
		return false;
	for (i = 0; i < 1000; i++)
		front_send(&front, 99, 0, NULL, 0, NULL, 0);
	front_send(&front, 1, 0, NULL, 0, NULL, 0);
	front_receive(&front, &features, sizeof(features));
	close(front.socket);
	return features;
}

/* A back end that has no file left for a connection has one later. */
static bool survives_shortage(void)
{
	struct rlimit none, old;
	struct front_end front;
	uint32_t base;
	pid_t peer;

	if (front_connect(&front, path))
		return false;
	peer = peer_of(&front);
	if (prlimit(peer, RLIMIT_NOFILE, NULL, &old))
		return false;
	none = (struct rlimit){ 0, old.rlim_max };
	if (prlimit(peer, RLIMIT_NOFILE, &none, NULL))
		return false;
	close(front.socket);
	sleep(2);
	return !prlimit(peer, RLIMIT_NOFILE, &old, NULL) &&
	       session_works(0, &base);
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
	tap_plan(15);
	tap_ok(session_works(0, &base), "a front end reads and writes");
	tap_is(base, 3, "GET_VRING_BASE tells where it stopped");
	tap_ok(cut_for(1, 2, NULL, 0, 0), "a wrong version ends the session");
	tap_ok(cut_for(11, 0, &(uint64_t){ 200 }, 8, 0),
	       "so does the base of a queue that there is not");
	tap_ok(cut_for(5, 0, big, sizeof(big), 0), "and a payload too long");
	tap_ok(cut_for(37, 0, big, 40, 12), "and too many files");
	tap_ok(refuses_ring(), "a ring outside the memory is refused");
	tap_ok(keeps_memory(), "so is other memory below a running one");
	tap_ok(keeps_log(), "and a log too small for it");
	tap_ok(survives_shortage(), "it goes on when it can have files again");
	tap_ok(forgives_nonsense(), "1000 unknown requests are ignored");
	tap_ok(device_goes_first(), "the device goes before the connections");
	for (i = 0; i < 20; i++) {
		struct front_end front;

		ok &= !front_connect(&front, path) && !front_start(&front);
		close(front.socket);
	}
	tap_ok(ok, "20 front ends that just go away");
	tap_ok(session_works(0, &base), "the next one is served as ever");
	tap_ok(session_works(63, &base), "also if it takes the last queue");
	return tap_exit();
}
