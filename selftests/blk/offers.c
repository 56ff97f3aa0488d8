// SPDX-License-Identifier: GPL-2.0
/*
 * offers SOCKET SIZE...: print what a back end has for a front end: for each size
 * whether it takes a virtqueue of it, the cache mode, the status of a read.
 */
#include <stdio.h>
#include <stdlib.h>

#include <linux/vhost.h>

#include "front-end.h"
#include "tap.h"

int main(int argc, char **argv)
{
	struct front_request req = { .type = VIRTIO_BLK_T_IN }, *done;
	struct front_end front;
	int i;

	if (argc < 2 || front_connect(&front, argv[1]))
		tap_bail("usage: offers SOCKET SIZE...");
	for (i = 2; i < argc; i++) {
		struct vhost_vring_state num = { 0, atoi(argv[i]) };
		uint64_t status = -1;

		/* SET_VRING_NUM, to be answered. */
		front_send(&front, 8, 8, &num, sizeof(num), NULL, 0);
		front_receive(&front, &status, sizeof(status));
		printf("%s ", status ? "no" : "yes");
	}
	if (front_start(&front) || front_submit(&front, &req, 4096))
		tap_bail("no front end");
	front_kick(&front);
	while (!front_reap(&front, &done, 1))
		if (!front_wait(&front, 60000))
			tap_bail("no answer");
	printf("%u %u\n", front.config.wce, front_status(&front, 0));
	front_close(&front);
	return 0;
}
