// SPDX-License-Identifier: GPL-2.0
/*
 * front-io SOCKET ((in|out|flush) SECTOR|wce MODE)...: as disk-io, by a front end of
 * khx-vhost-user; of `wce`, the mode that the configuration says then is printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "front-end.h"
#include "tap.h"

static int request(struct front_end *front, const char *name, const char *number)
{
	struct front_request req = {
		.type = !strcmp(name, "in") ? VIRTIO_BLK_T_IN :
			!strcmp(name, "out") ? VIRTIO_BLK_T_OUT :
					       VIRTIO_BLK_T_FLUSH,
		.sector = strtoull(number, NULL, 0),
	};

	if (!strcmp(name, "wce"))
		return front_set_wce(front, req.sector);
	return front_do(front, &req, 4096);
}

int main(int argc, char **argv)
{
	struct front_end front;
	int i;

	if (argc < 4)
		tap_bail("usage: front-io SOCKET ((in|out|flush) SECTOR|wce MODE)...");
	if (front_connect(&front, argv[1]) || front_start(&front))
		tap_bail("%s", argv[1]);
	for (i = 2; i + 1 < argc; i += 2)
		printf("%d\n", request(&front, argv[i], argv[i + 1]));
	front_close(&front);
	return 0;
}
