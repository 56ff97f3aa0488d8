// SPDX-License-Identifier: GPL-2.0
/*
 * crash PATH ROUNDS [packed]: who writes numbered records, each followed by a
 * FLUSH, is killed at random moments. No record whose FLUSH was answered may
 * be missing, and of the one that was being written each sector is the old or
 * the new one.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "disk.h"
#include "records.h"
#include "tap.h"

static struct disk_options options;
static const char *path;

/* Shared with the writer: the last record whose FLUSH was answered. */
static volatile unsigned int *acked;

static void write_records(unsigned int n)
{
	struct disk_request flush = { .type = VIRTIO_BLK_T_FLUSH };
	struct disk disk;
	uint8_t *data;

	disk_open(&disk, path, &options);
	data = disk.memory + DISK_DATA;
	for (;; n++) {
		record_fill(data, n);
		if (disk_rw(&disk, VIRTIO_BLK_T_OUT, record_sector(n), data,
			    RECORD_SIZE) || disk_do(&disk, 0, &flush))
			_exit(1);
		*acked = n;
	}
}

static unsigned int check_records(unsigned int last)
{
	unsigned int n, bad = 0;
	struct disk disk;
	uint8_t *data;

	disk_open(&disk, path, &options);
	data = disk.memory + DISK_DATA;
	for (n = records_first(last); n <= last + 1; n++)
		bad += disk_rw(&disk, VIRTIO_BLK_T_IN, record_sector(n), data,
			       RECORD_SIZE) || !record_is_good(data, n, last);
	disk_close(&disk);
	return bad;
}

int main(int argc, char **argv)
{
	unsigned int round, rounds, bad = 0, died = 0;
	int status;
	pid_t pid;

	if (argc < 3)
		tap_bail("usage: crash PATH ROUNDS [packed]");
	path = argv[1];
	rounds = atoi(argv[2]);
	options.packed = argc > 3;
	acked = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (acked == MAP_FAILED)
		tap_bail("mmap");
	srand(time(NULL));
	tap_plan(3);
	for (round = 0; round < rounds; round++) {
		unsigned int before = *acked;

		pid = fork();
		if (!pid)
			write_records(before + 1);
		while (*acked == before && !waitpid(pid, &status, WNOHANG))
			usleep(1000);
		usleep(rand() % 20000);
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
		died += *acked == before;
		bad += check_records(*acked);
	}
	tap_diag("%u records", *acked);
	tap_is(died, 0, "all of %u writers wrote until they were killed",
	       rounds);
	tap_ok(*acked > rounds, "records were written");
	tap_is(bad, 0, "records that are missing or torn");
	return tap_exit();
}
