// SPDX-License-Identifier: GPL-2.0
/*
 * files DEVICE SWAPFILE SLOWFILE: which files may be disks, and what becomes of
 * them. The first two have been through mkswap; the last one has 8 MiB, and a
 * MiB takes at least 20 ms.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/fuse.h>

#include "disk.h"
#include "hold.h"
#include "tap.h"

#define OK	VIRTIO_BLK_S_OK
#define IOERR	VIRTIO_BLK_S_IOERR

/* What is under way, inside the kernel. */
#define EIOCBQUEUED	529

#define CACHED	(1u << 20)
#define SIZE	(1u << 20)
#define WRITES	8

static struct disk disk;
static const struct disk_options options;

static int attach_fd(int fd)
{
	struct khx_blk_file file = { .fd = fd };

	return ioctl(disk.fd, KHX_BLK_SET_BACKEND, &file) ? -errno : 0;
}

static int write_at(uint64_t sector)
{
	return disk_rw(&disk, VIRTIO_BLK_T_OUT, sector, disk.memory + DISK_DATA,
		       4096);
}

/* Its pages are the host's memory, which a guest could then write. */
static void test_swap(const char *device, const char *file)
{
	disk_open(&disk, device, &options);
	tap_is(write_at(2048), OK, "a device can be written");
	if (swapon(device, 0))
		tap_bail("swapon: %s", strerror(errno));
	tap_is(write_at(2048), IOERR, "not while it is swap space");
	tap_is(disk_rw(&disk, VIRTIO_BLK_T_IN, 2048, disk.memory + DISK_DATA,
		       4096), OK, "reading harms nobody");
	disk_halt(&disk);
	tap_is(disk_attach(&disk, device, 0, false), -ETXTBSY,
	       "swap space is no disk");
	tap_is(disk_attach(&disk, device, 0, true), -ETXTBSY,
	       "nor one for reading");
	swapoff(device);
	tap_is(disk_attach(&disk, device, 0, false), 0, "later on it is");
	if (swapon(file, 0))
		tap_bail("swapon: %s", strerror(errno));
	tap_is(disk_attach(&disk, file, 0, false), -ETXTBSY,
	       "a file is no disk while it is swap space");
	swapoff(file);
	disk_close(&disk);
}

static unsigned int cached_pages(int fd)
{
	unsigned char pages[CACHED / 4096];
	unsigned int i, n = 0;
	void *map = mmap(NULL, CACHED, PROT_READ, MAP_SHARED, fd, 0);

	if (map == MAP_FAILED || mincore(map, CACHED, pages))
		tap_bail("mincore: %s", strerror(errno));
	munmap(map, CACHED);
	for (i = 0; i < CACHED / 4096; i++)
		n += pages[i] & 1;
	return n;
}

/* To drop it is the privilege of those who may write, or administer. */
static void test_cache(const char *device)
{
	char *buffer = malloc(CACHED);
	int fd = open(device, O_RDONLY);

	if (fd < 0 || pread(fd, buffer, CACHED, 0) != CACHED)
		tap_bail("%s: %s", device, strerror(errno));
	disk_open(&disk, device, &(struct disk_options){ .readonly = true });
	tap_is(cached_pages(fd), CACHED / 4096,
	       "a reader leaves a device's page cache alone");
	disk_close(&disk);
	tap_is(cached_pages(fd), CACHED / 4096, "also when it goes");
	disk_open(&disk, device, &options);
	tap_is(cached_pages(fd), 0, "for a writer it is dropped");
	disk_close(&disk);
	close(fd);
	free(buffer);
}

/* It can be set when the file is a disk already. */
static void test_append(void)
{
	int fd = memfd_create("disk", 0);
	static uint8_t sectors[SIZE];
	struct stat stat;
	bool zeros = true;
	unsigned int i;

	memset(sectors, 0x55, SIZE);
	if (ftruncate(fd, SIZE) || pwrite(fd, sectors, SIZE, 0) != SIZE)
		tap_bail("memfd: %s", strerror(errno));
	snprintf((char *)sectors, sizeof(sectors), "/proc/self/fd/%d", fd);
	disk_open(&disk, (char *)sectors, &options);
	disk_halt(&disk);
	if (attach_fd(fd) || fcntl(fd, F_SETFL, O_APPEND))
		tap_bail("O_APPEND: %s", strerror(errno));
	disk_run(&disk);

	disk_fill(disk.memory + DISK_DATA, 4096, 16, 7);
	tap_is(write_at(16), OK, "with O_APPEND it is written");
	tap_is(disk_range(&disk, VIRTIO_BLK_T_WRITE_ZEROES, 64, 8, 0), OK,
	       "and zeroed");
	fstat(fd, &stat);
	tap_is(stat.st_size, SIZE, "without getting longer");
	if (pread(fd, sectors, SIZE, 0) != SIZE)
		tap_bail("memfd: %s", strerror(errno));
	tap_ok(disk_check(sectors + 16 * 512, 4096, 16, 7),
	       "and the write is where it belongs");
	for (i = 0; i < 4096; i++)
		zeros &= !sectors[64 * 512 + i];
	tap_ok(zeros && sectors[63 * 512] == 0x55 && sectors[72 * 512] == 0x55,
	       "as are the zeros");
	disk_halt(&disk);
	tap_is(attach_fd(fd), -EINVAL, "such a file is no new disk");
	disk_close(&disk);
	close(fd);
}

