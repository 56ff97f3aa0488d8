// SPDX-License-Identifier: GPL-2.0
/*
 * dirty-log PATH [direct] [packed] [late]: while a guest migrates, each page that a
 * read has changed is in the dirty log by the time the driver, or whoever has stopped
 * the ring, can know; and no page that nothing was written to. With `late`, the disk
 * answers so late that much can happen until then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include <linux/virtio_ring.h>

#include "disk.h"
#include "tap.h"

#define PAGE	4096
#define PAGES	(DISK_MEMORY / PAGE)
#define BEYOND	65536	/* behind the bitmap, and none of it */
#define BITMAP	((DISK_GPA + DISK_MEMORY) / PAGE / 8)
#define CONTENT	(4u << 20)	/* of the disk, from its first sector on */
#define DEPTH	32
#define LEN	(128u << 10)
#define APART	(160u << 10)

/* What is used of the guest's memory: rings, headers, data of one and of many. */
static const struct {
	size_t from, to;
} used[] = {
	{ 0, DISK_RING },
	{ DISK_FIXED, DISK_FIXED + (128u << 10) },
	{ DISK_DATA, DISK_DATA + CONTENT + (1u << 20) + DEPTH * APART },
};

static struct disk disk;
static struct disk_options options;
static uint8_t *copy;			/* as the other side has it */
static uint8_t *bitmap;
static bool written[PAGES];		/* by the device, as we know */

static void mark(const volatile void *p, size_t len)
{
	size_t at = (const volatile uint8_t *)p - disk.memory, end = at + len;

	for (at -= at % PAGE; at < end; at += PAGE)
		written[at / PAGE] = true;
}

/* What the device writes for any request: its part of the ring. */
static void mark_ring(void)
{
	const struct vring_layout *at = &disk.queues[0].ring.at;

	mark(at->used, vring_used_bytes(at->packed, at->num));
	if (at->packed)
		mark(at->desc, vring_desc_bytes(true, at->num));
}

/* The driver's last write before the device may go on: KVM's to log, not ours. */
static void publish(void)
{
	struct vring_driver *ring = &disk.queues[0].ring;
	struct vring_packed_desc *desc;

	if (ring->at.packed) {
		desc = (void *)(copy + ((uint8_t *)ring->at.desc - disk.memory));
		desc[ring->held_slot].flags = ring->held_flags;
	}
	vring_publish(ring);
}

/* With requests that were added, and not published. */
static void snapshot(void)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		memcpy(copy + used[i].from, disk.memory + used[i].from,
		       used[i].to - used[i].from);
	memset(bitmap, 0, BITMAP);
	memset(written, 0, sizeof(written));
	mark_ring();
}

static bool is_logged(size_t page)
{
	page += DISK_GPA / PAGE;
	return bitmap[page / 8] >> page % 8 & 1;
}

/* What the driver still writes, KVM logs: when it wants to be interrupted. */
static bool is_drivers(size_t page)
{
	return disk.memory + page * PAGE == disk.queues[0].ring.at.avail;
}

static unsigned int logged, missed, extra;

/* The used ring is logged when it is written, which we see: under the lock of this. */
static void wait_for_log(void)
{
	struct vhost_vring_state state = { .index = 0 };

	if (ioctl(disk.fd, VHOST_GET_VRING_BUSYLOOP_TIMEOUT, &state))
		tap_bail("VHOST_GET_VRING_BUSYLOOP_TIMEOUT: %s", strerror(errno));
}

static void read_log(void)
{
	size_t page;
	unsigned int i;

	wait_for_log();
	logged = missed = extra = 0;
	for (page = 0; page < PAGES; page++) {
		logged += is_logged(page);
		extra += is_logged(page) && !written[page];
	}
	for (i = 0; i < 3; i++)
		for (page = used[i].from / PAGE; page < used[i].to / PAGE; page++)
			missed += memcmp(disk.memory + page * PAGE,
					 copy + page * PAGE, PAGE) &&
				  !is_drivers(page) && !is_logged(page);
}

/* Is the log right, and has so many pages? */
static bool log_is_right(unsigned int pages)
{
	read_log();
	if (!missed && !extra && logged >= pages)
		return true;
	tap_diag("of %u pages %u are logged; %u changed and are not, %u are and were not written",
		 pages, logged, missed, extra);
	return false;
}

