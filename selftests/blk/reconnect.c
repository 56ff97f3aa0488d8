// SPDX-License-Identifier: GPL-2.0
/*
 * reconnect split|packed SOCKET COMMAND...: a front end whose connection breaks, or
 * whose back end is killed, has another one and goes on, as QEMU does for a guest
 * that has noticed nothing: with the ring as it is, and of its base, nothing better
 * than what it said at the start.
 */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <linux/virtio_config.h>

#include "back-end.h"
#include "front-end.h"
#include "tap.h"

#define DEPTH	32
#define REQUEST	8	/* sectors */

static struct back_end bridge;
static unsigned int flags = FRONT_KEEPS;
static struct front_end front;
static uint32_t fresh;		/* base of a ring that was not used yet */

static bool reap(struct front_request *reqs, unsigned int n)
{
	struct front_request *done[DEPTH];
	unsigned int i;

	for (i = 0; i < n;) {
		if (reqs[i].done)
			i++;
		else if (!front_reap(&front, done, DEPTH) &&
			 !front_wait(&front, 60000))
			return false;
	}
	for (i = 0; i < n; i++)
		if (front_status(&front, reqs[i].index))
			return false;
	return true;
}

static bool submit(struct front_request *reqs, unsigned int n, uint32_t type)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		reqs[i] = (struct front_request) {
			.type = type, .sector = i * REQUEST, .index = i,
		};
		if (front_submit(&front, &reqs[i], REQUEST * 512))
			return false;
	}
	front_kick(&front);
	return true;
}

/* Write, and read it again: the ring is somewhere in its second lap then. */
static bool io(void)
{
	struct front_request reqs[DEPTH];
	static uint8_t seed;
	unsigned int i;

	seed++;
	for (i = 0; i < DEPTH; i++)
		memset(front_data(&front, i), seed + i, REQUEST * 512);
	if (!submit(reqs, DEPTH, VIRTIO_BLK_T_OUT) || !reap(reqs, DEPTH))
		return false;
	for (i = 0; i < DEPTH; i++)
		memset(front_data(&front, i), 0, REQUEST * 512);
	if (!submit(reqs, DEPTH, VIRTIO_BLK_T_IN) || !reap(reqs, DEPTH))
		return false;
	for (i = 0; i < DEPTH; i++)
		if (front_data(&front, i)[REQUEST * 512 - 1] !=
		    (uint8_t)(seed + i))
			return false;
	return true;
}

static void begin(void)
{
	back_end_need(&bridge);
	if (front_open(&front, bridge.path, flags) || front_start(&front))
		tap_bail("no front end");
	if ((flags & FRONT_PACKED) &&
	    !(front.features & (1ull << VIRTIO_F_RING_PACKED)))
		tap_bail("no packed rings");
	fresh = front.ring.at.base;
}

static bool connection_breaks(void)
{
	bool ok;

	begin();
	ok = io() && !front_reconnect(&front, bridge.path) &&
	     !front_resume(&front, fresh) && io() &&
	     !front_reconnect(&front, bridge.path) &&
	     !front_resume(&front, fresh) && io();
	front_close(&front);
	return ok;
}

static bool next_back_end(uint32_t base)
{
	back_end_need(&bridge);
	return !front_reconnect(&front, bridge.path) &&
	       !front_resume(&front, base);
}

static bool back_end_is_killed(void)
{
	bool ok;

	begin();
	ok = io();
	back_end_kill(&bridge, SIGKILL);
	ok = ok && next_back_end(fresh) && io();
	front_close(&front);
	return ok;
}

/* Wherever it is with them: each is answered, by the one or by the other. */
static bool killed_amid_requests(void)
{
	struct front_request reqs[DEPTH];
	unsigned int round, bad = 0, amid = 0;
	struct front_request *done[DEPTH];
	int n;

	begin();
	for (round = 0; round < 5 && !bad; round++) {
		bad += !submit(reqs, DEPTH, VIRTIO_BLK_T_IN);
		usleep(round * 500);
		n = front_reap(&front, done, DEPTH);
		back_end_kill(&bridge, SIGKILL);
		amid += n < DEPTH;
		bad += !next_back_end(fresh) || !reap(reqs, DEPTH);
	}
	bad += !io();
	tap_diag("%u of %u times amid them", amid, round);
	front_close(&front);
	return !bad;
}

/* The front end knows where a ring has stopped that it had stopped itself. */
static bool base_is_told(void)
{
	uint32_t base;
	bool ok;

	begin();
	ok = io() && !front_stop(&front, &base) &&
	     !front_resume(&front, base) && io() &&
	     !front_stop(&front, &base);
	back_end_kill(&bridge, SIGKILL);
	ok = ok && next_back_end(base) && io();
	front_close(&front);
	return ok;
}

