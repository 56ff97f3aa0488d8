// SPDX-License-Identifier: GPL-2.0
/* A disk of /dev/khx-blk with this process as its driver; see disk.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "disk.h"
#include "tap.h"

#define MAX_BUFS	300
#define SLOTS		2048		/* headers and statuses */
#define TABLE_BYTES	(MAX_BUFS * 16)
#define TABLES		128

static unsigned int next_slot;

static void must(int ret, const char *what)
{
	if (ret < 0)
		tap_bail("%s: %s", what, strerror(errno));
}

/* In @memfd, or a new file for -1. */
static void set_up_memory(struct disk *disk, int memfd)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region;
	} table = {
		.head.nregions = 1,
		.region = {
			.guest_phys_addr = DISK_GPA,
			.memory_size = DISK_MEMORY,
		},
	};

	disk->memfd = memfd < 0 ? memfd_create("guest", 0) : memfd;
	must(disk->memfd, "memfd_create");
	must(ftruncate(disk->memfd, DISK_MEMORY), "ftruncate");
	disk->memory = mmap(NULL, DISK_MEMORY, PROT_READ | PROT_WRITE,
			    MAP_SHARED, disk->memfd, 0);
	if (disk->memory == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	table.region.userspace_addr = (uintptr_t)disk->memory;
	must(ioctl(disk->fd, VHOST_SET_MEM_TABLE, &table),
	     "VHOST_SET_MEM_TABLE");
}

/* The table of a guest whose rings stay where they are, with all else at @rest. */
static void put_rest(struct disk *disk, void *rest)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[2];
	} table = {
		.head.nregions = 2,
		.regions = {
			[0] = { DISK_GPA, DISK_FIXED,
				(uintptr_t)disk->memory },
			[1] = { DISK_GPA + DISK_FIXED,
				DISK_MEMORY - DISK_FIXED, (uintptr_t)rest },
		},
	};

	must(ioctl(disk->fd, VHOST_SET_MEM_TABLE, &table),
	     "VHOST_SET_MEM_TABLE");
}

void disk_remap(struct disk *disk)
{
	size_t size = DISK_MEMORY - DISK_FIXED;
	void *old, *fixed = disk->memory + DISK_FIXED;

	old = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, disk->memfd,
		   DISK_FIXED);
	if (old == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	put_rest(disk, old);
	/* Whoever still uses the old addresses finds nothing there... */
	if (mmap(fixed, size, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != fixed)
		tap_bail("mmap: %s", strerror(errno));
	usleep(200000);
	/* ... and we find our data again. */
	if (mmap(fixed, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 disk->memfd, DISK_FIXED) != fixed)
		tap_bail("mmap: %s", strerror(errno));
}

void disk_shift_data(struct disk *disk, unsigned int bytes)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region regions[2];
	} table = {
		.head.nregions = 2,
		.regions = {
			[0] = { DISK_GPA, DISK_DATA, (uintptr_t)disk->memory },
			[1] = { DISK_GPA + DISK_DATA,
				DISK_MEMORY - DISK_DATA - bytes,
				(uintptr_t)disk->memory + DISK_DATA + bytes },
		},
	};

	must(ioctl(disk->fd, VHOST_SET_MEM_TABLE, &table),
	     "VHOST_SET_MEM_TABLE");
}

void disk_lose_memory(struct disk *disk)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region;
	} table = {
		.head.nregions = 1,
		.region = { DISK_GPA, DISK_FIXED, (uintptr_t)disk->memory },
	};

	must(ioctl(disk->fd, VHOST_SET_MEM_TABLE, &table),
	     "VHOST_SET_MEM_TABLE");
}

