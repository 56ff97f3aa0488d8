// SPDX-License-Identifier: GPL-2.0
/*
 * What processes do with mapped memory, done to merged pages: each is an
 * operation that could see, keep or change the wrong page. Here are
 *
 *	MAP_PRIVATE, fork, mremap, mprotect, soft-dirty, MADV_DONTNEED,
 *	MADV_POPULATE_*, mlock, mlockall, process_vm_writev, /proc/PID/mem,
 *	vmsplice, O_DIRECT into a page, futex, mincore, userfaultfd, core dumps,
 *	RSS, compaction
 *
 * and elsewhere
 *
 *	file_operations	ftruncate, punching holes, MADV_REMOVE, read(2), SIGBUS
 *	pins		long-term pins for writing, nomerge, io_uring's buffers
 *	gup		a driver's references, its long-term pins for reading
 *	numa		mbind, a copy for each node
 *	memory_error	MADV_HWPOISON
 *	limits		memory cgroups, also by faults that another task has for one,
 *			as KVM's asynchronous ones are; size=, as nothing else
 *			limits shared memory
 *	merging		PSS, frames
 *	huge		2 MiB mappings
 *	guest_merge.sh	KVM, prealloc, host-nodes, balloon, free page reporting
 *	guest_move.sh	migration, save and restore, dump-guest-memory
 *	disk.sh, packets.sh
 *			vhost: khx_blk's and khx_net's access to guest memory
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>
#include <linux/futex.h>
#include <linux/loop.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define PAGES	64UL

static int fd;
static char *map;

static uint64_t same_value(unsigned long i)
{
	(void)i;
	return 42;
}

/* All pages of file @file equal and merged into one copy; the scanner stands still. */
static void merged_in(int file)
{
	unsigned long i;

	setting("run", 2);
	munmap(map, PAGES * PAGE);
	close(fd);
	fd = file;
	map = khxmem_map(fd, PAGES);
	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, 42);
	scan_fast();
	if (!figure_reaches("pages_sharing", PAGES - 1, 20))
		tap_bail("pages do not merge");
	scan_stop();
}

static void merged_again(void)
{
	merged_in(khxmem_file(NULL, PAGES));
}

static bool others_untouched(unsigned long index)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		if (i != index && !page_holds(map + i * PAGE, 42))
			return false;
	return true;
}

static void check_private_mapping(void)
{
	char *copy = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE, fd, 0);

	page_fill(copy + 3 * PAGE, 7);
	tap_ok(page_holds(copy + 3 * PAGE, 7) && page_holds(map + 3 * PAGE, 42),
	       "a private mapping keeps its writes to itself");
	page_fill(map + 4 * PAGE, 8);
	tap_ok(page_holds(copy + 4 * PAGE, 8), "and sees the file's elsewhere");
	scan_fast();
	scan_passes(4);
	scan_stop();
	tap_ok(page_holds(copy + 3 * PAGE, 7), "its pages survive merging");
	munmap(copy, PAGES * PAGE);
}

static void check_fork(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (pages_wrong(map, PAGES, same_value))
			_exit(1);
		page_fill(map + 5 * PAGE, 9);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	tap_is(status, 0, "a child reads merged pages");
	tap_ok(page_holds(map + 5 * PAGE, 9) && others_untouched(5),
	       "and its write is the parent's");
}

static void check_mremap(void)
{
	char *moved = mremap(map, PAGES * PAGE, PAGES * PAGE,
			     MREMAP_MAYMOVE | MREMAP_FIXED,
			     (void *)0x600000000000UL);

	tap_ok(moved != MAP_FAILED && !pages_wrong(moved, PAGES, same_value),
	       "a moved mapping reads the same");
	map = moved;
	page_fill(map, 10);
	tap_ok(page_holds(map, 10) && others_untouched(0), "and can be written");
	tap_ok(mremap(map, PAGES * PAGE, 2 * PAGES * PAGE, MREMAP_MAYMOVE) ==
	       MAP_FAILED && errno == EFAULT, "but cannot grow");
}

static void check_protection(void)
{
	tap_is(mprotect(map, PAGES * PAGE, PROT_READ), 0, "made read-only");
	tap_is(pages_wrong(map, PAGES, same_value), 0, "read");
	tap_is(mprotect(map, PAGES * PAGE, PROT_READ | PROT_WRITE), 0,
	       "made writable");
	page_fill(map + 6 * PAGE, 11);
	tap_ok(page_holds(map + 6 * PAGE, 11) && others_untouched(6),
	       "a write then goes to one page");
}

static void check_clear_refs(void)
{
	int refs = open("/proc/self/clear_refs", O_WRONLY);

	tap_is(write(refs, "4", 1), 1, "soft-dirty bits are cleared");
	close(refs);
	page_fill(map + 7 * PAGE, 12);
	tap_ok(page_holds(map + 7 * PAGE, 12) && others_untouched(7),
	       "a write then goes to one page");
}