/*
 * A long request is moved in parts of a MiB. One may be on its way when the file
 * is cut off, but none that comes later makes it grow again.
 */
static uint8_t cut_off_amid(const char *path)
{
	struct disk_request req = {
		.type = VIRTIO_BLK_T_OUT, .len = 8 << 20, .cut = 1 << 20,
		.indirect = true,
	};
	uint8_t status;

	if (truncate(path, 8 << 20))
		tap_bail("truncate: %s", strerror(errno));
	disk_open(&disk, path, &(struct disk_options){
		.flags = KHX_BLK_F_DIRECT });
	req.data = disk.memory + DISK_DATA;
	if (disk_submit(&disk, 0, &req))
		tap_bail("no room in the ring");
	disk_kick(&disk, 0);
	usleep(50000);
	if (truncate(path, SIZE))
		tap_bail("truncate: %s", strerror(errno));
	disk_reap(&disk, 0, 60000);
	status = *req.status;
	disk_close(&disk);
	return status;
}

static void test_shrink(const char *path)
{
	uint8_t status = OK;
	struct stat stat;
	unsigned int i;

	/* It all was written in time, if this machine stood still meanwhile. */
	for (i = 0; i < 5 && status == OK; i++)
		status = cut_off_amid(path);
	tap_is(status, IOERR, "a request for which a file got too short");
	lstat(path, &stat);
	tap_ok(stat.st_size <= 2 * SIZE, "and it does not get longer again");
}

/* Who has to wait does so in a thread of the disk's, and in nobody's way. */
static void test_frozen(const char *path)
{
	static struct disk_request writes[WRITES];
	struct disk_request read = { .type = VIRTIO_BLK_T_IN, .len = 65536 };
	unsigned int i, done = 0;
	int n, fd = open(path, O_RDONLY);

	disk_open(&disk, path, &(struct disk_options){ .nqueues = 2 });
	if (fsync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) ||
	    ioctl(fd, FIFREEZE, 0))
		tap_bail("freeze: %s", strerror(errno));
	for (i = 0; i < WRITES; i++) {
		writes[i] = (struct disk_request){
			.type = VIRTIO_BLK_T_OUT, .sector = 8 * i, .len = 4096,
			.data = disk.memory + DISK_DATA,
		};
		if (disk_submit(&disk, 0, &writes[i]))
			tap_bail("no room in the ring");
	}
	disk_kick(&disk, 0);
	read.data = disk.memory + DISK_DATA + SIZE;
	tap_is(disk_do(&disk, 1, &read), OK,
	       "a file system is frozen, and another queue reads");
	tap_is(disk_reap(&disk, 0, 200), 0, "while writes wait");
	ioctl(fd, FITHAW, 0);
	while (done < WRITES && (n = disk_reap(&disk, 0, 20000)) > 0)
		done += n;
	tap_is(done, WRITES, "until it is thawed");
	disk_close(&disk);
	close(fd);
}

/*
 * A file system is not through with direct I/O when that is under way, and may even be
 * complete. What is to be written there first would block the worker.
 */
static void test_submitter(const char *path)
{
	struct disk_request req = {
		.type = VIRTIO_BLK_T_IN, .sector = 1024, .len = 4096,
	};
	int ret, fd = open(path, O_RDWR);
	struct hold hold;
	uint64_t ended;

	ret = hold_start(&hold, "iomap_dio_rw", -EIOCBQUEUED);
	if (ret) {
		tap_diag("hold: %s", strerror(-ret));
		tap_skip("no BPF", "direct I/O that a thread submits is done");
		tap_skip("no BPF", "and not before the thread is through");
		return;
	}
	disk_open(&disk, path, &(struct disk_options){
		.flags = KHX_BLK_F_DIRECT });
	req.data = disk.memory + DISK_DATA;
	disk_fill(req.data, 4096, req.sector, 9);
	if (pwrite(fd, req.data, 4096, req.sector * 512) != 4096 ||
	    disk_submit(&disk, 0, &req))
		tap_bail("no room");
	memset(req.data, 0, 4096);
	disk_kick(&disk, 0);
	disk_reap(&disk, 0, 20000);
	ended = hold_ended(&hold);
	/* The memory that it is submitted from goes. */
	disk_halt(&disk);
	tap_ok(*req.status == OK && hold_began(&hold) == 1 &&
	       disk_check(req.data, 4096, req.sector, 9),
	       "direct I/O that a thread submits is done");
	tap_is(ended, 1, "and not before the thread is through");
	disk_close(&disk);
	hold_stop(&hold);
	close(fd);
}

