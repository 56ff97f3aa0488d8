// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/netlink.h>

#include "disk.h"
#include "log.h"

/* Above whatever else is open; 1024 is the usual limit, 64 the most disks. */
#define DEVICE_FD_MIN	960

#define SECTOR		512

/*
 * QEMU's convention for who uses an image, so that we see each other: byte
 * LOCK_USES + N is locked by who uses permission N, byte LOCK_DENIES + N by who
 * does not want others to. Permission 1 is to write.
 */
#define LOCK_USES	100
#define LOCK_DENIES	200
#define PERM_READ	0
#define PERM_WRITE	1

static int lock_byte(int fd, int command, short type, off_t byte)
{
	struct flock lock = {
		.l_type = type,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1,
	};

	if (fcntl(fd, command, &lock))
		return -1;
	return command == F_OFD_GETLK && lock.l_type != F_UNLCK;
}

/* Is it somebody else's? Locks it for us, too. */
static bool is_locked(const struct disk *disk)
{
	int fd = disk->file;

	lock_byte(fd, F_OFD_SETLK, F_RDLCK, LOCK_USES + PERM_READ);
	lock_byte(fd, F_OFD_SETLK, F_RDLCK, LOCK_DENIES + PERM_WRITE);
	if (disk->readonly)
		return lock_byte(fd, F_OFD_GETLK, F_WRLCK,
				 LOCK_USES + PERM_WRITE) > 0;
	lock_byte(fd, F_OFD_SETLK, F_RDLCK, LOCK_USES + PERM_WRITE);
	return lock_byte(fd, F_OFD_GETLK, F_WRLCK,
			 LOCK_DENIES + PERM_WRITE) > 0 ||
	       lock_byte(fd, F_OFD_GETLK, F_WRLCK, LOCK_USES + PERM_WRITE) > 0;
}

static int open_block_device(struct disk *disk, int flags)
{
	int fd = open(disk->path, flags | O_EXCL);

	if (fd >= 0 || errno != EBUSY)
		return fd;
	log_error("warning: %s is mounted, or part of another device",
		  disk->path);
	return open(disk->path, flags);
}

/* Before the kernel says no more than that it does not like it. */
static void check_kind(const struct disk *disk, const struct stat *st)
{
	if (S_ISDIR(st->st_mode))
		die("%s is a directory, no file or block device", disk->path);
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		die("%s is neither a file nor a block device", disk->path);
	if (S_ISREG(st->st_mode) && !st->st_size)
		die("%s is empty (truncate -s 20G makes a disk of it)",
		    disk->path);
	if (S_ISREG(st->st_mode) && st->st_size % SECTOR)
		die("%s is not made of whole sectors of %u bytes", disk->path,
		    SECTOR);
}