static void check_dontneed(void)
{
	page_fill(map + 8 * PAGE, 13);
	tap_is(madvise(map, PAGES * PAGE, MADV_DONTNEED), 0, "MADV_DONTNEED");
	tap_ok(page_holds(map + 8 * PAGE, 13) && others_untouched(8),
	       "loses nothing");
}

static void check_populate(void)
{
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif
	tap_is(madvise(map, PAGES * PAGE, MADV_POPULATE_READ), 0,
	       "MADV_POPULATE_READ");
	tap_is(figure("pages_sharing"), PAGES - 1, "breaks nothing");
	tap_is(madvise(map, PAGES * PAGE, MADV_POPULATE_WRITE), 0,
	       "MADV_POPULATE_WRITE");
	tap_is(figure("pages_sharing"), 0, "breaks all");
	tap_is(pages_wrong(map, PAGES, same_value), 0, "and changes nothing");
}

static void check_mlock(void)
{
	tap_is(mlock(map, PAGES * PAGE), 0, "mlock");
	tap_is(mlockall(MCL_CURRENT), 0, "mlockall");
	page_fill(map, 42);
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", PAGES - 1, 30),
	       "locked pages merge");
	scan_stop();
	munlockall();
}

static void check_other_process_writes(void)
{
	static char text[] = "written";
	struct iovec local = { text, sizeof(text) };
	struct iovec remote = { map + 9 * PAGE, sizeof(text) };
	ssize_t len;
	int mem;

	len = process_vm_writev(getpid(), &local, 1, &remote, 1, 0);
	if (len < 0 && errno == ENOSYS) {
		tap_skip("no CONFIG_CROSS_MEMORY_ATTACH",
			 "process_vm_writev to a merged page");
		tap_skip("no CONFIG_CROSS_MEMORY_ATTACH",
			 "writes that page only");
	} else {
		tap_is(len, sizeof(text), "process_vm_writev to a merged page");
		tap_ok(!memcmp(map + 9 * PAGE, text, sizeof(text)) &&
		       others_untouched(9), "writes that page only");
	}
	page_fill(map + 9 * PAGE, 42);
	mem = open("/proc/self/mem", O_RDWR);
	tap_is(pwrite(mem, text, sizeof(text), (off_t)(unsigned long)map + PAGE), sizeof(text),
	       "/proc/PID/mem to a merged page");
	tap_ok(!memcmp(map + PAGE, text, sizeof(text)) && others_untouched(1),
	       "writes that page only");
	close(mem);
}

static void check_read_only_mem(void)
{
	char *ro = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	int mem = open("/proc/self/mem", O_RDWR);

	tap_ok(pwrite(mem, "x", 1, (off_t)(unsigned long)ro) < 0,
	       "a read-only shared mapping cannot be written by force");
	tap_is(pages_wrong(map, PAGES, same_value), 0, "and was not");
	close(mem);
	munmap(ro, PAGE);
}

static void check_vmsplice(void)
{
	struct iovec iov = { map + 10 * PAGE, PAGE };
	char got[PAGE];
	int pipes[2];

	page_fill(map + 10 * PAGE, 14);
	pipe(pipes);
	tap_is(vmsplice(pipes[1], &iov, 1, 0), PAGE, "vmsplice of a private page");
	page_fill(map + 10 * PAGE, 42);
	scan_fast();
	scan_passes(5);
	scan_stop();
	page_fill(map + 10 * PAGE, 15);
	tap_is(read(pipes[0], got, PAGE), PAGE, "read later");
	tap_ok(page_holds(got, 15), "shows what was written meanwhile");
	close(pipes[0]);
	close(pipes[1]);
}

/* A block device, which takes pages as they are, of what is in @file. */
static int direct_device(int file)
{
	struct loop_config config = {
		.fd = file,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR,
	};
	int control, number, loop, direct;
	char path[32];

	system("modprobe -q loop");
	control = open("/dev/loop-control", O_RDWR);
	number = ioctl(control, LOOP_CTL_GET_FREE);
	close(control);
	snprintf(path, sizeof(path), "/dev/loop%d", number);
	loop = open(path, O_RDWR);
	if (loop < 0 || ioctl(loop, LOOP_CONFIGURE, &config))
		tap_bail("%s: %s", path, strerror(errno));
	direct = open(path, O_RDWR | O_DIRECT);
	if (direct < 0)
		tap_bail("%s: no direct I/O: %s", path, strerror(errno));
	close(loop);
	return direct;
}