/* A driver that begins anew, and a front end that has kept the area even so. */
static bool base_is_set(void)
{
	uint64_t off = 0;
	uint32_t base;
	bool ok;

	begin();
	ok = io() && !front_stop(&front, &base);
	front.flags &= ~FRONT_KEEPS;
	ok = ok && !front_start(&front) && io() && !front_stop(&front, &base) &&
	     !front_reconnect(&front, bridge.path) && !front_start(&front) &&
	     io();
	/* Nor does it have to ask, to say so in one session: SET_VRING_ENABLE. */
	ok = ok && !front_send(&front, 18, 0, &off, sizeof(off), NULL, 0) &&
	     !front_start(&front) && io();
	front_close(&front);
	return ok;
}

/* And one that is reset while there is no back end. */
static bool begins_anew(void)
{
	bool ok;

	begin();
	ok = io() && !front_reconnect(&front, bridge.path) &&
	     !front_start(&front) && io();
	front_close(&front);
	return ok;
}

static bool set_wce(uint8_t wce)
{
	struct {
		uint32_t offset, size, flags;
		uint8_t data;
	} __attribute__((packed)) config = {
		.offset = offsetof(struct virtio_blk_config, wce),
		.size = 1,
		.data = wce,
	};

	return !front_send(&front, 25, 0, &config, sizeof(config), NULL, 0);
}

/* What the next front end is told of the cache. */
static bool has_wce(unsigned int wce)
{
	if (front_reconnect(&front, bridge.path))
		return false;
	if (front.config.wce == wce)
		return true;
	tap_diag("the cache mode is %u", front.config.wce);
	return false;
}

static bool keeps_cache_mode(void)
{
	bool ok;

	begin();
	ok = front.config.wce == 1 && set_wce(0) && has_wce(0) &&
	     !front_resume(&front, fresh) && io();
	back_end_kill(&bridge, SIGKILL);
	/* The area says it, to whoever has it set. */
	ok = ok && next_back_end(fresh) && io() && has_wce(0) &&
	     !front_resume(&front, fresh) && io() && set_wce(1) && has_wce(1);
	back_end_kill(&bridge, SIGKILL);
	ok = ok && next_back_end(fresh) && io() && has_wce(1);
	front_close(&front);
	return ok;
}

/* 0: the back end took it. */
static uint64_t ask(uint32_t request, const void *payload, uint32_t size,
		    int fd)
{
	uint64_t status = -1;

	front_send(&front, request, 8, payload, size, &fd, fd >= 0);
	front_receive(&front, &status, sizeof(status));
	return status;
}

static bool refuses_polling(void)
{
	uint64_t no_fd = 1 << 8;
	uint32_t base;
	bool ok;

	begin();
	ok = io() && !front_stop(&front, &base) &&
	     ask(12, &no_fd, sizeof(no_fd), -1) == 1 &&
	     !front_resume(&front, base) && io();
	front_close(&front);
	return ok;
}

static bool refuses_area(int fd, uint64_t size, uint64_t offset)
{
	struct front_area at = { .size = size, .offset = offset };
	bool refused = ask(32, &at, sizeof(at), fd) == 1;

	if (!refused)
		tap_diag("%llu bytes from %llu on", (unsigned long long)size,
			 (unsigned long long)offset);
	return refused;
}

/* The file is the front end's, and so is what is in it. */
static bool survives_areas(void)
{
	int other = memfd_create("other", 0);
	uint8_t page[4096];
	bool ok;

	begin();
	ok = io() && !ftruncate(other, 4096) &&
	     refuses_area(other, 4096, 0) && refuses_area(front.kick, 4096, 0) &&
	     refuses_area(-1, 4096, 0) && refuses_area(front.area, 64, 0) &&
	     refuses_area(front.area, 4096, 4096) &&
	     refuses_area(front.area, 4096, 1ull << 63) && io();
	/* What is not its head is all wrong; and then it is cut. */
	ok = ok && pread(front.area, page, sizeof(page), 0) == sizeof(page);
	memset(page + 192, 0xff, sizeof(page) - 192);
	ok = ok && pwrite(front.area, page, sizeof(page), 0) == sizeof(page) &&
	     io() && !front_reconnect(&front, bridge.path) &&
	     !front_resume(&front, fresh);
	memset(page + 192, flags & FRONT_PACKED ? 2 : 1, 64);
	ok = ok && pwrite(front.area, page, sizeof(page), 0) == sizeof(page) &&
	     !front_reconnect(&front, bridge.path) &&
	     !front_resume(&front, fresh) && !ftruncate(front.area, 0) &&
	     !front_reconnect(&front, bridge.path) &&
	     !front_resume(&front, fresh);
	front_close(&front);
	close(other);
	if (!ok)
		return false;
	begin();
	ok = io() && !ftruncate(front.area, 0) && io();
	front_close(&front);
	begin();
	ok = ok && io();
	front_close(&front);
	return ok;
}

