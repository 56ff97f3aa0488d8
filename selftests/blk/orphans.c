// SPDX-License-Identifier: GPL-2.0
/*
 * orphans FILE SUSPEND RESUME FAIL: an owner is killed while requests of his wait for
 * the storage, which the first two commands hold up and let go. The threads that wait
 * for him are killed with him; what they had begun, and what they had not yet,
 * is done all the same. With the third command, the storage is let go and has lost
 * what was written where the first write goes.
 */
#include <fcntl.h>
#include <glob.h>
#include <linux/userfaultfd.h>
#include <linux/vhost.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define READS	20	/* more than a disk has threads */
#define WRITES	8
#define FLUSH	(READS + WRITES)
#define ALL	(FLUSH + 1)
#define READ	(2u << 20)	/* in more than one window */
#define BLOCK	4096
#define APART	(4u << 20)	/* beyond what is read ahead */

/* A dirty log of a byte for 8 pages; all that it says of the memory is in one page. */
#define LOG_PAGE	(DISK_GPA / BLOCK / 8)
#define LOG_BYTES	(LOG_PAGE + BLOCK)

/* Memory that a request has to wait for. */
enum awaited { STATUS, AVAIL, USED, LOG, RING_LOG, ID };

/* Of the owner, to be looked at when he is dead. */
static struct owner {
	struct disk disk;
	struct disk_request requests[ALL];
	enum awaited awaited;
	bool packed;
	bool has_threads;	/* workers are threads of his */
	pid_t worker;
	int uffd;
} *owner;

static uint8_t *dirty_log;	/* his, too */
static uint8_t *memory;		/* his guest's */
static const char *resume;

static void run(const char *command)
{
	if (system(command))
		tap_bail("%s", command);
}

static void let_go(void)
{
	if (resume && system(resume))
		tap_diag("%s", resume);
}

/*
 * How long until a worker whose owner is killed is. A kernel thread that stands in for
 * one of a process, as on kernels before 6.4, looks whether that is dying once a second,
 * and is killed the next time.
 */
static unsigned int kill_seconds(void)
{
	return owner->has_threads ? 1 : 4;
}

static uint64_t sector_of(unsigned int i)
{
	return i * (APART / 512);
}

static uint32_t len_of(unsigned int i)
{
	return i < READS ? READ : i < FLUSH ? BLOCK : 0;
}

/* In the guest's memory. */
static size_t data_of(unsigned int i)
{
	return DISK_DATA + (i < READS ? i * READ :
			    READS * READ + (i - READS) * BLOCK);
}

/* Nothing of the file is in the page cache. */
static void drop_cache(int fd)
{
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
		tap_bail("the file cannot be written");
}

static int make_file(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	uint8_t *block = malloc(READ);
	unsigned int i;

	for (i = 0; i < ALL; i++) {
		disk_fill(block, len_of(i), sector_of(i), 1);
		if (pwrite(fd, block, len_of(i), i * APART) != len_of(i))
			tap_bail("%s", path);
	}
	if (ftruncate(fd, ALL * APART))
		tap_bail("%s", path);
	drop_cache(fd);
	free(block);
	return fd;
}

static void submit(unsigned int i)
{
	struct disk_request *req = &owner->requests[i];
	struct disk *disk = &owner->disk;

	*req = (struct disk_request){
		.type = i < READS ? VIRTIO_BLK_T_IN :
			i < FLUSH ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_FLUSH,
		.sector = i < FLUSH ? sector_of(i) : 0,
		.data = disk->memory + data_of(i),
		.len = len_of(i),
	};
	if (i >= READS)
		disk_fill(req->data, req->len, req->sector, 2);
	if (disk_submit(disk, 0, req))
		exit(1);
	disk_kick(disk, 0);
}

static void await(int socket)
{
	char byte;

	if (read(socket, &byte, 1) != 1)
		exit(1);
}

static void tell(int socket)
{
	if (write(socket, "", 1) != 1)
		tap_bail("nobody listens");
}

static void own_nothing(const char *path, int socket)
{
	char name[64];

	disk_open(&owner->disk, path, &(struct disk_options){});
	snprintf(name, sizeof(name), "/proc/self/task/%d",
		 disk_worker(&owner->disk));
	owner->has_threads = !access(name, F_OK);
	tell(socket);
	exit(0);
}

