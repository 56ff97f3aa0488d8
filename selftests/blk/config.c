// SPDX-License-Identifier: GPL-2.0
/*
 * config DEVICE: the configuration space says what the device is like, and
 * requests that do not heed it fail.
 */
#include <fcntl.h>
#include <sys/ioctl.h>

#include <linux/fs.h>

#include "disk.h"
#include "tap.h"

int main(int argc, char **argv)
{
	unsigned int physical, io_min, io_opt;
	struct virtio_blk_config *config;
	struct disk disk;
	uint64_t bytes;
	int block, fd;

	if (argc != 2)
		tap_bail("usage: config DEVICE");
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) ||
	    ioctl(fd, BLKSSZGET, &block) || ioctl(fd, BLKPBSZGET, &physical) ||
	    ioctl(fd, BLKIOMIN, &io_min) || ioctl(fd, BLKIOOPT, &io_opt))
		tap_bail("%s", argv[1]);
	tap_plan(11);
	disk_open(&disk, argv[1], &(struct disk_options){});
	config = &disk.config;
	tap_is(config->capacity, bytes / 512, "capacity, in sectors");
	tap_is(config->blk_size, block, "logical blocks");
	tap_is(block << config->physical_block_exp, physical, "physical blocks");
	tap_is(config->min_io_size * block, io_min, "smallest good size");
	tap_is(config->opt_io_size * block, io_opt, "best size");
	tap_is(config->seg_max, 126, "segments of a request");
	tap_is(config->size_max, 1 << 20, "and their size");
	tap_is(config->num_queues, 64, "queues");
	tap_is(disk_rw(&disk, VIRTIO_BLK_T_IN, block / 512,
		       disk.memory + DISK_DATA, block),
	       VIRTIO_BLK_S_OK, "one block can be read");
	tap_is(disk_rw(&disk, VIRTIO_BLK_T_IN, block / 1024,
		       disk.memory + DISK_DATA, block),
	       block == 512 ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR,
	       "and only whole ones");
	tap_is(disk_rw(&disk, VIRTIO_BLK_T_IN, 0, disk.memory + DISK_DATA,
		       block / 2),
	       VIRTIO_BLK_S_IOERR, "half a block cannot");
	disk_close(&disk);
	return tap_exit();
}