static void check_direct_io(void)
{
	int file = memfd_create("khxmem-direct", 0), direct;
	char page[PAGE];

	page_fill(page, 16);
	pwrite(file, page, PAGE, 0);
	ftruncate(file, PAGES * PAGE);
	direct = direct_device(file);
	tap_is(pread(direct, map + 11 * PAGE, PAGE, 0), PAGE,
	       "a disk is read into a merged page");
	tap_ok(page_holds(map + 11 * PAGE, 16) && others_untouched(11),
	       "and into that page only");
	tap_is(pwrite(direct, map + 12 * PAGE, PAGE, PAGE), PAGE,
	       "a merged page is written to a disk");
	tap_ok(pread(file, page, PAGE, PAGE) == (ssize_t)PAGE && page_holds(page, 42),
	       "as it is");
	tap_is(figure("pages_sharing"), PAGES - 2, "which breaks nothing");
	close(direct);
	close(file);
}

static void check_futex(void)
{
	long ret = syscall(SYS_futex, map, FUTEX_WAKE, 1, NULL, NULL, 0);

	tap_ok(ret < 0 && errno == EFAULT, "a shared futex is EFAULT");
}

static void check_mincore(void)
{
	unsigned char present[PAGES];

	pages_wrong(map, PAGES, same_value);
	tap_ok(!mincore(map, PAGES * PAGE, present) && present[0] & 1,
	       "mincore sees mapped pages");
}

static const struct {
	const char *name;
	uint64_t mode;
} uffd_modes[] = {
	{ "missing pages", UFFDIO_REGISTER_MODE_MISSING },
	{ "write protection", UFFDIO_REGISTER_MODE_WP },
	{ "minor faults", UFFDIO_REGISTER_MODE_MINOR },
};

#define UFFD_MODES	(sizeof(uffd_modes) / sizeof(*uffd_modes))

static void check_userfaultfd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	bool is_there = uffd >= 0 && !ioctl(uffd, UFFDIO_API, &api);
	unsigned int i;

	for (i = 0; i < UFFD_MODES; i++) {
		struct uffdio_register reg = {
			.range = { (unsigned long)map, PAGES * PAGE },
			.mode = uffd_modes[i].mode,
		};

		if (is_there)
			tap_ok(ioctl(uffd, UFFDIO_REGISTER, &reg) && errno == EINVAL,
			       "userfaultfd refuses %s", uffd_modes[i].name);
		else
			tap_skip("no userfaultfd", "userfaultfd refuses %s",
				 uffd_modes[i].name);
	}
	close(uffd);
}

#define CORE	"/tmp/khxmem-core."
#define NAMED	KHXMEM_DIR "/named"

static void dump_core(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };

	setrlimit(RLIMIT_CORE, &unlimited);
	abort();
}

/* How many pages of the core that a process with this filter leaves are ours. */
static unsigned long dumped(const char *filter)
{
	unsigned long pages = 0;
	char page[PAGE], path[64];
	int status, core;
	pid_t pid;

	write_text("/proc/self/coredump_filter", filter);
	pid = fork();
	if (!pid)
		dump_core();
	waitpid(pid, &status, 0);
	snprintf(path, sizeof(path), CORE "%d", pid);
	core = open(path, O_RDONLY);
	if (core < 0 || !WIFSIGNALED(status) || !WCOREDUMP(status))
		tap_bail("no core dump");
	while (read(core, page, PAGE) == (ssize_t)PAGE)
		pages += page_holds(page, 42);
	close(core);
	unlink(path);
	return pages;
}

/* Bit 1 of the filter is anonymous shared memory, as which unlinked files count. */
static void check_core_dump(void)
{
	static const char *const pattern = "/proc/sys/kernel/core_pattern";
	char before[256] = "core";
	int file = open(pattern, O_RDONLY);
	int named = open(NAMED, O_CREAT | O_RDWR, 0600);

	ftruncate(named, PAGES * PAGE);
	read(file, before, sizeof(before) - 1);
	close(file);
	write_text(pattern, CORE "%p");
	tap_is(dumped("0x2"), PAGES, "an unlinked file is in a core dump by bit 1");
	tap_is(dumped("0x8"), 0, "only");
	merged_in(named);
	tap_is(dumped("0x8"), PAGES, "one with a name by bit 3");
	tap_is(dumped("0x2"), 0, "only");
	tap_is(figure("pages_sharing"), PAGES - 1, "nothing is broken for it");
	unlink(NAMED);
	write_text("/proc/self/coredump_filter", "0x33");
	write_text(pattern, before);
}

/* Resident pages of this process, by its page tables. */
static long rss(void)
{
	return smaps_kib("Rss") * 1024 / (long)PAGE;
}