/* One read, one write, all the rest, each when he is told to; until killed. */
static void own(const char *path, int socket)
{
	unsigned int i;

	disk_open(&owner->disk, path, &(struct disk_options){ .num = 256 });
	tell(socket);
	await(socket);
	submit(0);
	await(socket);
	submit(READS);
	await(socket);
	for (i = 1; i < ALL; i++)
		if (i != READS)
			submit(i);
	pause();
}

static void log_some(const struct disk *disk)
{
	const struct vring_layout *at = &disk->queues[0].ring.at;
	uint64_t features = disk->features | 1ull << VHOST_F_LOG_ALL;
	uint64_t base = (uintptr_t)dirty_log;
	struct vhost_vring_addr addr = {
		.flags = 1 << VHOST_VRING_F_LOG,
		.desc_user_addr = (uintptr_t)at->desc,
		.avail_user_addr = (uintptr_t)at->avail,
		.used_user_addr = (uintptr_t)at->used,
		.log_guest_addr = disk_gpa(disk, at->used),
	};

	if (ioctl(disk->fd, VHOST_SET_LOG_BASE, &base) ||
	    (owner->awaited == LOG ?
	     ioctl(disk->fd, VHOST_SET_FEATURES, &features) :
	     ioctl(disk->fd, VHOST_SET_VRING_ADDR, &addr)))
		exit(1);
}

/* From now on, whoever needs that page waits for who has our userfaultfd. */
static void withhold(const volatile void *p)
{
	struct uffdio_api api = {
		.api = UFFD_API, .features = UFFD_FEATURE_MINOR_SHMEM,
	};
	struct uffdio_register reg = {
		.range.start = (uintptr_t)p & -BLOCK,
		.range.len = BLOCK,
		.mode = UFFDIO_REGISTER_MODE_MINOR,
	};

	/* It must be there to be withheld. */
	(void)*(const volatile uint8_t *)p;
	owner->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (ioctl(owner->uffd, UFFDIO_API, &api) ||
	    ioctl(owner->uffd, UFFDIO_REGISTER, &reg) ||
	    madvise((void *)(uintptr_t)reg.range.start, BLOCK, MADV_DONTNEED))
		exit(1);
}

static const volatile void *awaited_page(void)
{
	const struct vring_layout *at = &owner->disk.queues[0].ring.at;

	switch (owner->awaited) {
	case STATUS:
		return owner->requests[0].status;
	case AVAIL:
		return owner->packed ? at->desc : at->avail;
	case USED:
		return owner->packed ? at->desc : at->used;
	case ID:
		return owner->disk.memory + data_of(0);
	default:
		return dirty_log + LOG_PAGE;
	}
}

/* The disk's serial, for which no storage is asked. */
static void submit_id(void)
{
	struct disk_request *req = &owner->requests[0];

	*req = (struct disk_request){
		.type = VIRTIO_BLK_T_GET_ID,
		.data = owner->disk.memory + data_of(0),
		.len = VIRTIO_BLK_ID_BYTES,
	};
	if (disk_submit(&owner->disk, 0, req))
		exit(1);
}