/* Of that address space, or 0. */
static unsigned int count_mappings(pid_t pid)
{
	char path[64];
	unsigned int n = 0;
	FILE *file;
	int c;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	file = fopen(path, "r");
	while (file && (c = fgetc(file)) != EOF)
		n += c == '\n';
	if (file)
		fclose(file);
	return n;
}

#define HUGE_PAGE	(2ul << 20)
#define TIMES		10

/* A part of a huge page is mapped, and unmapped, as a whole. */
static bool unmaps_huge_pages(void)
{
	int huge = memfd_create("huge", MFD_HUGETLB);
	struct front_area area = { .size = 4096 };
	uint64_t log[2] = { 65536, 0 };
	unsigned int i, before, after;
	void *map;
	bool ok;

	begin();
	ok = huge >= 0 && !ftruncate(huge, HUGE_PAGE);
	map = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, huge, 0);
	ok = ok && map != MAP_FAILED && pread(front.area, map, 4096, 0) == 4096;
	before = count_mappings(bridge.pid);
	for (i = 0; i < TIMES && ok; i++) {
		ok = !ask(32, &area, sizeof(area), huge);
		front_send(&front, 6, 0, log, sizeof(log), &huge, 1);
		ok = ok && front_receive(&front, NULL, 0) >= 0;
	}
	after = count_mappings(bridge.pid);
	tap_diag("%u mappings, then %u", before, after);
	ok = ok && io();
	munmap(map, HUGE_PAGE);
	close(huge);
	front_close(&front);
	return ok && before && after <= before + 1;
}

/* Where a packed ring stands would be a guess; the next guest's is known again. */
static bool knows_no_other_area(void)
{
	uint32_t enable[2] = { 0, 1 };
	int area;
	bool ok;

	begin();
	area = front.area;
	ok = io() && pwrite(area, "another!", 8, 0) == 8 &&
	     !front_reconnect(&front, bridge.path) &&
	     ask(32, &front.area_at, sizeof(front.area_at), area) == 1;
	front.area = -1;
	/* A split ring says by itself what io() has made of its base. */
	ok = ok && !front_resume(&front, fresh + 2 * DEPTH) &&
	     (flags & FRONT_PACKED ?
	      ask(18, enable, sizeof(enable), -1) == 1 : io());
	close(area);
	front_close(&front);
	begin();
	ok = ok && io();
	front_close(&front);
	return ok;
}

/* A base that is refused, as the ring runs, changes nothing. */
static bool base_is_refused(void)
{
	uint32_t state[2] = { 0, fresh };
	bool ok;

	begin();
	ok = io() && ask(10, state, sizeof(state), -1) == 1 && io();
	back_end_kill(&bridge, SIGKILL);
	ok = ok && next_back_end(fresh) && io();
	front_close(&front);
	return ok;
}

/* What the operator has said of the cache is said to each guest. */
static bool begins_writethrough(void)
{
	bool ok;

	begin();
	ok = !front.config.wce && set_wce(1) && has_wce(0) && set_wce(0) &&
	     has_wce(0);
	front_close(&front);
	return ok;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		tap_bail("usage: reconnect split|packed|writethrough SOCKET COMMAND...");
	if (!strcmp(argv[1], "packed"))
		flags |= FRONT_PACKED;
	bridge.path = argv[2];
	bridge.command = argv + 3;
	if (!strcmp(argv[1], "writethrough")) {
		tap_plan(1);
		tap_ok(begins_writethrough(), "the option wins over the last guest");
		back_end_kill(&bridge, SIGTERM);
		return tap_exit();
	}
	tap_plan(12);
	tap_ok(connection_breaks(), "a connection that has broken");
	tap_ok(back_end_is_killed(), "a back end that was killed");
	tap_ok(killed_amid_requests(), "and that amid requests");
	tap_ok(base_is_told(), "a ring that was stopped goes on where that was");
	tap_ok(base_is_set(), "and one that is new, at its beginning");
	tap_ok(begins_anew(), "also if the old one was not stopped");
	tap_ok(keeps_cache_mode(), "the guest's cache mode stays");
	tap_ok(refuses_polling(), "a ring without kicks is refused");
	tap_ok(survives_areas(), "an area that is none does no harm");
	tap_ok(unmaps_huge_pages(), "one of huge pages is unmapped, and a log");
	tap_ok(knows_no_other_area(), "another back end's is not guessed at");
	tap_ok(base_is_refused(), "a base that comes too late is not one");
	back_end_kill(&bridge, SIGTERM);
	return tap_exit();
}
