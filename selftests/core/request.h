/* SPDX-License-Identifier: GPL-2.0 */
/* Tables of requests to a generic netlink family, and what each must give. */
#ifndef KHX_SELFTESTS_REQUEST_H
#define KHX_SELFTESTS_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "ctl.h"

struct attr {
	uint16_t type;
	uint16_t len;
	uint64_t value;
	const char *text;	/* instead of @value */
};

#define U8(type, value)		{ type, 1, value, NULL }
#define U32(type, value)	{ type, 4, value, NULL }
#define U64(type, value)	{ type, 8, value, NULL }
#define TEXT(type, text)	{ type, sizeof(text), 0, text }
#define EMPTY(type)		{ type, 0, 0, NULL }

struct request {
	const char *name;
	uint8_t cmd;
	bool dump;
	bool root;		/* needs CAP_SYS_ADMIN */
	struct attr attrs[3];
	int wanted;		/* 0 or a negative errno */
};

int request_run(struct ctl *ctl, const struct request *request);

/* One result each; what a family refuses by itself it must also explain. */
void requests_test(struct ctl *ctl, const struct request *requests,
		   unsigned int nr);

/*
 * All of them, by somebody who lacks CAP_SYS_ADMIN: 0 if each did what it should,
 * or was refused with -EPERM if it needs that. For a child: opens @family anew.
 */
int requests_powerless(const char *family, const struct request *requests,
		       unsigned int nr);

/* A well-formed header, and attributes of any kind, length and content. */
void request_random(struct ctl *ctl, unsigned int cmd_max,
		    unsigned int attr_max, unsigned int *seed);

#endif /* KHX_SELFTESTS_REQUEST_H */