/* It sleeps, and so does not look at the ring before it is told to. */
static void await_idle_worker(void)
{
	char name[64], state = 0;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/stat", owner->worker);
	while (state != 'S' && state != 'I') {
		file = fopen(name, "r");
		if (!file || fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
			exit(1);
		fclose(file);
	}
}

/* One request, which goes on until it needs that memory; until killed. */
static void own_awaiting(const char *path, int socket)
{
	struct disk_queue *queue = &owner->disk.queues[0];

	disk_open(&owner->disk, path,
		  &(struct disk_options){ .packed = owner->packed });
	owner->worker = disk_worker(&owner->disk);
	if (owner->awaited == LOG || owner->awaited == RING_LOG)
		log_some(&owner->disk);
	if (owner->awaited == ID) {
		withhold(awaited_page());
		submit_id();
		disk_kick(&owner->disk, 0);
	} else if (owner->awaited == AVAIL) {
		submit_id();
		await_idle_worker();
		vring_publish(&queue->ring);
		withhold(awaited_page());
		eventfd_write(queue->kick, 1);
	} else {
		submit(0);
		while (!disk_in_flight(&owner->disk))
			usleep(1000);
		await_idle_worker();
		/* What was written of the ring as it was fetched. */
		memset(dirty_log, 0, LOG_BYTES);
		withhold(awaited_page());
	}
	tell(socket);
	pause();
}

/* A write, which the page cache has, and when he is told to a FLUSH; until killed. */
static void own_flush(const char *path, int socket)
{
	disk_open(&owner->disk, path, &(struct disk_options){});
	submit(READS);
	if (!disk_reap(&owner->disk, 0, 20000))
		exit(1);
	tell(socket);
	await(socket);
	submit(FLUSH);
	pause();
}

/* 0xff: not yet, or not even submitted. */
static uint8_t status_of(unsigned int i)
{
	volatile uint8_t *status = owner->requests[i].status;

	return status ? memory[status - owner->disk.memory] : 0xff;
}

static unsigned int count(unsigned int from, unsigned int to, uint8_t status)
{
	unsigned int n = 0;

	for (; from < to; from++)
		n += status_of(from) == status;
	return n;
}

static void map_memory(pid_t pid)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, owner->disk.memfd);
	fd = open(name, O_RDWR);
	memory = mmap(NULL, DISK_MEMORY, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		tap_bail("%s", name);
	close(fd);
}

static bool reads_are_right(void)
{
	unsigned int i;

	for (i = 0; i < READS; i++)
		if (!disk_check(memory + data_of(i), READ, sector_of(i), 1))
			return false;
	return true;
}

static bool writes_are_right(int fd)
{
	uint8_t block[BLOCK];
	unsigned int i;

	for (i = READS; i < FLUSH; i++)
		if (pread(fd, block, BLOCK, i * APART) != BLOCK ||
		    !disk_check(block, BLOCK, sector_of(i), 2))
			return false;
	return true;
}

static bool is_done(unsigned int i)
{
	unsigned int ms;

	for (ms = 0; ms < 10000 && status_of(i) != VIRTIO_BLK_S_OK; ms += 100)
		usleep(100000);
	return status_of(i) == VIRTIO_BLK_S_OK;
}

static pid_t start_owner(void (*own)(const char *path, int socket),
			 const char *path, int sockets[2])
{
	pid_t pid;
	char byte;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, sockets))
		tap_bail("no socket");
	pid = fork();
	if (!pid)
		own(path, sockets[1]);
	close(sockets[1]);
	if (read(sockets[0], &byte, 1) != 1)
		tap_bail("no owner");
	return pid;
}

static void hold_storage(char **argv)
{
	run(argv[2]);
	resume = argv[3];
}

static void release_storage(void)
{
	const char *command = resume;

	resume = NULL;
	run(command);
}

static bool has_ended(pid_t pid)
{
	unsigned int i;
	pid_t ret;

	for (i = 0; !(ret = waitpid(pid, NULL, WNOHANG)) && i < 300; i++)
		usleep(100000);
	return ret == pid;
}

static void test_storage(char **argv, int fd)
{
	int sockets[2];
	pid_t pid;

	pid = start_owner(own, argv[1], sockets);
	map_memory(pid);
	hold_storage(argv);

	tell(sockets[0]);
	sleep(1);
	tell(sockets[0]);
	tap_ok(is_done(READS),
	       "a read waits for the storage, a write that need not does not");
	tell(sockets[0]);
	sleep(1);
	tap_is(count(0, READS, 0xff), READS, "more reads wait");
	kill(pid, SIGKILL);
	sleep(kill_seconds());
	tap_is(waitpid(pid, NULL, WNOHANG), 0,
	       "so does their owner's end, and");
	tap_is(count(0, ALL, VIRTIO_BLK_S_IOERR), 0, "none of them fails");
	release_storage();
	tap_ok(has_ended(pid), "until the storage answers");
	tap_is(count(0, ALL, VIRTIO_BLK_S_OK), ALL, "all are well then");
	tap_ok(reads_are_right(), "what was read is right");
	tap_ok(writes_are_right(fd), "what was written is there");
	close(sockets[0]);
}

