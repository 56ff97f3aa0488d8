// SPDX-License-Identifier: GPL-2.0
/*
 * resize SOCKET COMMAND...: COMMAND changes the size of the disk that is served
 * there. Prints the sectors before and, once the back end has told of the change,
 * after, and the statuses of a read at either end, before and after.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/wait.h>

#include "front-end.h"
#include "tap.h"

static int read_at_end(struct front_end *front, uint64_t sectors)
{
	struct front_request req = {
		.type = VIRTIO_BLK_T_IN,
		.sector = sectors - 8,
	};

	return front_do(front, &req, 4096);
}

static int run(char **command)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		execvp(command[0], command);
		_exit(127);
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

int main(int argc, char **argv)
{
	struct front_end front;
	uint64_t before, after;
	int beyond;

	if (argc < 3)
		tap_bail("usage: resize SOCKET COMMAND...");
	if (front_connect(&front, argv[1]) || front_start(&front) ||
	    front_listen(&front))
		tap_bail("no front end");
	before = front.config.capacity;
	/* It is never larger than half as much again. */
	beyond = read_at_end(&front, before * 3 / 2);
	if (run(argv + 2))
		tap_bail("%s failed", argv[2]);
	if (!front_wait_config(&front, 20000))
		tap_bail("the front end was not told");
	after = front.config.capacity;
	printf("%llu %d %llu %d\n", (unsigned long long)before, beyond,
	       (unsigned long long)after, read_at_end(&front, after));
	front_close(&front);
	return 0;
}
