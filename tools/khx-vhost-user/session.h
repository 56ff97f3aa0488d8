/* SPDX-License-Identifier: GPL-2.0 */
/* One front end, from its connection to its end. */
#ifndef KHX_VHOST_USER_SESSION_H
#define KHX_VHOST_USER_SESSION_H

struct disk;

/* Serve the front end on @socket until it goes; closes the socket. */
void session_run(struct disk *disk, int socket);

#endif
