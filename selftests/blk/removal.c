// SPDX-License-Identifier: GPL-2.0
/*
 * removal PATH COMMAND...: COMMAND takes the device away while requests are on
 * their way to it. All of them are answered, with errors from then on.
 */
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define DEPTH	32

static struct disk disk;
static struct disk_request reqs[DEPTH];
static unsigned int good, failed, strange;

static void submit(unsigned int i)
{
	reqs[i] = (struct disk_request) {
		.type = i % 2 ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.sector = i * 8,
		.data = disk.memory + DISK_DATA + i * 4096,
		.len = 4096,
	};
	if (disk_submit(&disk, 0, &reqs[i]))
		tap_bail("no room in the ring");
}

/* Take what is done, and replace it while @more; how many are in flight? */
static unsigned int turn(bool more)
{
	unsigned int i, flying = 0;

	for (i = 0; i < DEPTH; i++) {
		if (reqs[i].done) {
			good += *reqs[i].status == VIRTIO_BLK_S_OK;
			failed += *reqs[i].status == VIRTIO_BLK_S_IOERR;
			strange += *reqs[i].status > VIRTIO_BLK_S_IOERR;
			reqs[i].done = false;
			reqs[i].status = NULL;
			if (more)
				submit(i);
		}
		flying += !!reqs[i].status;
	}
	disk_kick(&disk, 0);
	return flying;
}

/* It begins when there is a byte in the pipe. */
static pid_t run(char **command, int pipe)
{
	pid_t pid = fork();
	char byte;

	if (!pid) {
		if (read(pipe, &byte, 1) != 1)
			_exit(127);
		execvp(command[0], command);
		_exit(127);
	}
	return pid;
}

int main(int argc, char **argv)
{
	struct disk_options options = {};
	unsigned int i, before;
	int status = 0, pipes[2];
	bool more, told = false;
	pid_t pid;

	if (argc < 3)
		tap_bail("usage: removal PATH COMMAND...");
	disk_open(&disk, argv[1], &options);
	tap_plan(5);
	for (i = 0; i < DEPTH; i++)
		submit(i);
	disk_kick(&disk, 0);
	if (pipe(pipes))
		tap_bail("pipe");
	pid = run(argv + 2, pipes[0]);
	do {
		if (good > DEPTH && !told) {
			told = true;
			write(pipes[1], "", 1);
		}
		if (!disk_reap(&disk, 0, 20000))
			tap_bail("no answer");
		more = waitpid(pid, &status, WNOHANG) != pid;
	} while (turn(more) && more);
	tap_is(status, 0, "the device goes");
	tap_diag("%u requests, %u errors until then", good, failed);
	tap_ok(good > DEPTH, "before that, requests are done");

	while (turn(false) && disk_reap(&disk, 0, 20000))
		;
	tap_is(turn(false), 0, "all are answered");
	tap_is(strange, 0, "with statuses that there are");
	before = failed;
	for (i = 0; i < DEPTH; i++)
		submit(i);
	disk_kick(&disk, 0);
	while (turn(false) && disk_reap(&disk, 0, 20000))
		;
	tap_is(failed - before, DEPTH, "the next ones are errors");
	disk_close(&disk);
	return tap_exit();
}
