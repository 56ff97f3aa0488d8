// SPDX-License-Identifier: GPL-2.0
/*
 * disk PATH: requests to a disk of khx_blk there, from and to memory in khxmem that the
 * scanner merges at full speed. All of it has few contents, so that all that is not just
 * in use is merged; and what is written to one page shall be in no other.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "disk.h"
#include "khxmem.h"
#include "tap.h"

#define PLACES		1024U
#define PLACE_PAGES	4UL
#define PLACE_BYTES	(PLACE_PAGES * PAGE)
#define REQUESTS	32U
#define CONTENTS	3
#define SECONDS		10

static struct disk disk;
static const char *alias;	/* another mapping of the memory */
static unsigned long wrong, done;
static long merged, broken, held;	/* figures, before it begins */

/* In memory, and on the disk; contents as page_fill() has them. */
static struct place {
	uint64_t holds, on_disk;
	bool busy;
} places[PLACES];

static struct request {
	struct disk_request req;
	struct place *place;	/* NULL while there is none */
} requests[REQUESTS];

static unsigned long offset_of(const struct place *place)
{
	return DISK_DATA + (place - places) * PLACE_BYTES;
}

static void check(const struct place *place)
{
	const char *at = alias + offset_of(place);
	unsigned long i;

	for (i = 0; i < PLACE_PAGES; i++)
		wrong += !page_holds(at + i * PAGE, place->holds);
}

static void fill(struct place *place, uint64_t value)
{
	unsigned long i;

	for (i = 0; i < PLACE_PAGES; i++)
		page_fill(disk.memory + offset_of(place) + i * PAGE, value);
	place->holds = value;
}

static struct place *idle_place(void)
{
	struct place *place;

	do
		place = &places[rand() % PLACES];
	while (place->busy);
	return place;
}

/*
 * Half of them use memory as it has lain there, merged perhaps; the others new memory,
 * which the scanner would merge before they are done.
 */
static void start(struct request *request)
{
	struct place *place = idle_place();

	if (rand() % 2) {
		fallocate(disk.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			  offset_of(place), PLACE_BYTES);
		fill(place, 1 + rand() % CONTENTS);
	}
	request->place = place;
	request->req = (struct disk_request) {
		.type = rand() % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.sector = (place - places) * PLACE_BYTES / 512,
		.data = disk.memory + offset_of(place),
		.len = PLACE_BYTES,
	};
	place->busy = true;
	if (disk_submit(&disk, 0, &request->req))
		tap_bail("no room in the ring");
}

static void end(struct request *request)
{
	struct place *place = request->place;

	wrong += *request->req.status != VIRTIO_BLK_S_OK;
	if (request->req.type == VIRTIO_BLK_T_OUT)
		place->on_disk = place->holds;
	else
		place->holds = place->on_disk;
	check(place);
	place->busy = false;
	request->place = NULL;
	done++;
}

/* Until there is nothing to do any more. */
static void work(unsigned int seconds)
{
	double until = seconds_now() + seconds;
	unsigned int i, busy;

	do {
		for (i = busy = 0; i < REQUESTS; i++) {
			if (requests[i].place && requests[i].req.done)
				end(&requests[i]);
			if (!requests[i].place && seconds_now() < until)
				start(&requests[i]);
			busy += !!requests[i].place;
		}
		disk_kick(&disk, 0);
		check(idle_place());
		if (busy && !disk_reap(&disk, 0, 20000))
			tap_bail("requests do not end");
	} while (busy);
}

/* Has each of what can come in the disk's way done so? */
static bool is_enough(void)
{
	return done > 100 && figure("pages_merged") - merged > 1000 &&
	       figure("cow_breaks") - broken > 100 &&
	       figure("pages_busy") - held > 100;
}

/* The disk is all zeros. */
static void set_up(const char *path)
{
	struct disk_options options = { .memory = true };
	unsigned int i;

	khxmem_mount(NULL, NULL);
	options.memfd = khxmem_file(NULL, DISK_MEMORY / PAGE);
	alias = khxmem_map(options.memfd, DISK_MEMORY / PAGE);
	disk_open(&disk, path, &options);
	for (i = 0; i < PLACES; i++)
		fill(&places[i], 1 + i % CONTENTS);
}

int main(int argc, char **argv)
{
	unsigned int i;

	if (argc != 2)
		tap_bail("usage: disk PATH");
	set_up(argv[1]);
	tap_plan(3);
	merged = figure("pages_merged");
	broken = figure("cow_breaks");
	held = figure("pages_busy");
	scan_fast();
	work(SECONDS);
	/* How often they meet is the scheduler's choice, too. */
	for (i = 0; i < 9 && !is_enough(); i++)
		work(SECONDS);
	scan_stop();
	for (i = 0; i < PLACES; i++)
		check(&places[i]);
	merged = figure("pages_merged") - merged;
	broken = figure("cow_breaks") - broken;
	held = figure("pages_busy") - held;
	tap_is(wrong, 0, "no page is wrong in %lu requests", done);
	tap_ok(done > 100 && merged > 1000 && broken > 100,
	       "while pages merged (%ld) and were written again (%ld)", merged, broken);
	tap_ok(held > 100, "and the disk held some that would have merged (%ld)", held);
	munmap((void *)alias, DISK_MEMORY);
	disk_close(&disk);
	khxmem_umount(NULL);
	return tap_exit();
}
