// SPDX-License-Identifier: GPL-2.0
/* khxmem as a file system: names, sizes, holes, reading and writing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define AT(name) KHXMEM_DIR "/" name

static void check_names(void)
{
	int fd = open(AT("a"), O_CREAT | O_EXCL | O_RDWR, 0600);

	tap_ok(fd >= 0, "a file is created");
	tap_ok(open(AT("a"), O_CREAT | O_EXCL | O_RDWR, 0600) < 0 &&
	       errno == EEXIST, "not twice");
	tap_is(mkdir(AT("dir"), 0700), 0, "a directory is made");
	tap_is(rename(AT("a"), AT("dir/b")), 0, "the file is renamed into it");
	tap_ok(rmdir(AT("dir")) && errno == ENOTEMPTY, "which is not empty then");
	tap_is(link(AT("dir/b"), AT("c")), 0, "a second name");
	tap_is(unlink(AT("dir/b")), 0, "the first name goes");
	tap_is(rmdir(AT("dir")), 0, "the directory goes");
	tap_is(pwrite(fd, "x", 1, 0), 1, "the file is still there");
	tap_ok(fsetxattr(fd, "user.x", "1", 1, 0) && errno == EOPNOTSUPP,
	       "it has no extended attributes");
	tap_is(unlink(AT("c")), 0, "the last name goes");
	tap_is(pwrite(fd, "y", 1, 1), 1, "and the open file stays");
	close(fd);
}

static void check_tmpfile(void)
{
	char name[64];
	int fd = open(KHXMEM_DIR, O_TMPFILE | O_RDWR, 0600);

	tap_ok(fd >= 0, "O_TMPFILE");
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	tap_is(linkat(AT_FDCWD, name, AT_FDCWD, AT("named"), AT_SYMLINK_FOLLOW), 0,
	       "is given a name");
	close(fd);
	tap_is(unlink(AT("named")), 0, "and loses it");
}

/* Writes and reads pieces that do not fit pages; compares with a plain copy. */
static void check_read_write(void)
{
	static char copy[64 * 1024], buf[sizeof(copy)];
	void *volatile bad_buffer = (void *)1;
	int fd = khxmem_file(NULL, 0), i;
	bool same = true;

	srand(1);
	for (i = 0; i < 2000; i++) {
		size_t at = rand() % (sizeof(copy) - 9000), len = rand() % 9000;
		size_t j;

		for (j = 0; j < len; j++)
			copy[at + j] = buf[j] = rand();
		same &= pwrite(fd, buf, len, at) == (ssize_t)len;
		at = rand() % (sizeof(copy) - 9000);
		len = pread(fd, buf, 9000, at);
		same &= len <= 9000 && !memcmp(buf, copy + at, len);
	}
	tap_ok(same, "random reads see random writes");
	tap_is(pread(fd, buf, 10, 1 << 30), 0, "nothing is read beyond the end");
	tap_ok(pwrite(fd, bad_buffer, 10, 0) < 0 && errno == EFAULT,
	       "a bad buffer is EFAULT");
	close(fd);
}

/* read(2) and write(2) whose buffer is a mapping of the same page. */
static void check_own_page(void)
{
	int fd = khxmem_file(NULL, 2);
	char *map = khxmem_map(fd, 2);

	memset(map, 'a', PAGE);
	tap_is(pread(fd, map + 100, 1000, 0), 1000, "a page is read into itself");
	tap_is(pwrite(fd, map, PAGE, PAGE / 2), PAGE,
	       "a page is written from itself and its neighbour");
	tap_is(map[PAGE + 5], 'a', "with what it held");
	munmap(map, 2 * PAGE);
	close(fd);
}

static long blocks(int fd)
{
	struct stat st;

	fstat(fd, &st);
	return st.st_blocks * 512 / PAGE;
}

static uint64_t index_value(unsigned long i)
{
	return i + 1;
}

static uint64_t zero_value(unsigned long i)
{
	(void)i;
	return 0;
}