int disk_attach(struct disk *disk, const char *path, unsigned int flags,
		bool readonly)
{
	struct khx_blk_file file = {
		.flags = flags,
		.serial = "khx-test-serial-0123",
	};
	int ret;

	file.fd = open(path, (readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (file.fd < 0)
		return -errno;
	ret = ioctl(disk->fd, KHX_BLK_SET_BACKEND, &file) ? -errno : 0;
	close(file.fd);
	return ret;
}

static void set_up_queue(struct disk *disk, unsigned int i, unsigned int num,
			 bool packed)
{
	struct disk_queue *queue = &disk->queues[i];
	uint8_t *at = disk->memory + i * DISK_RING;
	struct vring_layout layout = {
		.packed = packed,
		.event_idx = disk->features & (1ull << VIRTIO_RING_F_EVENT_IDX),
		.num = num,
		.base = packed ? VRING_PACKED_BASE : 0,
		.desc = at,
		.avail = at + 0x10000,
		.used = at + 0x20000,
	};

	queue->tables = at + 0x40000;
	queue->kick = eventfd(0, 0);
	queue->call = eventfd(0, EFD_NONBLOCK);
	queue->error = eventfd(0, EFD_NONBLOCK);
	if (vring_open(&queue->ring, &layout))
		tap_bail("vring_open");
	queue->base = vring_base(&queue->ring);
}

int disk_start(struct disk *disk, unsigned int i)
{
	struct disk_queue *queue = &disk->queues[i];
	struct vring_layout *at = &queue->ring.at;
	struct vhost_vring_state num = { i, at->num };
	struct vhost_vring_state base = { i, queue->base };
	struct vhost_vring_state run = { i, 1 };
	struct vhost_vring_addr addr = {
		.index = i,
		.desc_user_addr = (uintptr_t)at->desc,
		.avail_user_addr = (uintptr_t)at->avail,
		.used_user_addr = (uintptr_t)at->used,
		.log_guest_addr = disk_gpa(disk, at->used),
	};
	struct vhost_vring_file kick = { i, queue->kick };
	struct vhost_vring_file call = { i, queue->call };
	struct vhost_vring_file error = { i, queue->error };

	if (ioctl(disk->fd, VHOST_SET_VRING_NUM, &num) ||
	    ioctl(disk->fd, VHOST_SET_VRING_BASE, &base) ||
	    ioctl(disk->fd, VHOST_SET_VRING_ADDR, &addr) ||
	    ioctl(disk->fd, VHOST_SET_VRING_KICK, &kick) ||
	    ioctl(disk->fd, VHOST_SET_VRING_CALL, &call) ||
	    ioctl(disk->fd, VHOST_SET_VRING_ERR, &error) ||
	    ioctl(disk->fd, KHX_BLK_RUN_VRING, &run))
		return -errno;
	return 0;
}

int disk_stop(struct disk *disk, unsigned int i)
{
	struct vhost_vring_state run = { i, 0 }, base = { i, 0 };

	if (ioctl(disk->fd, KHX_BLK_RUN_VRING, &run) ||
	    ioctl(disk->fd, VHOST_GET_VRING_BASE, &base))
		return -errno;
	disk->queues[i].base = base.num;
	return 0;
}

void disk_run(struct disk *disk)
{
	unsigned int i;
	int ret;

	for (i = 0; i < disk->nqueues; i++) {
		ret = disk_start(disk, i);
		if (ret)
			tap_bail("queue %u does not start: %s", i,
				 strerror(-ret));
	}
}

void disk_halt(struct disk *disk)
{
	unsigned int i;

	for (i = 0; i < disk->nqueues; i++)
		must(disk_stop(disk, i), "KHX_BLK_RUN_VRING");
}

void disk_open(struct disk *disk, const char *path,
	       const struct disk_options *options)
{
	unsigned int i;
	uint64_t all;
	int ret;

	memset(disk, 0, sizeof(*disk));
	disk->nqueues = options->nqueues ?: 1;
	disk->num = options->num ?: 128;
	disk->packed = options->packed;
	disk->fd = open(KHX_BLK_DEVICE, O_RDWR | O_CLOEXEC);
	must(disk->fd, KHX_BLK_DEVICE);
	must(ioctl(disk->fd, VHOST_SET_OWNER, NULL), "VHOST_SET_OWNER");
	ret = disk_attach(disk, path, options->flags, options->readonly);
	if (ret)
		tap_bail("%s: %s", path, strerror(-ret));
	must(ioctl(disk->fd, KHX_BLK_GET_CONFIG, &disk->info),
	     "KHX_BLK_GET_CONFIG");
	memcpy(&disk->config, disk->info.config,
	       sizeof(disk->config) < KHX_BLK_CONFIG ?
	       sizeof(disk->config) : KHX_BLK_CONFIG);

	must(ioctl(disk->fd, VHOST_GET_FEATURES, &all), "VHOST_GET_FEATURES");
	disk->features = all & (disk->info.features | ~0xffffffull) &
			 ~(1ull << VHOST_F_LOG_ALL) & ~options->without;
	if (!options->packed)
		disk->features &= ~(1ull << VIRTIO_F_RING_PACKED);
	must(ioctl(disk->fd, VHOST_SET_FEATURES, &disk->features),
	     "VHOST_SET_FEATURES");
	set_up_memory(disk, options->memory ? options->memfd : -1);
	for (i = 0; i < disk->nqueues; i++)
		set_up_queue(disk, i, disk->num, options->packed);
	disk_run(disk);
}

/* The number that the device says of itself. */
static int told(const struct disk *disk, const char *format)
{
	char path[64], text[512];
	int n = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", disk->fd);
	file = fopen(path, "r");
	if (!file)
		tap_bail("%s: %s", path, strerror(errno));
	while (n < 0 && fgets(text, sizeof(text), file))
		sscanf(text, format, &n);
	fclose(file);
	return n;
}

pid_t disk_worker(const struct disk *disk)
{
	return told(disk, "khx-worker: %*d pid %d");
}

unsigned int disk_in_flight(const struct disk *disk)
{
	return told(disk, "queue-0-blk: in_flight %d");
}

void disk_close(struct disk *disk)
{
	unsigned int i;

	close(disk->fd);
	for (i = 0; i < disk->nqueues; i++) {
		vring_close(&disk->queues[i].ring);
		close(disk->queues[i].kick);
		close(disk->queues[i].call);
		close(disk->queues[i].error);
	}
	munmap(disk->memory, DISK_MEMORY);
	close(disk->memfd);
}

/* Each request has 64 bytes for its header, range and status. */
static uint8_t *slot_of(struct disk *disk, struct disk_request *req)
{
	return disk->memory + DISK_FIXED + req->slot * 64;
}

int disk_submit_raw(struct disk *disk, unsigned int i,
		    const struct vring_buf *bufs, unsigned int nr_out,
		    unsigned int nr_in, struct disk_request *req)
{
	struct disk_queue *queue = &disk->queues[i];
	struct vring_chain chain = {
		.bufs = bufs,
		.nr_out = nr_out,
		.nr_in = nr_in,
	};

	if (req->indirect) {
		chain.table = queue->tables +
			      queue->next_table++ % TABLES * TABLE_BYTES;
		chain.table_addr = disk_gpa(disk, chain.table);
	}
	req->done = false;
	return vring_add(&queue->ring, &chain, req);
}

static unsigned int cut_up(struct disk *disk, struct vring_buf *bufs,
			   uint8_t *data, uint32_t len, uint32_t cut)
{
	unsigned int n = 0;
	uint32_t size;

	for (; len; data += size, len -= size) {
		size = cut && cut < len ? cut : len;
		if (n == MAX_BUFS)
			tap_bail("too many pieces");
		bufs[n++] = (struct vring_buf) { disk_gpa(disk, data), size };
	}
	return n;
}

int disk_submit(struct disk *disk, unsigned int i, struct disk_request *req)
{
	static struct vring_buf bufs[2 * MAX_BUFS];
	bool out = req->type == VIRTIO_BLK_T_OUT ||
		   req->type == VIRTIO_BLK_T_DISCARD ||
		   req->type == VIRTIO_BLK_T_WRITE_ZEROES;
	unsigned int nr_out, nr_in = 0;
	struct virtio_blk_outhdr *hdr;
	uint8_t *status;

	req->slot = next_slot++ % SLOTS;
	hdr = (void *)slot_of(disk, req);
	hdr->type = req->type;
	hdr->ioprio = 0;
	hdr->sector = req->sector;
	status = (uint8_t *)hdr + 63;

	if (req->join && out) {
		/* The header stands right in front of the data. */
		memcpy(req->data - sizeof(*hdr), hdr, sizeof(*hdr));
		nr_out = cut_up(disk, bufs, req->data - sizeof(*hdr),
				req->len + sizeof(*hdr), req->cut);
	} else {
		nr_out = cut_up(disk, bufs, (uint8_t *)hdr, sizeof(*hdr),
				req->header_cut);
		if (out)
			nr_out += cut_up(disk, bufs + nr_out, req->data,
					 req->len, req->cut);
	}
	if (!out && req->join) {
		/* The status right behind. */
		status = req->data + req->len;
		nr_in = cut_up(disk, bufs + nr_out, req->data, req->len + 1,
			       req->cut);
	} else {
		if (!out)
			nr_in = cut_up(disk, bufs + nr_out, req->data,
				       req->len, req->cut);
		bufs[nr_out + nr_in++] =
			(struct vring_buf) { disk_gpa(disk, status), 1 };
	}
	*status = 0xff;
	req->status = status;
	return disk_submit_raw(disk, i, bufs, nr_out, nr_in, req);
}

void disk_kick(struct disk *disk, unsigned int i)
{
	struct disk_queue *queue = &disk->queues[i];
	uint64_t one = 1;

	vring_publish(&queue->ring);
	if (vring_kick_needed(&queue->ring))
		must(write(queue->kick, &one, sizeof(one)), "kick");
}

static int take(struct disk_queue *queue)
{
	struct disk_request *req;
	void *cookie;
	uint32_t len;
	int n = 0, ret;

	while ((ret = vring_get(&queue->ring, &cookie, &len)) > 0) {
		req = cookie;
		req->used_len = len;
		req->done = true;
		n++;
	}
	if (ret < 0)
		tap_bail("the device returned what it never had: %d", ret);
	return n;
}

int disk_reap(struct disk *disk, unsigned int i, int ms)
{
	struct disk_queue *queue = &disk->queues[i];
	struct pollfd pfd = { .fd = queue->call, .events = POLLIN };
	uint64_t calls;
	int n;

	for (;;) {
		n = take(queue);
		if (n || !ms)
			return n;
		vring_calls_on(&queue->ring);
		n = take(queue);
		if (n)
			return n;
		n = poll(&pfd, 1, ms);
		must(n, "poll");
		if (!n)
			return take(queue);
		if (read(queue->call, &calls, sizeof(calls)) < 0)
			must(-1, "call");
	}
}

bool disk_has_failed(struct disk *disk, unsigned int i, int ms)
{
	struct pollfd pfd = { .fd = disk->queues[i].error, .events = POLLIN };
	uint64_t errors;

	if (poll(&pfd, 1, ms) != 1)
		return false;
	return read(pfd.fd, &errors, sizeof(errors)) == sizeof(errors);
}

int disk_do(struct disk *disk, unsigned int i, struct disk_request *req)
{
	int ret = disk_submit(disk, i, req);

	if (ret)
		tap_bail("no room in the ring");
	disk_kick(disk, i);
	while (!req->done)
		if (!disk_reap(disk, i, 20000))
			return -1;
	return *req->status;
}

int disk_rw(struct disk *disk, uint32_t type, uint64_t sector, void *data,
	    uint32_t len)
{
	struct disk_request req = {
		.type = type,
		.sector = sector,
		.data = data,
		.len = len,
	};

	return disk_do(disk, 0, &req);
}

int disk_range(struct disk *disk, uint32_t type, uint64_t sector,
	       uint32_t sectors, uint32_t flags)
{
	struct virtio_blk_discard_write_zeroes *range;

	range = (void *)(disk->memory + DISK_FIXED - 4096);
	range->sector = sector;
	range->num_sectors = sectors;
	range->flags = flags;
	return disk_rw(disk, type, 0, range, sizeof(*range));
}

static uint32_t pattern(uint64_t sector, uint32_t word, uint32_t seed)
{
	return (uint32_t)sector * 2654435761u ^ word * 40503u ^ seed;
}

void disk_fill(void *data, uint32_t len, uint64_t sector, uint32_t seed)
{
	uint32_t i, v;

	for (i = 0; i < len / 4; i++) {
		v = pattern(sector + i / 128, i % 128, seed);
		memcpy((uint8_t *)data + 4 * i, &v, 4);
	}
}

bool disk_check(const void *data, uint32_t len, uint64_t sector,
		uint32_t seed)
{
	uint32_t i, v;

	for (i = 0; i < len / 4; i++) {
		memcpy(&v, (const uint8_t *)data + 4 * i, 4);
		if (v != pattern(sector + i / 128, i % 128, seed)) {
			tap_diag("wrong at byte %u: %08x", i * 4, v);
			return false;
		}
	}
	return true;
}
