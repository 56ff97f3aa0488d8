/* SPDX-License-Identifier: GPL-2.0 */
/* What a front end asks for. */
#ifndef KHX_VHOST_USER_REQUESTS_H
#define KHX_VHOST_USER_REQUESTS_H

#include <stdbool.h>

struct message;
struct session;

/* Do what @m asks, and answer it. Returns whether the session goes on. */
bool request_handle(struct session *s, struct message *m);

#endif