static void check_truncate(void)
{
	int fd = khxmem_file(NULL, 16);
	char *map = khxmem_map(fd, 16);
	unsigned long i;

	for (i = 0; i < 16; i++)
		page_fill(map + i * PAGE, i + 1);
	tap_is(blocks(fd), 16, "du counts what was written");
	tap_is(ftruncate(fd, 4 * PAGE + 8), 0, "shrunk in the middle of a page");
	tap_is(blocks(fd), 5, "the rest is given back");
	tap_is(ftruncate(fd, 16 * PAGE), 0, "grown again");
	tap_is(pages_wrong(map, 4, index_value), 0, "what was left is the same");
	tap_is(((uint64_t *)(map + 4 * PAGE))[1], 0, "the cut page ends in zeros");
	tap_is(pages_wrong(map + 5 * PAGE, 11, zero_value), 0,
	       "what was cut is zeros");
	munmap(map, 16 * PAGE);
	close(fd);
}

static void touch_page(void *page)
{
	*(volatile char *)page = 1;
}

static void check_sigbus(void)
{
	int fd = khxmem_file(NULL, 2);
	char *map = khxmem_map(fd, 2);

	touch_page(map + PAGE);
	ftruncate(fd, PAGE);
	tap_ok(dies_of(7, touch_page, map + PAGE),
	       "SIGBUS beyond the end of a file that was cut");
	tap_ok(!dies_of(7, touch_page, map), "none before it");
	munmap(map, 2 * PAGE);
	close(fd);
}

static void check_fallocate(void)
{
	int fd = khxmem_file(NULL, 8);
	char *map = khxmem_map(fd, 8);
	unsigned long i;
	struct stat st;

	tap_is(fallocate(fd, 0, 0, 8 * PAGE), 0, "pages are allocated");
	tap_is(blocks(fd), 8, "and counted");
	for (i = 0; i < 8; i++)
		page_fill(map + i * PAGE, i + 1);
	tap_is(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 PAGE + 16, 3 * PAGE), 0, "a hole is punched");
	tap_is(blocks(fd), 6, "whole pages are given back");
	tap_ok(page_holds(map, 1) && page_holds(map + 5 * PAGE, 6),
	       "its neighbours are untouched");
	tap_is(*(uint64_t *)(map + PAGE), 2 * 0x9e3779b97f4a7c15ULL,
	       "the first bytes of a cut page stay");
	tap_ok(page_holds(map + 2 * PAGE, 0) && page_holds(map + 3 * PAGE, 0) &&
	       !((uint64_t *)(map + PAGE))[2] && !((uint64_t *)(map + 4 * PAGE))[1],
	       "the hole is zeros");
	tap_is(fallocate(fd, FALLOC_FL_ZERO_RANGE, 7 * PAGE, 2 * PAGE), 0,
	       "ZERO_RANGE beyond the end");
	fstat(fd, &st);
	tap_is(st.st_size, 9 * PAGE, "makes it longer");
	tap_ok(page_holds(map + 7 * PAGE, 0), "and zeroes");
	tap_ok(fallocate(fd, FALLOC_FL_COLLAPSE_RANGE, 0, PAGE) &&
	       errno == EOPNOTSUPP, "COLLAPSE_RANGE is refused");
	tap_is(madvise(map, PAGE, MADV_REMOVE), 0, "MADV_REMOVE");
	tap_ok(page_holds(map, 0), "punches too");
	munmap(map, 8 * PAGE);
	close(fd);
}

static void check_room(void)
{
	struct statfs before, after;
	int fd;

	statfs(KHXMEM_DIR, &before);
	fd = khxmem_file(NULL, 64);
	fallocate(fd, 0, 0, 64 * PAGE);
	statfs(KHXMEM_DIR, &after);
	tap_is(before.f_bfree - after.f_bfree, 64, "df counts what is allocated");
	close(fd);
	statfs(KHXMEM_DIR, &after);
	tap_is(after.f_bfree, before.f_bfree, "and what is given back");
}

int main(void)
{
	khxmem_mount(NULL, NULL);
	tap_plan(12 + 3 + 3 + 3 + 7 + 2 + 13 + 2);
	check_names();
	check_tmpfile();
	check_read_write();
	check_own_page();
	check_truncate();
	check_sigbus();
	check_fallocate();
	check_room();
	khxmem_umount(NULL);
	return tap_exit();
}
