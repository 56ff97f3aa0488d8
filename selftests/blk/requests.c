// SPDX-License-Identifier: GPL-2.0
/*
 * requests PATH [direct] [packed] [on FILE]: every type of request, cut in every
 * way, does what virtio says to a disk on PATH, which gives blocks back to where
 * they are from: PATH itself, if it is a file, or FILE.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/stat.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "disk.h"
#include "tap.h"

#define OK	VIRTIO_BLK_S_OK
#define IOERR	VIRTIO_BLK_S_IOERR
#define UNSUPP	VIRTIO_BLK_S_UNSUPP
#define IN	VIRTIO_BLK_T_IN
#define OUT	VIRTIO_BLK_T_OUT

static struct disk disk;
static struct disk_options options;
static const char *path;
static const char *blocks_of;
static uint8_t *data, *back;

/* Write and read back in pieces; statuses, lengths and contents right? */
static bool round_trip(uint32_t len, uint32_t cut, uint32_t header_cut,
		       uint32_t offset, bool join, bool indirect)
{
	struct disk_request out = {
		.type = OUT, .sector = 64, .data = data + 512 + offset,
		.len = len, .cut = cut, .header_cut = header_cut, .join = join,
		.indirect = indirect,
	}, in = out;
	uint32_t seed = len + cut + offset;
	int status;

	in.type = IN;
	in.data = back + 512 + offset;
	disk_fill(out.data, len, 64, seed);
	memset(back, 0xa5, len + 4096);

	status = disk_do(&disk, 0, &out);
	if (status != OK || out.used_len != 1) {
		tap_diag("write: status %d, used %u", status, out.used_len);
		return false;
	}
	status = disk_do(&disk, 0, &in);
	if (status != OK || in.used_len != len + 1) {
		tap_diag("read: status %d, used %u", status, in.used_len);
		return false;
	}
	return disk_check(in.data, len, 64, seed) &&
	       back[512 + offset - 1] == 0xa5;
}

static void test_cuts(void)
{
	tap_ok(round_trip(4096, 0, 0, 0, false, false), "4 KiB in one piece");
	tap_ok(round_trip(512, 0, 0, 0, false, false), "one sector");
	tap_ok(round_trip(4096, 0, 5, 0, false, false),
	       "a header cut into pieces of 5 bytes");
	tap_ok(round_trip(4096, 512, 1, 0, false, false),
	       "a header cut into bytes, data into sectors");
	tap_ok(round_trip(65536, 4096, 0, 0, false, true),
	       "64 KiB in pages, by an indirect table");
	tap_ok(round_trip(65536, 0, 0, 512, false, false),
	       "64 KiB that begin amid a page");
	tap_ok(round_trip(126 * 4096, 4096, 0, 0, false, true),
	       "as many segments as the configuration allows");
	tap_ok(round_trip(5 << 20, 0, 0, 0, false, false),
	       "5 MiB in one piece, several windows");
	tap_ok(round_trip(5 << 20, 65536, 0, 1024, false, true),
	       "5 MiB in pieces that straddle pages");
	tap_ok(round_trip(8192, 0, 0, 0, true, false),
	       "header and status in the descriptors of the data");
	tap_ok(round_trip(8192, 1000, 0, 0, true, true),
	       "all in one, cut where no sector ends");
	tap_ok(round_trip(4096, 0, 0, 1, false, false), "an odd address");
	tap_ok(round_trip(1 << 20, 0, 0, 3, false, false),
	       "1 MiB at an odd address");
	tap_ok(round_trip(4096, 100, 0, 0, false, true),
	       "sectors cut between segments");
}

static void test_id(void)
{
	struct disk_request req = {
		.type = VIRTIO_BLK_T_GET_ID, .data = back, .len = 20,
	};

	memset(back, 0, 64);
	tap_is(disk_do(&disk, 0, &req), OK, "GET_ID succeeds");
	tap_ok(!memcmp(back, "khx-test-serial-0123", 20),
	       "it tells the serial number");
	tap_is(req.used_len, 21, "and its length");
}

static void test_flush(void)
{
	struct disk_request req = { .type = VIRTIO_BLK_T_FLUSH };

	tap_is(disk_do(&disk, 0, &req), OK, "FLUSH succeeds");
}

static bool is_zero(const uint8_t *p, uint32_t len)
{
	return !*p && !memcmp(p, p + 1, len - 1);
}