static void set_logging(bool on)
{
	const struct vring_layout *at = &disk.queues[0].ring.at;
	uint64_t features = disk.features |
			    (on ? 1ull << VHOST_F_LOG_ALL : 0);
	uint64_t base = (uintptr_t)bitmap;
	struct vhost_vring_addr addr = {
		.flags = on ? 1 << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = (uintptr_t)at->desc,
		.avail_user_addr = (uintptr_t)at->avail,
		.used_user_addr = (uintptr_t)at->used,
		.log_guest_addr = disk_gpa(&disk, at->used),
	};

	if (ioctl(disk.fd, VHOST_SET_LOG_BASE, &base) ||
	    ioctl(disk.fd, VHOST_SET_FEATURES, &features) ||
	    ioctl(disk.fd, VHOST_SET_VRING_ADDR, &addr))
		tap_bail("no log");
}

/* One request; only one beyond the end may fail. */
static void request(struct disk_request req)
{
	if (disk_submit(&disk, 0, &req))
		tap_bail("no room in the ring");
	snapshot();
	mark(req.status, 1);
	if (req.len)
		mark(req.data, req.len);
	publish();
	disk_kick(&disk, 0);
	while (!req.done && disk_reap(&disk, 0, 20000))
		;
	if (!req.done || !*req.status != !req.sector)
		tap_bail("status %u", *req.status);
}

static bool is_right_for(struct disk_request req, unsigned int pages)
{
	request(req);
	return log_is_right(pages);
}

/* Each at a place of its own, where nothing was read to. */
static struct disk_request read_of(uint32_t len)
{
	static uint32_t next = DISK_DATA;
	struct disk_request req = {
		.type = VIRTIO_BLK_T_IN, .data = disk.memory + next + PAGE,
		.len = len,
	};

	next += len + 4 * PAGE;
	next -= next % PAGE;
	return req;
}

static void test_one(void)
{
	struct disk_request req;

	tap_ok(is_right_for(read_of(PAGE), 3), "one page");
	req = read_of(512);
	req.data += PAGE - 512;
	tap_ok(is_right_for(req, 3), "one sector at the end of a page");
	tap_ok(is_right_for(read_of(3 << 20), 770), "several windows");
	req = read_of(65536);
	req.cut = PAGE;
	req.indirect = true;
	tap_ok(is_right_for(req, 18), "many segments");
	req = read_of(1 << 20);
	req.data += 3;
	tap_ok(is_right_for(req, 257), "an odd address, copied");
	req = read_of(65536);
	req.cut = 1000;
	req.indirect = true;
	tap_ok(is_right_for(req, 18), "sectors cut between segments, copied");
	req = read_of(8192);
	req.join = true;
	tap_ok(is_right_for(req, 4), "the status behind the data");
	req = read_of(20);
	req.type = VIRTIO_BLK_T_GET_ID;
	tap_ok(is_right_for(req, 3), "the serial number");
	req = read_of(PAGE);
	req.sector = ~0ull;
	tap_ok(is_right_for(req, 2), "a read that fails");
	req = (struct disk_request){ .type = VIRTIO_BLK_T_FLUSH };
	tap_ok(is_right_for(req, 2), "a flush");
	set_logging(false);
	request(read_of(PAGE));
	read_log();
	tap_is(logged, 0, "no logging, no log");
	set_logging(true);
	tap_ok(is_right_for(read_of(PAGE), 3), "logged again");
}

/* Half of them are copied, one after the other. */
static void submit_many(struct disk_request *reqs)
{
	uint8_t *at = disk.memory + used[2].to - DEPTH * APART;
	unsigned int i;

	memset(at, 0, DEPTH * APART);
	for (i = 0; i < DEPTH; i++) {
		reqs[i] = (struct disk_request){
			.type = VIRTIO_BLK_T_IN, .sector = i * 64,
			.data = at + i * APART + i % 2, .len = LEN,
			.indirect = true,
		};
		if (disk_submit(&disk, 0, &reqs[i]))
			tap_bail("no room in the ring");
	}
	snapshot();
	for (i = 0; i < DEPTH; i++) {
		mark(reqs[i].data, reqs[i].len);
		mark(reqs[i].status, 1);
	}
	publish();
	disk_kick(&disk, 0);
}

static bool reap_all(struct disk_request *reqs)
{
	unsigned int i, done = 0;

	do {
		for (done = 0, i = 0; i < DEPTH; i++)
			done += reqs[i].done;
	} while (done < DEPTH && disk_reap(&disk, 0, 20000));
	return done == DEPTH;
}

