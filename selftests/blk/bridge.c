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

/* LOG_SHMFD, REPLY_ACK, CONFIGURE_MEM_SLOTS: when there is something to ask. */
#define FEATURES	(1 << 1 | 1 << 3 | 1 << 15)

static const char *path;

static int io(struct front_end *front, uint32_t type, uint64_t sector)
{
	struct front_request req = { .type = type, .sector = sector };

	return front_do(front, &req, 4096);
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
	uint64_t features = FEATURES, status = -1;

	front_send(front, 16, 0, &features, sizeof(features), NULL, 0);
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

static uint64_t set_addr(struct front_end *front, unsigned int flags)
{
	struct vhost_vring_addr addr = {
		.flags = flags,
		.desc_user_addr = (uintptr_t)front->memory,
		.avail_user_addr = (uintptr_t)front->memory + 0x10000,
		.used_user_addr = (uintptr_t)front->memory + 0x20000,
		.log_guest_addr = FRONT_GPA + 0x20000,
	};

	return ask(front, 9, &addr, sizeof(addr), -1);
}

static bool set_log(struct front_end *front, uint64_t size, uint64_t offset,
		    int fd)
{
	uint64_t log[2] = { size, offset };

	return !front_send(front, 6, 0, log, sizeof(log), &fd, 1) &&
	       !front_receive(front, NULL, 0);
}

#define LOG_SIZE	((FRONT_GPA + FRONT_MEMORY) / 4096 / 8)

/*
 * A ring can be logged without VHOST_F_LOG_ALL. The log may be replaced, but
 * not by one that is too small for it.
 */
static bool keeps_log(void)
{
	const unsigned int on = 1 << VHOST_VRING_F_LOG;
	struct front_end front;
	int fd = memfd_create("log", 0);
	bool kept;

	if (ftruncate(fd, LOG_SIZE) || front_connect(&front, path) ||
	    front_start(&front))
		return false;
	kept = set_addr(&front, on) && set_log(&front, LOG_SIZE, 0, fd) &&
	       !set_addr(&front, on) && !io(&front, VIRTIO_BLK_T_IN, 16) &&
	       !set_log(&front, 1, 0, fd) && is_cut(&front);
	front_close(&front);
	close(fd);
	return kept;
}

static bool is_logged(const uint8_t *log, uint64_t offset)
{
	uint64_t page = (FRONT_GPA + offset) / 4096;

	return log[page / 8] >> page % 8 & 1;
}

/* Both kinds of logging, in a file, from somewhere in its middle on. */
static bool logs_reads(void)
{
	const unsigned int offset = 3 * 4096;
	struct front_end front;
	int fd = memfd_create("log", 0);
	uint64_t features;
	uint8_t *log;
	bool right;

	if (ftruncate(fd, LOG_SIZE + offset) || front_connect(&front, path) ||
	    front_start(&front))
		return false;
	log = mmap(NULL, LOG_SIZE + offset, PROT_READ | PROT_WRITE, MAP_SHARED,
		   fd, 0);
	if (log == MAP_FAILED)
		return false;
	features = front.features | 1ull << VHOST_F_LOG_ALL;
	right = set_log(&front, LOG_SIZE, offset, fd) &&
		!ask(&front, 2, &features, sizeof(features), -1) &&
		!set_addr(&front, 1 << VHOST_VRING_F_LOG) &&
		!io(&front, VIRTIO_BLK_T_IN, 16) &&
		/* Under the ring's lock, as the end of the completion that was seen. */
		!set_addr(&front, 1 << VHOST_VRING_F_LOG);
	log += offset;
	/* Data, the status with its header, the ring; and what is behind the data. */
	right &= is_logged(log, FRONT_DATA) && is_logged(log, 0x40000) &&
		 is_logged(log, 0x20000) && !is_logged(log, FRONT_DATA + 4096);
	/* Until then a kick that comes late may make it look, and that is logged. */
	right &= !set_addr(&front, 0) &&
		 !ask(&front, 2, &front.features, sizeof(features), -1);
	memset(log, 0, LOG_SIZE);
	right &= !io(&front, VIRTIO_BLK_T_IN, 16) &&
		 !*log && !memcmp(log, log + 1, LOG_SIZE - 1);
	front_close(&front);
	munmap(log - offset, LOG_SIZE + offset);
	close(fd);
	return right;
}

static pid_t peer_of(struct front_end *front)
{
	struct ucred peer = {};
	socklen_t size = sizeof(peer);

	getsockopt(front->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size);
	return peer.pid;
}

/* Does the back end have that file in its memory? */
static bool has_mapped(struct front_end *front, const char *name)
{
	char line[512];
	bool found = false;
	FILE *maps;

	snprintf(line, sizeof(line), "/proc/%d/maps", peer_of(front));
	maps = fopen(line, "r");
	while (maps && fgets(line, sizeof(line), maps))
		found |= strstr(line, name) != NULL;
	if (maps)
		fclose(maps);
	return found;
}

/* Memory that is plugged while the ring runs, right behind what there is. */
static bool plugs_memory(void)
{
	struct {
		uint64_t padding, gpa, size, address, offset;
	} slot = { .gpa = FRONT_GPA + FRONT_MEMORY, .size = 65536 },
	  first = { .gpa = FRONT_GPA, .size = FRONT_MEMORY };
	struct front_request req = {
		.type = VIRTIO_BLK_T_IN, .sector = 16,
		.index = (FRONT_MEMORY - FRONT_DATA) / 65536,
	};
	struct front_end front;
	int fd = memfd_create("plugged", 0);
	uint8_t *memory;
	bool right;

	if (ftruncate(fd, slot.size) || front_connect(&front, path) ||
	    front_start(&front))
		return false;
	memory = mmap(NULL, slot.size, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return false;
	slot.address = (uintptr_t)memory;
	first.address = (uintptr_t)front.memory;
	memset(front_data(&front, 0), 0x5b, 4096);
	right = !io(&front, VIRTIO_BLK_T_OUT, 16) &&
		ask(&front, 37, &slot, sizeof(slot), -1) &&
		!ask(&front, 37, &slot, sizeof(slot), fd) &&
		!front_do(&front, &req, 4096) && memory[0] == 0x5b &&
		memory[4095] == 0x5b && has_mapped(&front, "plugged");
	if (!right)
		tap_diag("it is not there");
	/* And unplugged; what is not there, or in use by the ring, cannot be. */
	right &= !ask(&front, 38, &slot, sizeof(slot), -1) &&
		 !has_mapped(&front, "plugged") &&
		 ask(&front, 38, &slot, sizeof(slot), -1) &&
		 ask(&front, 38, &first, sizeof(first), -1) &&
		 !io(&front, VIRTIO_BLK_T_IN, 16);
	front_close(&front);
	munmap(memory, slot.size);
	close(fd);
	return right;
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
	tap_plan(17);
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
	tap_ok(logs_reads(), "what is read is logged where a file says");
	tap_ok(plugs_memory(), "memory comes and goes while a ring runs");
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