static bool says(const char *process, const char *file, const char *word)
{
	char path[64], text[4096];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", process, file);
	fd = open(path, O_RDONLY);
	len = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[len > 0 ? len : 0] = 0;
	return strstr(text, word);
}

/* Kernel workers in our code, that work for a workqueue which is not ours. */
static unsigned int count_borrowed(void)
{
	unsigned int n = 0;
	glob_t glob_of;
	size_t i;

	if (glob("/proc/[0-9]*", GLOB_NOSORT, NULL, &glob_of))
		tap_bail("no /proc");
	for (i = 0; i < glob_of.gl_pathc; i++)
		n += says(glob_of.gl_pathv[i], "comm", "kworker/") &&
		     !says(glob_of.gl_pathv[i], "comm", "khx") &&
		     says(glob_of.gl_pathv[i], "stack", "khx_blk_");
	globfree(&glob_of);
	return n;
}

/*
 * An owner who waits for the storage, and then for that; his userfaultfd, and that by
 * which he is told of an error of his queue.
 */
static pid_t start_awaiting_owner(char **argv, int fd, enum awaited awaited,
				  bool packed, int *uffd, int *error)
{
	int sockets[2], pidfd;
	pid_t pid;

	drop_cache(fd);
	hold_storage(argv);
	owner->awaited = awaited;
	owner->packed = packed;
	pid = start_owner(own_awaiting, argv[1], sockets);
	pidfd = syscall(SYS_pidfd_open, pid, 0);
	*uffd = syscall(SYS_pidfd_getfd, pidfd, owner->uffd, 0);
	*error = syscall(SYS_pidfd_getfd, pidfd, owner->disk.queues[0].error,
			 0);
	close(pidfd);
	close(sockets[0]);
	return pid;
}

/* Since that was asked last. */
static bool is_told_of_error(int error)
{
	eventfd_t errors;

	return !eventfd_read(error, &errors);
}

static bool is_asked(int uffd)
{
	struct pollfd pollfd = { .fd = uffd, .events = POLLIN };

	return poll(&pollfd, 1, 10000) == 1 && pollfd.revents == POLLIN;
}

/* The storage answers, but not the memory for the status. */
static void test_memory(char **argv, int fd)
{
	int uffd, error;
	pid_t pid;

	pid = start_awaiting_owner(argv, fd, STATUS, false, &uffd, &error);
	kill(pid, SIGKILL);
	sleep(kill_seconds());
	release_storage();
	tap_ok(is_asked(uffd), "who tells him waits for his memory");
	tap_is(count_borrowed(), 0, "and keeps nothing that others need");
	close(uffd);
	tap_ok(has_ended(pid), "it ends with that");
	close(error);
}

/* His worker is one no longer, unless it cannot be killed. */
static void await_kill(pid_t pid)
{
	unsigned int i;
	char name[64];

	if (!owner->has_threads) {
		sleep(kill_seconds());
		return;
	}
	snprintf(name, sizeof(name), "/proc/%d/task/%d", pid, owner->worker);
	for (i = 0; i < 100 && !access(name, F_OK); i++)
		usleep(10000);
}

static void give(int uffd)
{
	struct uffdio_continue page = {
		.range.start = (uintptr_t)awaited_page() & -BLOCK,
		.range.len = BLOCK,
	};

	/* Fails where nobody waits for it any more, and so there is no owner left. */
	if (ioctl(uffd, UFFDIO_CONTINUE, &page))
		tap_diag("nobody waits for it");
}

/* Has the driver got the only request back? */
static bool is_returned(void)
{
	const struct vring_packed_desc *desc = (const void *)memory;
	const struct vring_layout *at = &owner->disk.queues[0].ring.at;
	const struct vring_used *used = (const void *)(memory +
				((uint8_t *)at->used - owner->disk.memory));
	const uint16_t both = 1 << VRING_PACKED_DESC_F_AVAIL |
			      1 << VRING_PACKED_DESC_F_USED;

	return owner->packed ? (desc->flags & both) == both : used->idx == 1;
}

static bool is_dirty(size_t at, size_t len)
{
	size_t page = at / BLOCK;

	for (; page <= (at + len - 1) / BLOCK; page++)
		if (!(dirty_log[LOG_PAGE + page / 8] & 1 << page % 8))
			return false;
	return true;
}