static void fuse_answer(int fd, uint64_t unique, int error, const void *data,
			size_t len)
{
	struct {
		struct fuse_out_header head;
		char data[256];
	} out = {
		.head = { sizeof(out.head) + len, error, unique },
	};

	if (len)
		memcpy(out.data, data, len);
	if (write(fd, &out, out.head.len) < 0)
		exit(1);
}

/* A file system that is one file of SIZE bytes. */
static void fuse_serve(int fd)
{
	static union {
		struct fuse_in_header head;
		char space[FUSE_MIN_READ_BUFFER + (128 << 10)];
	} in;
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION,
		.minor = FUSE_KERNEL_MINOR_VERSION,
		.max_write = 4096,
	};
	const struct fuse_attr_out attr = {
		.attr = {
			.ino = FUSE_ROOT_ID, .size = SIZE, .nlink = 1,
			.mode = S_IFREG | 0600,
		},
	};
	const struct fuse_open_out opened = {};

	while (read(fd, &in, sizeof(in)) > 0) {
		switch (in.head.opcode) {
		case FUSE_INIT:
			fuse_answer(fd, in.head.unique, 0, &init, sizeof(init));
			break;
		case FUSE_GETATTR:
			fuse_answer(fd, in.head.unique, 0, &attr, sizeof(attr));
			break;
		case FUSE_OPEN:
			fuse_answer(fd, in.head.unique, 0, &opened,
				    sizeof(opened));
			break;
		case FUSE_FSYNC:
			fuse_answer(fd, in.head.unique, -EINTR, NULL, 0);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
			break;
		default:
			fuse_answer(fd, in.head.unique, -ENOSYS, NULL, 0);
		}
	}
	exit(0);
}

/* Leave the effective set of this process all but CAP_SYS_ADMIN, or all. */
static void be_admin(bool admin)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		tap_bail("capget: %s", strerror(errno));
	if (admin)
		data[0].effective |= 1u << CAP_SYS_ADMIN;
	else
		data[0].effective &= ~(1u << CAP_SYS_ADMIN);
	if (syscall(SYS_capset, &head, data))
		tap_bail("capset: %s", strerror(errno));
}

static int attach_as(const char *path, bool admin)
{
	int ret;

	be_admin(admin);
	ret = disk_attach(&disk, path, 0, false);
	be_admin(true);
	return ret;
}

/* Who serves it could hold the kernel's threads for as long as he likes. */
static void test_fuse(const char *device)
{
	char point[] = "/tmp/khx-fuse.XXXXXX", mount_options[100];
	int fd = open("/dev/fuse", O_RDWR);
	struct disk_request flush = { .type = VIRTIO_BLK_T_FLUSH };
	struct stat ignored;
	pid_t server;

	close(mkstemp(point));
	snprintf(mount_options, sizeof(mount_options),
		 "fd=%d,rootmode=100000,user_id=0,group_id=0", fd);
	if (fd < 0 || mount("khx", point, "fuse", 0, mount_options)) {
		unlink(point);
		tap_skip("no FUSE", "a file on FUSE is no disk");
		tap_skip("no FUSE", "but for administrators");
		tap_skip("no FUSE", "and its interruptions are errors");
		return;
	}
	server = fork();
	if (!server)
		fuse_serve(fd);
	/* Its size is not known before somebody asks. */
	stat(point, &ignored);
	disk_open(&disk, device, &options);
	disk_halt(&disk);
	tap_is(attach_as(point, false), -EACCES, "a file on FUSE is no disk");
	tap_is(attach_as(point, true), 0, "but for administrators");
	disk_run(&disk);
	tap_is(disk_do(&disk, 0, &flush), IOERR,
	       "and its interruptions are errors");
	disk_close(&disk);
	umount2(point, MNT_DETACH);
	kill(server, SIGKILL);
	close(fd);
	unlink(point);
}

int main(int argc, char **argv)
{
	if (argc != 4)
		tap_bail("usage: files DEVICE SWAPFILE SLOWFILE");
	tap_plan(26);
	test_swap(argv[1], argv[2]);
	test_cache(argv[1]);
	test_append();
	test_shrink(argv[3]);
	test_frozen(argv[3]);
	test_submitter(argv[3]);
	test_fuse(argv[1]);
	return tap_exit();
}
