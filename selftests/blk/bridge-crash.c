// SPDX-License-Identifier: GPL-2.0
/*
 * bridge-crash front|back ROUNDS SOCKET COMMAND...: COMMAND serves a disk on
 * SOCKET. A front end writes records (records.h), and it or COMMAND is killed at
 * random moments.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "back-end.h"
#include "front-end.h"
#include "records.h"
#include "tap.h"

#define PATIENCE_MS	20000

static struct back_end bridge;

/* Shared with the writer: the last record whose FLUSH was answered. */
static volatile unsigned int *acked;

static bool is_cut(struct front_end *front)
{
	char byte;
	ssize_t n = recv(front->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

	return !n || (n < 0 && errno != EAGAIN);
}

/* 0, or why not; whether the bridge was killed shows after the answer. */
static int io(struct front_end *front, uint32_t type, unsigned int n)
{
	struct front_request req = {
		.type = type,
		.sector = record_sector(n),
	};
	struct front_request *done;
	unsigned int waited;

	if (front_submit(front, &req, RECORD_SIZE))
		return -1;
	front_kick(front);
	for (waited = 0; !front_reap(front, &done, 1); waited += 100)
		if (!front_wait(front, 100) &&
		    (is_cut(front) || waited > PATIENCE_MS))
			return -1;
	return front_status(front, 0);
}

static void write_records(unsigned int n)
{
	struct front_end front;

	if (front_connect(&front, bridge.path) || front_start(&front))
		_exit(1);
	for (;; n++) {
		record_fill(front_data(&front, 0), n);
		if (io(&front, VIRTIO_BLK_T_OUT, n) ||
		    io(&front, VIRTIO_BLK_T_FLUSH, n))
			_exit(0);
		*acked = n;
	}
}

static unsigned int check_records(unsigned int last)
{
	struct front_end front;
	unsigned int n, bad = 0;

	back_end_need(&bridge);
	if (front_connect(&front, bridge.path) || front_start(&front))
		tap_bail("no front end");
	for (n = records_first(last); n <= last + 1; n++)
		bad += io(&front, VIRTIO_BLK_T_IN, n) ||
		       !record_is_good(front_data(&front, 0), n, last);
	front_close(&front);
	return bad;
}

/* One of the two is killed; returns whether any record was written before. */
static bool crash(bool back)
{
	unsigned int before = *acked;
	pid_t writer;
	int status;

	back_end_need(&bridge);
	writer = fork();
	if (!writer)
		write_records(before + 1);
	while (*acked == before && !waitpid(writer, &status, WNOHANG))
		usleep(1000);
	usleep(rand() % 20000);
	if (back)
		back_end_kill(&bridge, SIGKILL);
	else
		kill(writer, SIGKILL);
	waitpid(writer, &status, 0);
	return *acked != before;
}

int main(int argc, char **argv)
{
	unsigned int round, rounds, wrote = 0, bad = 0;
	bool back;

	if (argc < 5)
		tap_bail("usage: bridge-crash front|back ROUNDS SOCKET COMMAND...");
	back = !strcmp(argv[1], "back");
	rounds = atoi(argv[2]);
	bridge.path = argv[3];
	bridge.command = argv + 4;
	acked = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (acked == MAP_FAILED)
		tap_bail("mmap");
	srand(time(NULL));
	tap_plan(2);
	for (round = 0; round < rounds; round++) {
		wrote += crash(back);
		bad += check_records(*acked);
	}
	back_end_kill(&bridge, SIGTERM);
	tap_diag("%u records", *acked);
	tap_is(wrote, rounds, "records were written each time");
	tap_is(bad, 0, "records that are missing or torn");
	return tap_exit();
}