/* It is as if nobody had been killed; what had not begun has still not. */
static bool is_complete(void)
{
	const struct vring_layout *at = &owner->disk.queues[0].ring.at;
	const uint8_t *ring = owner->packed ? at->desc : at->used;

	if (owner->awaited == ID || owner->awaited == AVAIL)
		return status_of(0) == 0xff && !is_returned();
	return status_of(0) == VIRTIO_BLK_S_OK && is_returned() &&
	       (owner->awaited != LOG || is_dirty(data_of(0), READ)) &&
	       (owner->awaited != RING_LOG ||
		is_dirty(ring - owner->disk.memory, 1));
}

/*
 * Killed while his worker waits for memory. A kernel thread gives up then: it waits for
 * nobody but him.
 */
static void test_amid(char **argv, int fd, enum awaited awaited, bool packed,
		      const char *name)
{
	int uffd, error;
	bool asked;
	pid_t pid;

	pid = start_awaiting_owner(argv, fd, awaited, packed, &uffd, &error);
	map_memory(pid);
	release_storage();
	asked = is_asked(uffd);
	kill(pid, SIGKILL);
	await_kill(pid);
	if (owner->has_threads)
		give(uffd);
	close(uffd);
	tap_ok(has_ended(pid) && asked, "killed while %s is awaited", name);
	tap_ok(!is_told_of_error(error), "that is told as no error");
	if (owner->has_threads)
		tap_ok(is_complete(), "and no loss");
	close(error);
}

static const struct {
	enum awaited awaited;
	bool packed;
	const char *name;
} amid[] = {
	{ STATUS, false, "a status" },
	{ AVAIL, false, "an available ring" },
	{ AVAIL, true, "a packed ring, to be read" },
	{ USED, false, "a used ring" },
	{ USED, true, "a packed ring" },
	{ LOG, false, "the dirty log" },
	{ LOG, true, "the dirty log, of a packed ring" },
	{ RING_LOG, false, "the dirty log for a used ring" },
	{ RING_LOG, true, "the dirty log for a packed ring" },
	{ ID, false, "memory for a serial" },
};

#define AMID	(sizeof(amid) / sizeof(amid[0]))

/* An error of write-back is told once: not to somebody who asks again. */
static void test_error(char **argv, int fd)
{
	int sockets[2];
	pid_t pid;

	drop_cache(fd);
	pid = start_owner(own_flush, argv[1], sockets);
	map_memory(pid);
	hold_storage(argv);
	tell(sockets[0]);
	sleep(1);
	tap_is(status_of(FLUSH), 0xff, "a flush waits for the storage");
	kill(pid, SIGKILL);
	sleep(kill_seconds());
	resume = NULL;
	run(argv[4]);
	tap_ok(has_ended(pid), "until that has lost what was written");
	tap_is(status_of(FLUSH), VIRTIO_BLK_S_IOERR, "and says so");
	close(sockets[0]);
}

static void look_for_threads(const char *path)
{
	int sockets[2];

	has_ended(start_owner(own_nothing, path, sockets));
	close(sockets[0]);
}

int main(int argc, char **argv)
{
	unsigned int i, nr_amid;
	int fd;

	if (argc != 5)
		tap_bail("usage: orphans FILE SUSPEND RESUME FAIL");
	owner = mmap(NULL, sizeof(*owner), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	dirty_log = mmap(NULL, LOG_BYTES, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (owner == MAP_FAILED || dirty_log == MAP_FAILED)
		tap_bail("no memory");
	fd = make_file(argv[1]);
	atexit(let_go);
	look_for_threads(argv[1]);
	/* What kernel threads have begun is for nobody else to end. */
	nr_amid = owner->has_threads ? AMID : 1;
	tap_plan(8 + 3 + (owner->has_threads ? 3 : 2) * nr_amid + 3);
	test_storage(argv, fd);
	test_memory(argv, fd);
	for (i = 0; i < nr_amid; i++)
		test_amid(argv, fd, amid[i].awaited, amid[i].packed,
			  amid[i].name);
	test_error(argv, fd);
	return tap_exit();
}