/* In sectors, what the disk has of its host; of a device that says nothing, 0. */
static uint64_t blocks(void)
{
	struct stat st;

	if (stat(blocks_of, &st))
		tap_bail("%s", blocks_of);
	return S_ISREG(st.st_mode) ? st.st_blocks : 0;
}

static void test_ranges(void)
{
	bool discard = disk.features & (1ull << VIRTIO_BLK_F_DISCARD);
	uint64_t before, zeroed, discarded;

	disk_fill(data, 65536, 256, 7);
	tap_is(disk_rw(&disk, OUT, 256, data, 65536), OK, "data to be zeroed");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 264, 16, 0), OK,
	       "WRITE_ZEROES succeeds");
	before = blocks();
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 320, 8,
			  VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP), OK,
	       "WRITE_ZEROES that may unmap succeeds");
	zeroed = blocks();
	/* But for what the file system notes instead. */
	tap_ok(!before || zeroed + 6 <= before, "and gives blocks back");
	tap_is(disk_rw(&disk, IN, 256, back, 65536), OK, "read back");
	tap_ok(disk_check(back, 8 * 512, 256, 7) &&
	       is_zero(back + 8 * 512, 16 * 512) &&
	       !memcmp(back + 24 * 512, data + 24 * 512, 40 * 512) &&
	       is_zero(back + 64 * 512, 8 * 512) &&
	       !memcmp(back + 72 * 512, data + 72 * 512, 56 * 512),
	       "exactly these sectors are zero");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_DISCARD, 256, 128, 0),
	       discard ? OK : UNSUPP, "DISCARD as the configuration says");
	discarded = blocks();
	tap_ok(!zeroed || discarded + 116 <= zeroed,
	       "and gives back all that there were");
	if (before)
		tap_diag("blocks: %llu, %llu, %llu", (unsigned long long)before,
			 (unsigned long long)zeroed,
			 (unsigned long long)discarded);
	tap_is(disk_range(&disk, VIRTIO_BLK_T_DISCARD, ~7ull, 16, 0),
	       discard ? IOERR : UNSUPP, "DISCARD of a range that wraps");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_DISCARD, 256, 128, 1), UNSUPP,
	       "DISCARD has no flags");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 256, 8, 2), UNSUPP,
	       "an unknown flag is not supported");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES,
			  disk.config.capacity - 8, 16, 0), IOERR,
	       "zeros beyond the end are refused");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, ~0ull, 16, 0),
	       IOERR, "a range that wraps is refused");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 0, ~0u, 0), IOERR,
	       "a range longer than the configuration says is refused");
}

static void test_bounds(void)
{
	uint64_t end = disk.config.capacity;

	tap_is(disk_rw(&disk, IN, end - 8, back, 4096), OK,
	       "the last sectors can be read");
	tap_is(disk_rw(&disk, IN, end - 7, back, 4096), IOERR,
	       "one sector beyond cannot");
	tap_is(disk_rw(&disk, OUT, end, data, 512), IOERR,
	       "nor can that sector be written");
	tap_is(disk_rw(&disk, IN, ~0ull, back, 512), IOERR,
	       "nor the last one that there can be");
	tap_is(disk_rw(&disk, OUT, 1ull << 55, data, 512), IOERR,
	       "nor one whose offset in bytes wraps");
	tap_is(disk_rw(&disk, IN, 0, back, 511), IOERR,
	       "half sectors are refused");
	tap_is(disk_rw(&disk, 77, 0, back, 512), UNSUPP,
	       "unknown types are not supported");
	tap_is(disk_rw(&disk, 2, 0, back, 512), UNSUPP,
	       "neither are SCSI commands");
}

/* Many at once, in any order, and each its own data. */
static void test_depth(void)
{
	enum { N = 100 };
	static struct disk_request reqs[N];
	unsigned int i, done = 0;
	bool ok = true;

	for (i = 0; i < N; i++) {
		disk_fill(data + i * 4096, 4096, 1024 + i * 8, 3);
		reqs[i] = (struct disk_request) {
			.type = OUT, .sector = 1024 + i * 8,
			.data = data + i * 4096, .len = 4096, .indirect = true,
		};
		ok &= !disk_submit(&disk, 0, &reqs[i]);
	}
	disk_kick(&disk, 0);
	while (done < N) {
		int n = disk_reap(&disk, 0, 20000);

		if (!n)
			break;
		done += n;
	}
	tap_is(done, N, "100 writes at once all complete");
	for (i = 0; i < N; i++)
		ok &= *reqs[i].status == OK;
	tap_ok(ok, "and all succeed");
	ok = disk_rw(&disk, IN, 1024, back, N * 4096) == OK;
	tap_ok(ok && disk_check(back, N * 4096, 1024, 3),
	       "one read finds all of them");
}

