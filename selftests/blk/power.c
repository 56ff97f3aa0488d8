// SPDX-License-Identifier: GPL-2.0
/*
 * power write PATH [through] [packed] [direct]: writers that each write a
 * record, wait until it is stable, and write the next.
 *
 * power check LOG: what dm-log-writes saw of that, when it was below the
 * disk. The log has writes in the order in which they can have become stable,
 * with the flushes among them. At whichever entry the power fails, no record may
 * be missing that a writer has been told is stable: hence before each record of a
 * writer, the one before must have been flushed, or written with FUA.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disk.h"
#include "tap.h"

#define WRITERS	8
#define RECORDS	40
#define RECORD	4096
#define MAGIC	0x6475726162b1e5ffull

struct record {
	uint64_t magic;
	uint32_t writer;
	uint32_t number;	/* from 1 on */
	uint8_t data[RECORD - 16];
};

static bool through;

struct writer {
	struct disk_request write, flush;
	uint32_t number;
};

static struct writer writers[WRITERS];

static void submit(struct disk *disk, struct disk_request *req)
{
	if (disk_submit(disk, 0, req))
		tap_bail("no room in the ring");
}

static void submit_next(struct disk *disk, unsigned int i)
{
	struct writer *writer = &writers[i];
	struct record *record = (void *)(disk->memory + DISK_DATA + i * RECORD);

	writer->number++;
	record->magic = MAGIC;
	record->writer = i;
	record->number = writer->number;
	memset(record->data, writer->number, sizeof(record->data));
	writer->write = (struct disk_request) {
		.type = VIRTIO_BLK_T_OUT,
		.sector = (i * RECORDS + writer->number) * (RECORD / 512),
		.data = (void *)record,
		.len = RECORD,
	};
	writer->flush = (struct disk_request) { .type = VIRTIO_BLK_T_FLUSH };
	submit(disk, &writer->write);
}

/* Is a request of a writer done? Forget it then. */
static bool is_over(struct disk_request *req)
{
	if (!req->done)
		return false;
	req->done = false;
	if (*req->status)
		tap_bail("status %u", *req->status);
	return true;
}

/* Have each writer go on whose request is done; how many have ended? */
static unsigned int go_on(struct disk *disk)
{
	unsigned int i, ended = 0;

	for (i = 0; i < WRITERS; i++) {
		bool stable = is_over(&writers[i].flush);

		if (is_over(&writers[i].write)) {
			stable = through;
			if (!through)
				submit(disk, &writers[i].flush);
		}
		if (!stable)
			continue;
		if (writers[i].number == RECORDS)
			ended++;
		else
			submit_next(disk, i);
	}
	disk_kick(disk, 0);
	return ended;
}

static int write_records(int argc, char **argv)
{
	struct disk_options options = {};
	unsigned int i, left = WRITERS;
	struct disk disk;

	for (; argc > 3; argc--) {
		through |= !strcmp(argv[argc - 1], "through");
		options.packed |= !strcmp(argv[argc - 1], "packed");
		if (!strcmp(argv[argc - 1], "direct"))
			options.flags = KHX_BLK_F_DIRECT;
	}
	if (through)
		options.without = 1ull << VIRTIO_BLK_F_FLUSH |
				  1ull << VIRTIO_BLK_F_CONFIG_WCE;
	disk_open(&disk, argv[2], &options);
	for (i = 0; i < WRITERS; i++)
		submit_next(&disk, i);
	disk_kick(&disk, 0);
	while (left) {
		if (!disk_reap(&disk, 0, 20000))
			tap_bail("no answer");
		left -= go_on(&disk);
	}
	disk_close(&disk);
	return 0;
}

/* The format of the log, that of the kernel's dm-log-writes. */
#define LOG_MAGIC	0x6a736677736872ull
#define LOG_FLUSH	(1 << 0)
#define LOG_FUA		(1 << 1)
#define LOG_DISCARD	(1 << 2)

struct log_super {
	uint64_t magic, version, entries;
	uint32_t sector_size;
};

struct log_entry {
	uint64_t sector, sectors, flags, data_len;
};

/* By writer: the last record that was written, and that is stable. */
static uint32_t written[WRITERS], stable[WRITERS];
static unsigned int records, early;

static void see_record(const struct record *record, uint64_t flags)
{
	unsigned int i = record->writer;

	if (record->magic != MAGIC || i >= WRITERS ||
	    record->number <= written[i])
		return;
	records++;
	if (record->number != stable[i] + 1) {
		tap_diag("writer %u: record %u while %u is stable", i,
			 record->number, stable[i]);
		early++;
	}
	written[i] = record->number;
	if (flags & LOG_FUA)
		stable[i] = record->number;
}

static void see_entry(const struct log_entry *entry, const uint8_t *data,
		      uint64_t len)
{
	uint64_t i;

	/* A flush comes before what is written with it. */
	if (entry->flags & LOG_FLUSH)
		memcpy(stable, written, sizeof(stable));
	for (i = 0; i + RECORD <= len; i += RECORD)
		see_record((const void *)(data + i), entry->flags);
}

static void get(int fd, void *to, size_t size, off_t at)
{
	if (pread(fd, to, size, at) != (ssize_t)size)
		tap_bail("the log ends early");
}

static int check_log(const char *path)
{
	static uint8_t data[16 << 20];
	struct log_super super;
	struct log_entry entry;
	uint64_t i, len;
	off_t at;
	int fd = open(path, O_RDONLY);

	if (fd < 0)
		tap_bail("%s: %s", path, strerror(errno));
	get(fd, &super, sizeof(super), 0);
	if (super.magic != LOG_MAGIC)
		tap_bail("this is no log");
	at = super.sector_size;
	for (i = 0; i < super.entries; i++) {
		get(fd, &entry, sizeof(entry), at);
		at += super.sector_size;
		len = entry.flags & LOG_DISCARD ? 0 : entry.sectors * 512;
		if (len > sizeof(data))
			tap_bail("an entry of %llu bytes",
				 (unsigned long long)len);
		get(fd, data, len, at);
		at += len;
		see_entry(&entry, data, len);
	}
	tap_plan(2);
	tap_is(records, WRITERS * RECORDS, "the log has all records");
	tap_is(early, 0, "records before the last one was stable");
	return tap_exit();
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "write"))
		return write_records(argc, argv);
	if (argc == 3 && !strcmp(argv[1], "check"))
		return check_log(argv[2]);
	tap_bail("usage: power write PATH [OPTION...] | check LOG");
}
