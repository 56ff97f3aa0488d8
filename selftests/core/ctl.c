// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "tap.h"

const struct nlattr *ctl_attr(const struct nlmsghdr *nlh, uint16_t type)
{
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

struct nlmsghdr *ctl_request(struct ctl *ctl, uint8_t cmd, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(ctl->request);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = ctl->family;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = KHX_GENL_VERSION;
	return nlh;
}

static void ctl_read_extack(struct ctl *ctl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	unsigned int offset = sizeof(*err);
	const struct nlattr *attr;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		offset += mnl_nlmsg_get_payload_len(&err->msg);
	mnl_attr_for_each(attr, nlh, offset) {
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_MSG)
			snprintf(ctl->extack, sizeof(ctl->extack), "%s",
				 mnl_attr_get_str(attr));
		if (mnl_attr_get_type(attr) == NLMSGERR_ATTR_OFFS)
			ctl->offset = mnl_attr_get_u32(attr);
	}
}

/* Returns 1 to go on, 0 at the end, or a negative errno. */
static int ctl_message(struct ctl *ctl, const struct nlmsghdr *nlh,
		       mnl_cb_t cb, void *data)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);

	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		ctl->interrupted = 1;
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		ctl_read_extack(ctl, nlh);
		return err->error;
	}
	if (nlh->nlmsg_type == NLMSG_DONE)
		return *(const int *)mnl_nlmsg_get_payload(nlh);
	if (cb)
		cb(nlh, data);
	return 1;
}

int ctl_run(struct ctl *ctl, struct nlmsghdr *request, mnl_cb_t cb,
	    void *data)
{
	const struct nlmsghdr *nlh;
	ssize_t len;
	int ret = 1, rest;

	ctl->extack[0] = '\0';
	ctl->offset = 0;
	ctl->interrupted = 0;
	request->nlmsg_seq = ++ctl->seq;
	if (mnl_socket_sendto(ctl->socket, request, request->nlmsg_len) < 0)
		return -errno;
	while (ret == 1) {
		len = mnl_socket_recvfrom(ctl->socket, ctl->reply,
					  sizeof(ctl->reply));
		if (len < 0)
			return -errno;
		nlh = (const struct nlmsghdr *)ctl->reply;
		for (rest = len; ret == 1 && mnl_nlmsg_ok(nlh, rest);
		     nlh = mnl_nlmsg_next(nlh, &rest))
			ret = ctl_message(ctl, nlh, cb, data);
	}
	return ret;
}

static int ctl_family_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct nlattr *attr = ctl_attr(nlh, CTRL_ATTR_FAMILY_ID);

	if (attr)
		*(uint16_t *)data = mnl_attr_get_u16(attr);
	return MNL_CB_OK;
}

void ctl_open_family(struct ctl *ctl, const char *name)
{
	struct nlmsghdr *nlh;
	uint16_t family = 0;
	int on = 1, ret;

	memset(ctl, 0, sizeof(*ctl));
	ctl->socket = mnl_socket_open(NETLINK_GENERIC);
	if (!ctl->socket ||
	    mnl_socket_bind(ctl->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		tap_bail("no generic netlink: %s", strerror(errno));
	mnl_socket_setsockopt(ctl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(ctl->socket, NETLINK_CAP_ACK, &on, sizeof(on));

	ctl->family = GENL_ID_CTRL;
	nlh = ctl_request(ctl, CTRL_CMD_GETFAMILY, 0);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, name);
	ret = ctl_run(ctl, nlh, ctl_family_cb, &family);
	if (ret || !family)
		tap_bail("no family %s: %s", name, strerror(-ret));
	ctl->family = family;
}

void ctl_open(struct ctl *ctl)
{
	ctl_open_family(ctl, KHX_GENL_NAME);
}

void ctl_close(struct ctl *ctl)
{
	mnl_socket_close(ctl->socket);
}

static int ctl_count_cb(const struct nlmsghdr *nlh, void *data)
{
	(void)nlh;
	++*(int *)data;
	return MNL_CB_OK;
}

int ctl_count(struct ctl *ctl, uint8_t cmd)
{
	int n = 0;

	ctl_run(ctl, ctl_request(ctl, cmd, NLM_F_DUMP), ctl_count_cb, &n);
	return n;
}

int ctl_become_nobody(void)
{
	return setgid(65534) || setuid(65534);
}

static int ctl_last_cb(const struct nlmsghdr *nlh, void *data)
{
	uint32_t *last = data, dev;

	dev = mnl_attr_get_u32(ctl_attr(nlh, KHX_A_DEV_ID));
	if (dev > *last)
		*last = dev;
	return MNL_CB_OK;
}

uint32_t ctl_last_device(struct ctl *ctl)
{
	uint32_t last = 0;

	ctl_run(ctl, ctl_request(ctl, KHX_CMD_DEV_GET, NLM_F_DUMP),
		ctl_last_cb, &last);
	return last;
}
