// SPDX-License-Identifier: GPL-2.0
/*
 * Pages that the kernel holds for long, as VFIO and RDMA do: here by an AF_XDP
 * socket (FOLL_WRITE | FOLL_LONGTERM). Kernels from 6.5 on refuse that where
 * pages may merge, older ones do not; on a nomerge mount it always works.
 */
#include <errno.h>
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define PAGES	16UL

/* A socket that pins the pages until it is closed, or -errno. */
static int pin(void *map, unsigned long pages)
{
	struct xdp_umem_reg umem = {
		.addr = (unsigned long)map,
		.len = pages * PAGE,
		.chunk_size = PAGE,
	};
	int fd = socket(AF_XDP, SOCK_RAW, 0);

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &umem, sizeof(umem)))
		return fd;
	close(fd);
	return -errno;
}

/* The kernel frees what a closed socket held a moment later. */
static void unpin(int fd)
{
	close(fd);
	usleep(200000);
}

static void fill_equal(char *map)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, 3);
}

static bool all_equal(const char *map)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		if (!page_holds(map + i * PAGE, 3))
			return false;
	return true;
}

/* The first half is pinned by @fd, and was never merged: nothing else holds it up. */
static void check_pinned(char *map, int fd)
{
	scan_fast();
	figure_must_reach("pages_sharing", PAGES / 2 - 1, 20);
	scan_passes(5);
	tap_is(figure("pages_sharing"), PAGES / 2 - 1,
	       "pinned pages do not merge");
	unpin(fd);
	tap_ok(figure_reaches("pages_sharing", PAGES - 1, 60),
	       "they do when they are let go");
	scan_stop();
	fd = pin(map, PAGES / 2);
	tap_is(figure("pages_sharing"), PAGES / 2 - 1,
	       "a pin for writing breaks the sharing of what is pinned");
	unpin(fd);
	tap_ok(all_equal(map), "and changes nothing");
}

static void check_merging_mount(void)
{
	char *map;
	int file, fd;

	khxmem_mount(NULL, NULL);
	file = khxmem_file(NULL, PAGES);
	map = khxmem_map(file, PAGES);
	fill_equal(map);
	fd = pin(map, PAGES / 2);
	if (fd == -EAFNOSUPPORT)
		tap_skip_all("no CONFIG_XDP_SOCKETS");
	if (fd >= 0) {
		check_pinned(map, fd);
	} else {
		tap_is(fd, -EFAULT, "a long-term pin is refused");
		tap_ok(all_equal(map), "and changes nothing");
		tap_skip("refused", "they do when they are let go");
		tap_skip("refused", "and read as before");
	}
	munmap(map, PAGES * PAGE);
	close(file);
	khxmem_umount(NULL);
}

static void check_nomerge_mount(void)
{
	int file, fd;
	char *map;

	khxmem_mount(NULL, "nomerge");
	file = khxmem_file(NULL, PAGES);
	map = khxmem_map(file, PAGES);
	tap_is(*(volatile char *)map, 0, "a nomerge file is read");
	fd = pin(map, PAGES);
	tap_ok(fd >= 0, "and pinned, read pages and holes");
	fill_equal(map);
	scan_fast();
	scan_passes(4);
	scan_stop();
	tap_is(figure("pages_sharing"), 0, "equal pages there do not merge");
	unpin(fd);
	tap_ok(all_equal(map), "what was written is there");
	munmap(map, PAGES * PAGE);
	close(file);
	khxmem_umount(NULL);
}

/* 6.1 takes no file but hugetlbfs and tmpfs; newer ones as for any long pin. */
static void check_io_uring(void)
{
	struct io_uring_params params = {};
	int file, ring, ret;
	struct iovec iov;

	khxmem_mount(NULL, NULL);
	file = khxmem_file(NULL, PAGES);
	iov.iov_base = khxmem_map(file, PAGES);
	iov.iov_len = PAGES * PAGE;
	ring = syscall(SYS_io_uring_setup, 4, &params);
	if (ring < 0) {
		tap_skip("no io_uring", "io_uring takes no buffers in khxmem");
	} else {
		ret = syscall(SYS_io_uring_register, ring,
			      IORING_REGISTER_BUFFERS, &iov, 1);
		tap_ok(ret < 0 && (errno == EOPNOTSUPP || errno == EFAULT),
		       "io_uring takes no buffers in khxmem");
		close(ring);
	}
	munmap(iov.iov_base, PAGES * PAGE);
	close(file);
	khxmem_umount(NULL);
}

int main(void)
{
	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(4 + 4 + 1);
	check_merging_mount();
	check_nomerge_mount();
	check_io_uring();
	return tap_exit();
}