static void open_file(struct disk *disk, mode_t *mode)
{
	int flags = (disk->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC;
	struct stat st;

	if (stat(disk->path, &st))
		die("%s: %s", disk->path, strerror(errno));
	check_kind(disk, &st);
	*mode = st.st_mode;
	if (S_ISBLK(st.st_mode) && !disk->readonly)
		disk->file = open_block_device(disk, flags);
	else
		disk->file = open(disk->path, flags);
	if (disk->file < 0)
		die("%s: %s", disk->path, strerror(errno));
	if (is_locked(disk) && !disk->force)
		die("%s is in use by another writer (--force to ignore that)",
		    disk->path);
}

static int watch_file(const char *path)
{
	int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

	if (fd >= 0 && inotify_add_watch(fd, path, IN_MODIFY) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* The kernel's own events: resizing a block device is one. */
static int watch_block_devices(void)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
			NETLINK_KOBJECT_UEVENT);

	if (fd >= 0 &&
	    bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * However this process ends, Linux puts off the release of its files, and then
 * does the last one first, which is that of the highest number. So the device goes
 * before any connection: a front end that sees us gone takes the rings as they are
 * then, so that all that was accepted must be done. Another order would show in
 * selftests/blk/bridge-crash.sh.
 */
static int open_device(void)
{
	int high, fd = open(KHX_BLK_DEVICE, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("%s: %s%s", KHX_BLK_DEVICE, strerror(errno),
		    errno == ENOENT ? " (modprobe khx_blk?)" : "");
	high = fcntl(fd, F_DUPFD_CLOEXEC, DEVICE_FD_MIN);
	if (high < 0)
		die("%d open files are too few: %s", DEVICE_FD_MIN,
		    strerror(errno));
	close(fd);
	return high;
}

void disk_open(struct disk *disk)
{
	mode_t mode;

	disk->device = open_device();
	open_file(disk, &mode);
	disk->changes = S_ISBLK(mode) ? watch_block_devices() :
					watch_file(disk->path);
	if (disk->changes < 0)
		log_error("warning: cannot watch %s for a change of size: %s",
			  disk->path, strerror(errno));
	disk->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (disk->event < 0)
		die("eventfd: %s", strerror(errno));
	/* Now rather than with the first front end: is it any good? */
	if (disk_attach(disk))
		die("%s cannot be a disk", disk->path);
	disk_detach(disk);
}

/* A socket that nobody listens on any more is in the way; all else may stay. */
static void remove_stale(const struct sockaddr_un *address)
{
	struct stat st;
	int fd;

	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) &&
	    errno == ECONNREFUSED)
		unlink(address->sun_path);
	close(fd);
}

void disk_listen(struct disk *disk, int inherited)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	if (!disk->socket_path) {
		disk->listener = inherited;
		return;
	}
	if (strlen(disk->socket_path) >= sizeof(address.sun_path))
		die("%s: too long for a socket", disk->socket_path);
	strcpy(address.sun_path, disk->socket_path);
	remove_stale(&address);
	disk->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (disk->listener < 0 ||
	    bind(disk->listener, (struct sockaddr *)&address,
		 sizeof(address)) ||
	    listen(disk->listener, 1))
		die("%s: %s", disk->socket_path, strerror(errno));
}

int disk_set_writethrough(struct disk *disk, bool on)
{
	__u32 wce = !on;

	if (ioctl(disk->device, KHX_BLK_SET_WCE, &wce))
		return -errno;
	disk->writethrough = on;
	return 0;
}

int disk_attach(struct disk *disk)
{
	struct khx_blk_file file = {
		.fd = disk->file,
		.flags = (disk->readonly ? KHX_BLK_F_READONLY : 0) |
			 (disk->direct ? KHX_BLK_F_DIRECT : 0),
	};
	__s32 event = disk->event;

	if (disk->serial)
		memcpy(file.serial, disk->serial,
		       strnlen(disk->serial, sizeof(file.serial)));
	if (ioctl(disk->device, VHOST_SET_OWNER, NULL)) {
		log_error("%s: no owner: %s", KHX_BLK_DEVICE, strerror(errno));
		return -1;
	}
	if (ioctl(disk->device, KHX_BLK_SET_BACKEND, &file) ||
	    ioctl(disk->device, KHX_BLK_SET_CONFIG_EVENT, &event) ||
	    disk_set_writethrough(disk, disk->always_writethrough ||
					disk->writethrough)) {
		log_error("%s: %s", disk->path, strerror(errno));
		disk_detach(disk);
		return -1;
	}
	return 0;
}

/* Drains: afterwards nothing touches the front end's memory. */
void disk_detach(struct disk *disk)
{
	if (ioctl(disk->device, VHOST_RESET_OWNER, NULL))
		log_error("VHOST_RESET_OWNER: %s", strerror(errno));
}

void disk_drain_changes(struct disk *disk)
{
	char buffer[4096];

	while (disk->changes >= 0 &&
	       read(disk->changes, buffer, sizeof(buffer)) > 0)
		;
	if (read(disk->event, buffer, sizeof(uint64_t)) < 0)
		return;
}
