// SPDX-License-Identifier: GPL-2.0
/*
 * activate SOCKET... -- COMMAND...: run COMMAND as systemd does that has listened
 * on the sockets for it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tap.h"

/* Sockets are passed from this number on. */
#define FIRST	3

static void listen_on(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    listen(fd, 1))
		tap_bail("%s: no socket", path);
}

int main(int argc, char **argv)
{
	char number[16];
	int i;

	closefrom(FIRST);
	for (i = 1; i < argc && strcmp(argv[i], "--"); i++)
		listen_on(argv[i]);
	if (i + 1 >= argc)
		tap_bail("usage: activate SOCKET... -- COMMAND...");
	snprintf(number, sizeof(number), "%d", i - 1);
	setenv("LISTEN_FDS", number, 1);
	snprintf(number, sizeof(number), "%d", getpid());
	setenv("LISTEN_PID", number, 1);
	execvp(argv[i + 1], argv + i + 1);
	tap_bail("%s does not run", argv[i + 1]);
}
