/* SPDX-License-Identifier: GPL-2.0 */
/* The generic netlink family khx, as a test wants it: errors are results. */
#ifndef KHX_SELFTESTS_CTL_H
#define KHX_SELFTESTS_CTL_H

#include <libmnl/libmnl.h>
#include <linux/khx.h>
#include <stdint.h>

/**
 * struct ctl - a socket of the family
 * @socket: the socket
 * @family: number of the family
 * @seq: of the last request
 * @extack: what the kernel said to the last request, or ""
 * @offset: of the attribute that it did not like, or 0
 * @interrupted: the last dump was not consistent
 * @request: room for the request
 * @reply: room for messages of the reply
 */
struct ctl {
	struct mnl_socket *socket;
	uint16_t family;
	uint32_t seq;
	char extack[256];
	uint32_t offset;
	int interrupted;
	char request[16384];
	char reply[65536];
};

/* End the test when there is no such family; it is khx if none is named. */
void ctl_open(struct ctl *ctl);
void ctl_open_family(struct ctl *ctl, const char *name);
void ctl_close(struct ctl *ctl);

/* A request to add attributes to; @flags besides NLM_F_REQUEST and _ACK. */
struct nlmsghdr *ctl_request(struct ctl *ctl, uint8_t cmd, uint16_t flags);

/* Each message of the reply goes to @cb. Returns 0 or a negative errno. */
int ctl_run(struct ctl *ctl, struct nlmsghdr *request, mnl_cb_t cb,
	    void *data);

/* How many messages are the answer to a dump by @cmd without attributes? */
int ctl_count(struct ctl *ctl, uint8_t cmd);

/* For who goes on in a child: no user's, without privileges. 0 if it worked. */
int ctl_become_nobody(void);

/* Number of the device that this process opened last, or 0. */
uint32_t ctl_last_device(struct ctl *ctl);

/* The first attribute of that type of a message, or NULL. */
const struct nlattr *ctl_attr(const struct nlmsghdr *nlh, uint16_t type);

#endif /* KHX_SELFTESTS_CTL_H */