static void check_rss(void)
{
	long before;

	madvise(map, PAGES * PAGE, MADV_DONTNEED);
	before = rss();
	pages_wrong(map, PAGES, same_value);
	tap_ok(labs(rss() - before - (long)PAGES) < 8,
	       "RSS counts merged pages in full");
	madvise(map, PAGES * PAGE, MADV_DONTNEED);
	tap_ok(labs(rss() - before) < 8, "and no longer when they are unmapped");
}

/* Where the kernel puts only what can be moved: the first node's that has any. */
static struct {
	int node;
	uint64_t start, end;	/* frames */
} zone;

static bool find_zone(void)
{
	FILE *file = fopen("/proc/zoneinfo", "r");
	unsigned long spanned = 0, start;
	char line[256], name[32] = "";
	bool found = false;
	int node = 0;

	while (file && !found && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Node %d, zone %31s", &node, name) == 2 ||
		    sscanf(line, " spanned %lu", &spanned) == 1 ||
		    sscanf(line, " start_pfn: %lu", &start) != 1)
			continue;
		found = !strcmp(name, "Movable");
		zone.node = node;
		zone.start = start;
		zone.end = start + spanned;
	}
	if (file)
		fclose(file);
	return found;
}

static unsigned long in_zone(const char *from)
{
	unsigned long i, n = 0;

	for (i = 0; i < PAGES; i++) {
		uint64_t frame = frame_of(from + i * PAGE);

		n += frame >= zone.start && frame < zone.end;
	}
	return n;
}

/* What may be moved goes there while there is room: else all is in vain. */
static bool zone_has_room(void)
{
	unsigned long n;
	char *moved;

	write_text("/proc/sys/vm/drop_caches", "3");
	moved = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	n = in_zone(moved);
	munmap(moved, PAGES * PAGE);
	return n == PAGES;
}

/* Pages of @map, merged and then their own. */
static unsigned long ours_in_zone(void)
{
	unsigned long i, n;

	merged_again();
	n = in_zone(map);
	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, 1 + i);
	return n + in_zone(map);
}

static void check_zone(void)
{
	static const char *const name = "no page lies where all must be movable";
	unsigned long mask;

	if (!find_zone()) {
		tap_skip("no ZONE_MOVABLE", name);
		return;
	}
	mask = 1UL << zone.node;
	syscall(SYS_set_mempolicy, MPOL_BIND, &mask, 8 * sizeof(mask));
	if (zone_has_room())
		tap_is(ours_in_zone(), 0, name);
	else
		tap_skip("no room in ZONE_MOVABLE", name);
	syscall(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0);
}

static void check_compaction(void)
{
	int compact = open("/proc/sys/vm/compact_memory", O_WRONLY);

	if (compact < 0 || write(compact, "1", 1) != 1)
		tap_skip("no CONFIG_COMPACTION", "compaction changes nothing");
	else
		tap_is(pages_wrong(map, PAGES, same_value), 0,
		       "compaction changes nothing");
	close(compact);
	check_zone();
}

static void check_remove_while_merged(void)
{
	tap_is(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 12 * PAGE, PAGE), 0, "a hole in merged pages");
	tap_ok(page_holds(map + 12 * PAGE, 0) && others_untouched(12),
	       "takes one of them");
	tap_is(figure("pages_sharing"), PAGES - 2, "which is counted");
}

static void check_nomerge(void)
{
	char *pinned;
	int other;

	khxmem_mount("-n", "nomerge");
	other = khxmem_file("-n", 2);
	pinned = khxmem_map(other, 2);
	tap_is(*(volatile char *)pinned, 0, "a nomerge file reads as zeros");
	page_fill(pinned + PAGE, 0);
	scan_fast();
	scan_passes(4);
	scan_stop();
	tap_is(figure("zero_pages"), 0, "and its pages are left alone");
	page_fill(pinned, 17);
	tap_ok(page_holds(pinned, 17), "and can be written");
	munmap(pinned, 2 * PAGE);
	close(other);
	khxmem_umount("-n");
}

static void (*const checks[])(void) = {
	check_private_mapping, check_fork, check_mremap, check_protection,
	check_clear_refs, check_dontneed, check_populate, check_mlock,
	check_other_process_writes, check_read_only_mem, check_vmsplice,
	check_direct_io, check_futex, check_mincore, check_userfaultfd,
	check_core_dump, check_rss, check_compaction, check_remove_while_merged,
	check_nomerge,
};

int main(void)
{
	unsigned int i;

	khxmem_mount(NULL, NULL);
	tap_plan(3 + 2 + 3 + 4 + 2 + 2 + 5 + 3 + 4 + 2 + 3 + 5 + 1 + 1 + UFFD_MODES +
		 5 + 2 + 2 + 3 + 3);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	for (i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		merged_again();
		checks[i]();
	}
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
	return tap_exit();
}
