// SPDX-License-Identifier: GPL-2.0
/*
 * tapfds NAME FD,FD... COMMAND...: run COMMAND with a queue of the tap NAME
 * open on each FD, as libvirt starts QEMU. A shell cannot open them itself.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void open_queue(const char *name, int wanted)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR |
			     IFF_MULTI_QUEUE,
	};
	int fd = open("/dev/net/tun", O_RDWR);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr))
		err(1, "%s", name);
	if (fd == wanted)
		return;
	if (dup2(fd, wanted) < 0)
		err(1, "file descriptor %d", wanted);
	close(fd);
}

int main(int argc, char **argv)
{
	char *number;

	if (argc < 4)
		errx(2, "usage: tapfds NAME FD,FD... COMMAND...");
	for (number = strtok(argv[2], ","); number; number = strtok(NULL, ","))
		open_queue(argv[1], atoi(number));
	execvp(argv[3], argv + 3);
	err(127, "%s", argv[3]);
}