static void test_stop(void)
{
	disk_fill(data, 4096, 8, 99);
	disk_halt(&disk);
	tap_is(disk_stop(&disk, 0), 0, "stopping twice is all right");
	disk_run(&disk);
	tap_is(disk_rw(&disk, OUT, 8, data, 4096), OK,
	       "a ring goes on where it was stopped");
}

/* Somebody else looks at the file once the disk is gone. */
static void test_contents(void)
{
	uint8_t *buffer = malloc(4096);
	int fd = open(path, O_RDONLY);

	tap_ok(fd >= 0 && pread(fd, buffer, 4096, 4096) == 4096 &&
	       disk_check(buffer, 4096, 8, 99),
	       "the file has what was written");
	close(fd);
	free(buffer);
}

static void test_readonly(void)
{
	struct disk_options ro = options;

	ro.readonly = true;
	disk_open(&disk, path, &ro);
	data = disk.memory + DISK_DATA;
	back = data + (16 << 20);
	tap_ok(disk.info.features & (1ull << VIRTIO_BLK_F_RO),
	       "a file opened for reading makes a read-only disk");
	tap_is(disk_rw(&disk, OUT, 8, data, 4096), IOERR,
	       "which refuses writes");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 0, 8, 0), IOERR,
	       "and zeros");
	tap_ok(disk_rw(&disk, IN, 8, back, 4096) == OK &&
	       disk_check(back, 4096, 8, 99), "and reads");
	disk_close(&disk);
}

static void test_writethrough(void)
{
	struct disk_options wt = options;

	wt.without = 1ull << VIRTIO_BLK_F_FLUSH |
		     1ull << VIRTIO_BLK_F_CONFIG_WCE;
	disk_open(&disk, path, &wt);
	data = disk.memory + DISK_DATA;
	back = data + (16 << 20);
	tap_ok(round_trip(65536, 4096, 0, 0, false, true),
	       "write-through, for who does not know FLUSH");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 64, 8, 0), OK,
	       "zeros, too");
	disk_close(&disk);
}

/* Linux has as many segments as the configuration says, whatever the ring. */
static void test_short_ring(void)
{
	struct disk_options few = options;

	few.num = 16;
	disk_open(&disk, path, &few);
	data = disk.memory + DISK_DATA;
	back = data + (16 << 20);
	tap_ok(round_trip(126 * 4096, 4096, 0, 0, false, true),
	       "a table with more segments than the ring has descriptors");
	disk_close(&disk);
}

/* From before virtio 1: split rings, in the byte order of the machine. */
static void test_legacy(void)
{
	struct disk_options legacy = options;

	legacy.packed = false;
	legacy.without = 1ull << VIRTIO_F_VERSION_1;
	disk_open(&disk, path, &legacy);
	data = disk.memory + DISK_DATA;
	back = data + (16 << 20);
	tap_ok(round_trip(65536, 4096, 0, 0, false, true), "a legacy driver");
	disk_close(&disk);
}

int main(int argc, char **argv)
{
	int i;

	if (argc < 2)
		tap_bail("usage: requests PATH [direct] [packed]");
	path = argv[1];
	for (i = 2; i < argc; i++) {
		if (!strcmp(argv[i], "direct"))
			options.flags |= KHX_BLK_F_DIRECT;
		else if (!strcmp(argv[i], "packed"))
			options.packed = true;
		else if (!strcmp(argv[i], "on") && i + 1 < argc)
			blocks_of = argv[++i];
	}
	blocks_of = blocks_of ?: path;

	tap_plan(54);
	disk_open(&disk, path, &options);
	data = disk.memory + DISK_DATA;
	back = data + (16 << 20);
	test_cuts();
	test_id();
	test_flush();
	test_ranges();
	test_bounds();
	test_depth();
	test_stop();
	disk_close(&disk);
	test_contents();
	test_readonly();
	test_writethrough();
	test_short_ring();
	test_legacy();
	return tap_exit();
}
