// SPDX-License-Identifier: GPL-2.0
/*
 * blkload -u SOCKET | -f DEVICE [-d DEPTH] [-n COUNT] [-r ROUNDS]: random reads of
 * 4 KiB, from a vhost-user-blk back end or, as the floor, by io_submit().
 *
 * A closed loop: DEPTH requests are in flight, and each that completes is
 * followed by another. Prints nanoseconds a request, the best of ROUNDS; under
 * icount these are the instructions of the whole machine, this program's own
 * included. Those are the same for all back ends.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/aio_abi.h>
#include <linux/fs.h>

#include "../blk/front-end.h"

#define MAX_DEPTH	64
#define SIZE		4096

static unsigned int depth = 1;
static unsigned long count = 20000;

/* Where a round begins and where it ends: insns.c counts in between. */
static __attribute__((noinline)) double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

/* The same sectors for everybody. */
static uint64_t next_sector(uint64_t sectors)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % (sectors / 8) * 8;
}

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void submit(struct front_end *front, struct front_request *req)
{
	req->sector = next_sector(front->config.capacity);
	if (front_submit(front, req, SIZE))
		die("submit");
}

/*
 * Until interrupted. A guest would halt, and be woken; a blocking read() is the
 * least that a process can do instead, and costs less than poll().
 */
static void wait_call(struct front_end *front)
{
	uint64_t calls;

	vring_calls_on(&front->ring);
	if (!vring_has_used(&front->ring) &&
	    read(front->call, &calls, sizeof(calls)) < 0)
		die("call");
}

static void round_user(struct front_end *front)
{
	static struct front_request reqs[MAX_DEPTH];
	struct front_request *done[MAX_DEPTH];
	unsigned long left = count;
	unsigned int i, flying = depth;
	int n;

	for (i = 0; i < depth; i++) {
		reqs[i].index = i;
		submit(front, &reqs[i]);
	}
	front_kick(front);
	while (flying) {
		n = front_reap(front, done, MAX_DEPTH);
		if (!n) {
			wait_call(front);
			continue;
		}
		for (i = 0; i < (unsigned int)n; i++) {
			if (front_status(front, done[i]->index))
				die("status");
			flying--;
			if (left > depth) {
				left--;
				flying++;
				submit(front, done[i]);
			}
		}
		front_kick(front);
	}
}

static void round_file(int fd, uint64_t sectors, aio_context_t ctx)
{
	static struct iocb iocbs[MAX_DEPTH], *list[MAX_DEPTH];
	struct io_event events[MAX_DEPTH];
	static char *buffer;
	unsigned long left = count;
	unsigned int i, flying = depth, n = depth;

	if (!buffer && posix_memalign((void **)&buffer, 4096,
				      MAX_DEPTH * SIZE))
		die("memory");
	for (i = 0; i < depth; i++) {
		iocbs[i].aio_lio_opcode = IOCB_CMD_PREAD;
		iocbs[i].aio_fildes = fd;
		iocbs[i].aio_buf = (uintptr_t)(buffer + i * SIZE);
		iocbs[i].aio_nbytes = SIZE;
		iocbs[i].aio_offset = next_sector(sectors) * 512;
		list[i] = &iocbs[i];
	}
	while (flying) {
		int got;

		if (n && syscall(SYS_io_submit, ctx, n, list) != n)
			die("io_submit");
		got = syscall(SYS_io_getevents, ctx, 1, MAX_DEPTH, events,
			      NULL);
		if (got < 1)
			die("io_getevents");
		for (i = 0, n = 0; i < (unsigned int)got; i++) {
			struct iocb *iocb = (void *)(uintptr_t)events[i].obj;

			if (events[i].res != SIZE)
				die("read");
			flying--;
			if (left > depth) {
				left--;
				flying++;
				iocb->aio_offset = next_sector(sectors) * 512;
				list[n++] = iocb;
			}
		}
	}
}

static void usage(void)
{
	fprintf(stderr,
		"usage: blkload -u SOCKET | -f DEVICE [-d DEPTH] [-n COUNT] [-r ROUNDS]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	const char *user = NULL, *file = NULL;
	double start, ns, best = 0;
	struct front_end front;
	aio_context_t ctx = 0;
	unsigned int rounds = 3;
	uint64_t bytes = 0;
	int c, fd = -1;

	while ((c = getopt(argc, argv, "u:f:d:n:r:")) != -1) {
		switch (c) {
		case 'u':
			user = optarg;
			break;
		case 'f':
			file = optarg;
			break;
		case 'd':
			depth = atoi(optarg);
			break;
		case 'n':
			count = atol(optarg);
			break;
		case 'r':
			rounds = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (!user == !file || depth < 1 || depth > MAX_DEPTH || count < depth)
		usage();
	if (user) {
		if (front_connect(&front, user) || front_start(&front) ||
		    fcntl(front.call, F_SETFL, 0))
			die(user);
	} else {
		fd = open(file, O_RDONLY | O_DIRECT);
		if (fd < 0 || ioctl(fd, BLKGETSIZE64, &bytes) ||
		    syscall(SYS_io_setup, MAX_DEPTH, &ctx))
			die(file);
	}
	while (rounds--) {
		start = now();
		if (user)
			round_user(&front);
		else
			round_file(fd, bytes / 512, ctx);
		ns = (now() - start) / count;
		if (!best || ns < best)
			best = ns;
	}
	printf("%.0f\n", best);
	return 0;
}
