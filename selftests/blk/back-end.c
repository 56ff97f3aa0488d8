// SPDX-License-Identifier: GPL-2.0
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "back-end.h"
#include "tap.h"

#define PATIENCE_MS	20000

static bool listens(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool ok;

	strncpy(address.sun_path, path, sizeof(address.sun_path) - 1);
	ok = !connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return ok;
}

void back_end_need(struct back_end *back)
{
	unsigned int i;

	if (back->pid)
		return;
	back->pid = fork();
	if (!back->pid) {
		execvp(back->command[0], back->command);
		_exit(127);
	}
	for (i = 0; i < PATIENCE_MS / 10 && !listens(back->path); i++)
		usleep(10000);
	if (i == PATIENCE_MS / 10)
		tap_bail("%s does not listen", back->command[0]);
}

void back_end_kill(struct back_end *back, int signal)
{
	int status;

	if (!back->pid)
		return;
	kill(back->pid, signal);
	waitpid(back->pid, &status, 0);
	back->pid = 0;
}
