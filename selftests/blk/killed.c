// SPDX-License-Identifier: GPL-2.0
/*
 * killed PATH MIB: an owner is killed a second after he has asked for so many MiB,
 * in memory that nobody has touched. Prints the status of that, and how many ms the
 * owner lasted.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

/* Of the owner, to be looked at when he is dead. */
static struct owner {
	struct disk disk;
	struct disk_request req;
} *owner;

static void own(const char *path, unsigned int mib, int ready)
{
	disk_open(&owner->disk, path, &(struct disk_options){});
	owner->req = (struct disk_request){
		.type = VIRTIO_BLK_T_IN, .len = mib << 20, .cut = 1 << 20,
		.data = owner->disk.memory + DISK_DATA,
	};
	if (disk_submit(&owner->disk, 0, &owner->req))
		tap_bail("no room in the ring");
	disk_kick(&owner->disk, 0);
	if (write(ready, "", 1) == 1)
		pause();
}

static const uint8_t *map_memory(pid_t pid)
{
	const uint8_t *memory;
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", pid, owner->disk.memfd);
	fd = open(name, O_RDONLY);
	memory = mmap(NULL, DISK_MEMORY, PROT_READ, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		tap_bail("%s", name);
	close(fd);
	return memory;
}

static unsigned int now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int main(int argc, char **argv)
{
	const uint8_t *memory;
	unsigned int start;
	int ready[2];
	pid_t pid;
	char byte;

	if (argc != 3)
		tap_bail("usage: killed PATH MIB");
	owner = mmap(NULL, sizeof(*owner), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (owner == MAP_FAILED || pipe(ready))
		tap_bail("no owner");
	pid = fork();
	if (!pid)
		own(argv[1], atoi(argv[2]), ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		tap_bail("no owner");
	memory = map_memory(pid);
	start = now_ms();
	sleep(1);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	printf("%d %u\n", memory[owner->req.status - owner->disk.memory],
	       now_ms() - start);
	return 0;
}