/* The last look at the log is when all rings have stopped. */
static void test_stop(void)
{
	static struct disk_request reqs[DEPTH];
	unsigned int round, bad = 0, amid = 0;

	for (round = 0; round < 10; round++) {
		submit_many(reqs);
		usleep(round * 1000);
		disk_halt(&disk);
		bad += !log_is_right(0);
		amid += logged && logged < DEPTH * LEN / PAGE;
		/* disk_start() sets addresses that are not logged. */
		disk_run(&disk);
		set_logging(true);
		disk_kick(&disk, 0);
		if (!reap_all(reqs))
			tap_bail("no answer");
	}
	tap_diag("%u of %u times amid them", amid, round);
	tap_is(bad, 0, "the log is right when a ring has stopped amid reads");
	submit_many(reqs);
	tap_ok(reap_all(reqs) && log_is_right(DEPTH * LEN / PAGE),
	       "and when all are done");
}

/*
 * A table with the guest's memory, and with a page of ours far above; or without
 * that, and without the guest's last page.
 */
static void set_table(uint64_t far_gpa, void *page, bool less)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[2];
	} table = {
		.head.nregions = less ? 1 : 2,
		.regions = {
			{ DISK_GPA, DISK_MEMORY - (less ? PAGE : 0),
			  (uintptr_t)disk.memory },
			{ far_gpa, PAGE, (uintptr_t)page },
		},
	};

	if (ioctl(disk.fd, VHOST_SET_MEM_TABLE, &table))
		tap_bail("no table");
}

/*
 * The log is made for the memory that the guest has now. It had more when a read
 * began, whose bits would be beyond it.
 */
static void test_replaced(void)
{
	static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
	uint8_t *at = disk.memory + DISK_FIXED;
	struct virtio_blk_outhdr *hdr = (void *)at;
	uint8_t *beyond = bitmap + BITMAP + BEYOND / 2;
	uint64_t far_gpa = (uint64_t)(beyond - bitmap) * 8 * PAGE;
	struct vring_buf bufs[] = {
		{ disk_gpa(&disk, hdr), sizeof(*hdr) },
		{ far_gpa, PAGE },
		{ DISK_GPA + DISK_MEMORY - 2 * PAGE, 2 * PAGE },
		{ disk_gpa(&disk, at + PAGE), 1 },
	};
	struct disk_request req = {};
	unsigned int i, set = 0;

	hdr->type = VIRTIO_BLK_T_IN;
	at[PAGE] = 0xff;
	set_table(far_gpa, page, false);
	if (disk_submit_raw(&disk, 0, bufs, 1, 3, &req))
		tap_bail("no room in the ring");
	disk_kick(&disk, 0);
	usleep(100000);
	set_table(0, NULL, true);
	set_logging(true);
	tap_is(at[PAGE], 0xff, "a read goes on while memory and log are replaced");
	tap_ok(disk_reap(&disk, 0, 20000) == 1 && at[PAGE] != 0xff,
	       "it is answered");
	tap_ok(is_logged((DISK_FIXED + PAGE) / PAGE), "that is logged");
	tap_ok(is_logged(PAGES - 2), "so is the last page that the guest has");
	for (i = 0; i < BEYOND; i++)
		set += bitmap[BITMAP + i];
	tap_ok(!set && !is_logged(PAGES - 1),
	       "what is not the guest's any more is not");
}

int main(int argc, char **argv)
{
	bool late = false;
	int i;

	if (argc < 2)
		tap_bail("usage: dirty-log PATH [direct] [packed]");
	for (i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "direct"))
			options.flags |= KHX_BLK_F_DIRECT;
		else if (!strcmp(argv[i], "packed"))
			options.packed = true;
		else if (!strcmp(argv[i], "late"))
			late = true;
	}
	copy = malloc(DISK_MEMORY);
	/* As QEMU's: wherever malloc() has put it, or worse. */
	bitmap = (uint8_t *)calloc(BITMAP + BEYOND + 8, 1) + 5;
	tap_plan(late ? 5 : 14);
	disk_open(&disk, argv[1], &options);
	if (late) {
		test_replaced();
		disk_close(&disk);
		return tap_exit();
	}
	disk_fill(disk.memory + DISK_DATA, CONTENT, 0, 1);
	if (disk_rw(&disk, VIRTIO_BLK_T_OUT, 0, disk.memory + DISK_DATA,
		    CONTENT))
		tap_bail("no contents");
	memset(disk.memory + DISK_DATA, 0, CONTENT);
	set_logging(true);
	test_one();
	test_stop();
	disk_close(&disk);
	return tap_exit();
}
