// SPDX-License-Identifier: GPL-2.0
/*
 * Requests to one of our generic netlink families, by libmnl. What comes back
 * becomes JSON rows, whatever is then made of them.
 */
#include <errno.h>
#include <json-c/json.h>
#include <linux/genetlink.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nl.h"
#include "out.h"

/* A dump that is disturbed each time is an error. */
#define NL_DUMP_TRIES	10

/* Room for a dump's messages: the kernel fills at most 32 KiB at once. */
#define NL_BUFFER	65536

struct nl {
	struct mnl_socket *socket;
	const char *family;
	uint16_t family_id;
	uint32_t seq;
	nl_name_fn name;
	char error[256];
	char request[8192];
	char reply[NL_BUFFER];
};

/* How the messages of one reply become rows. */
struct nl_reader {
	struct nl *nl;
	nl_row_fn row;
	unsigned int attr_max;
	struct json_object *rows;
	bool interrupted;	/* a dump that is not consistent */
};

struct nl_attrs {
	const struct nlattr **attrs;
	unsigned int max;
};

void nl_set_names(struct nl *nl, nl_name_fn name)
{
	nl->name = name;
}

const char *nl_error(const struct nl *nl)
{
	return nl->error;
}

static int nl_fail(struct nl *nl, int err)
{
	if (err == EPERM)
		snprintf(nl->error, sizeof(nl->error),
			 "Operation not permitted (are you root?)");
	else
		snprintf(nl->error, sizeof(nl->error), "%s", strerror(err));
	return -err;
}

static int nl_attrs_cb(const struct nlattr *attr, void *data)
{
	struct nl_attrs *to = data;

	if (mnl_attr_get_type(attr) <= to->max)
		to->attrs[mnl_attr_get_type(attr)] = attr;
	return MNL_CB_OK;
}

const struct nlattr *nl_nested(const struct nlattr *nest, unsigned int type)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest)
		if (mnl_attr_get_type(attr) == type)
			return attr;
	return NULL;
}

/* The name of the attribute that the kernel points at, "" if there is none. */
static const char *nl_bad_attr(const struct nl *nl, const struct nlattr *offset)
{
	const struct nlmsghdr *request = (const void *)nl->request;
	const struct nlattr *attr;

	if (!offset || !nl->name)
		return "";
	mnl_attr_for_each(attr, request, sizeof(struct genlmsghdr))
		if ((const char *)attr - nl->request ==
		    mnl_attr_get_u32(offset))
			return nl->name(mnl_attr_get_type(attr)) ?: "";
	return "";
}

/*
 * The kernel's own words, if it has some, are better than any errno. They
 * begin with the name of the attribute, or we do it for them.
 */
static void nl_read_extack(struct nl *nl, const struct nlmsghdr *nlh)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attrs[NLMSGERR_ATTR_MAX + 1] = { NULL };
	struct nl_attrs to = { attrs, NLMSGERR_ATTR_MAX };
	unsigned int offset = sizeof(*err);
	const char *text, *name;

	if (!(nlh->nlmsg_flags & NLM_F_ACK_TLVS))
		return;
	if (!(nlh->nlmsg_flags & NLM_F_CAPPED))
		offset += mnl_nlmsg_get_payload_len(&err->msg);
	if (mnl_attr_parse(nlh, offset, nl_attrs_cb, &to) < 0 ||
	    !attrs[NLMSGERR_ATTR_MSG])
		return;
	text = mnl_attr_get_str(attrs[NLMSGERR_ATTR_MSG]);
	name = nl_bad_attr(nl, attrs[NLMSGERR_ATTR_OFFS]);
	if (!strncmp(text, name, strlen(name)))
		name = "";
	snprintf(nl->error, sizeof(nl->error), "%s%s%s", name,
		 *name ? ": " : "", text);
}

static int nl_error_cb(const struct nlmsghdr *nlh, void *data)
{
	const struct nlmsgerr *err = mnl_nlmsg_get_payload(nlh);
	struct nl_reader *reader = data;

	if (nlh->nlmsg_len < mnl_nlmsg_size(sizeof(*err))) {
		errno = EBADMSG;
		return MNL_CB_ERROR;
	}
	if (!err->error)
		return MNL_CB_STOP;
	nl_fail(reader->nl, -err->error);
	nl_read_extack(reader->nl, nlh);
	errno = -err->error;
	return MNL_CB_ERROR;
}

/* The end of a dump, which may tell of an error too. */
static int nl_done_cb(const struct nlmsghdr *nlh, void *data)
{
	struct nl_reader *reader = data;
	const int *err = mnl_nlmsg_get_payload(nlh);

	if (mnl_nlmsg_get_payload_len(nlh) < sizeof(*err) || *err >= 0)
		return MNL_CB_STOP;
	nl_fail(reader->nl, -*err);
	errno = -*err;
	return MNL_CB_ERROR;
}

static mnl_cb_t nl_control_cbs[] = {
	[NLMSG_ERROR] = nl_error_cb,
	[NLMSG_DONE] = nl_done_cb,
};

static struct json_object *nl_read_row(struct nl_reader *reader,
				       const struct nlmsghdr *nlh)
{
	const struct genlmsghdr *genl = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *attrs[reader->attr_max + 1];
	struct nl_attrs to = { attrs, reader->attr_max };

	memset(attrs, 0, sizeof(attrs));
	if (mnl_attr_parse(nlh, sizeof(*genl), nl_attrs_cb, &to) < 0)
		return NULL;
	return reader->row(genl->cmd, attrs);
}

static int nl_row_cb(const struct nlmsghdr *nlh, void *data)
{
	struct nl_reader *reader = data;
	struct json_object *row;

	if (!reader->row)
		return MNL_CB_OK;
	row = nl_read_row(reader, nlh);
	if (row)
		json_object_array_add(reader->rows, row);
	return MNL_CB_OK;
}

/*
 * libmnl would end at the first message that is marked, with the rest of the
 * dump still to come.
 */
static void nl_take_interrupted(struct nl_reader *reader, size_t len)
{
	struct nlmsghdr *nlh = (struct nlmsghdr *)reader->nl->reply;
	int rest = len;

	for (; mnl_nlmsg_ok(nlh, rest); nlh = mnl_nlmsg_next(nlh, &rest)) {
		if (!(nlh->nlmsg_flags & NLM_F_DUMP_INTR))
			continue;
		nlh->nlmsg_flags &= ~NLM_F_DUMP_INTR;
		reader->interrupted = true;
	}
}

/* Send, then read until the acknowledgment or the end of the dump. */
static int nl_exchange(struct nl *nl, struct nlmsghdr *request,
		       struct nl_reader *reader)
{
	unsigned int port = mnl_socket_get_portid(nl->socket);
	ssize_t len;
	int ret;

	request->nlmsg_seq = ++nl->seq;
	if (mnl_socket_sendto(nl->socket, request, request->nlmsg_len) < 0)
		return nl_fail(nl, errno);
	nl->error[0] = '\0';
	do {
		len = mnl_socket_recvfrom(nl->socket, nl->reply,
					  sizeof(nl->reply));
		if (len < 0)
			return nl_fail(nl, errno);
		nl_take_interrupted(reader, len);
		ret = mnl_cb_run2(nl->reply, len, nl->seq, port, nl_row_cb,
				  reader, nl_control_cbs,
				  MNL_ARRAY_SIZE(nl_control_cbs));
	} while (ret > MNL_CB_STOP);

	if (ret == MNL_CB_STOP)
		return reader->interrupted ? -EINTR : 0;
	ret = -errno;
	return nl->error[0] ? ret : nl_fail(nl, -ret);
}

struct nlmsghdr *nl_request(struct nl *nl, unsigned int cmd)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(nl->request);
	struct genlmsghdr *genl;

	nlh->nlmsg_type = nl->family_id;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	genl = mnl_nlmsg_put_extra_header(nlh, sizeof(*genl));
	genl->cmd = cmd;
	genl->version = 1;
	return nlh;
}

int nl_run(struct nl *nl, struct nlmsghdr *request)
{
	struct nl_reader reader = { .nl = nl };

	return nl_exchange(nl, request, &reader);
}

int nl_get(struct nl *nl, struct nlmsghdr *request, unsigned int attr_max,
	   nl_row_fn row, struct json_object **rows)
{
	struct nl_reader reader = {
		.nl = nl,
		.row = row,
		.attr_max = attr_max,
		.rows = json_object_new_array(),
	};
	int ret;

	ret = nl_exchange(nl, request, &reader);
	if (ret) {
		json_object_put(reader.rows);
		return ret;
	}
	*rows = reader.rows;
	return 0;
}

int nl_dump(struct nl *nl, struct nlmsghdr *request, unsigned int attr_max,
	    nl_row_fn row, struct json_object **rows)
{
	int ret, tries = NL_DUMP_TRIES;

	request->nlmsg_flags |= NLM_F_DUMP;
	while (tries--) {
		ret = nl_get(nl, request, attr_max, row, rows);
		if (ret != -EINTR)
			return ret;
	}
	snprintf(nl->error, sizeof(nl->error),
		 "the list changed each time it was read");
	return ret;
}

/* Of nlctrl: the family's number, and its groups below "groups". */
static struct json_object *nl_family_row(unsigned int cmd,
					 const struct nlattr *const *attrs)
{
	struct json_object *row = json_object_new_object();
	struct json_object *groups = json_object_new_object();
	const struct nlattr *attr, *name, *id;

	(void)cmd;
	if (attrs[CTRL_ATTR_FAMILY_ID])
		out_u64(row, "id",
			mnl_attr_get_u16(attrs[CTRL_ATTR_FAMILY_ID]));
	json_object_object_add(row, "groups", groups);
	if (!attrs[CTRL_ATTR_MCAST_GROUPS])
		return row;
	mnl_attr_for_each_nested(attr, attrs[CTRL_ATTR_MCAST_GROUPS]) {
		name = nl_nested(attr, CTRL_ATTR_MCAST_GRP_NAME);
		id = nl_nested(attr, CTRL_ATTR_MCAST_GRP_ID);
		if (name && id)
			out_u64(groups, mnl_attr_get_str(name),
				mnl_attr_get_u32(id));
	}
	return row;
}

/* Find a family by name: its number, and the numbers of its groups. */
static struct json_object *nl_family(struct nl *nl, const char *name)
{
	struct json_object *rows, *row;
	struct nlmsghdr *nlh;
	int ret;

	nl->family_id = GENL_ID_CTRL;
	nlh = nl_request(nl, CTRL_CMD_GETFAMILY);
	mnl_attr_put_strz(nlh, CTRL_ATTR_FAMILY_NAME, name);
	ret = nl_get(nl, nlh, CTRL_ATTR_MAX, nl_family_row, &rows);
	if (ret) {
		errno = -ret;
		return NULL;
	}
	row = json_object_get(json_object_array_get_idx(rows, 0));
	json_object_put(rows);
	if (!row)
		errno = ENOENT;
	return row;
}

static int nl_set_up(struct nl *nl, const char *family)
{
	struct json_object *row;
	int on = 1;

	if (mnl_socket_bind(nl->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return -1;
	/* Without them errors are only numbers. */
	mnl_socket_setsockopt(nl->socket, NETLINK_EXT_ACK, &on, sizeof(on));
	mnl_socket_setsockopt(nl->socket, NETLINK_CAP_ACK, &on, sizeof(on));
	row = nl_family(nl, family);
	if (!row)
		return -1;
	nl->family_id = out_get_u64(row, "id");
	json_object_put(row);
	return 0;
}

/* NULL with errno set: ENOENT if there is no such family. */
struct nl *nl_try_open(const char *family)
{
	struct nl *nl = calloc(1, sizeof(*nl));
	int err;

	if (!nl)
		return NULL;
	nl->family = family;
	nl->socket = mnl_socket_open(NETLINK_GENERIC);
	if (nl->socket && !nl_set_up(nl, family))
		return nl;
	err = errno;
	nl_close(nl);
	errno = err;
	return NULL;
}

/* Says why it fails, and returns NULL. */
struct nl *nl_open(const char *family, const char *module)
{
	struct nl *nl = nl_try_open(family);

	if (nl)
		return nl;
	if (errno == ENOENT)
		out_error("the module %s is not loaded (try: modprobe %s)",
			  module, module);
	else
		out_error("netlink: %s", strerror(errno));
	return NULL;
}

void nl_close(struct nl *nl)
{
	if (nl->socket)
		mnl_socket_close(nl->socket);
	free(nl);
}

static int nl_join(struct nl *nl, const char *group)
{
	uint16_t family_id = nl->family_id;
	struct json_object *row, *groups;
	int id = 0;

	row = nl_family(nl, nl->family);
	nl->family_id = family_id;
	if (!row)
		return nl_fail(nl, errno);
	if (json_object_object_get_ex(row, "groups", &groups))
		id = out_get_u64(groups, group);
	json_object_put(row);
	if (!id)
		return nl_fail(nl, ENOENT);
	if (mnl_socket_setsockopt(nl->socket, NETLINK_ADD_MEMBERSHIP, &id,
				  sizeof(id)) < 0)
		return nl_fail(nl, errno);
	return 0;
}

struct nl_listener {
	struct nl_reader reader;
	nl_event_fn event;
};

static int nl_listen_cb(const struct nlmsghdr *nlh, void *data)
{
	struct nl_listener *listener = data;
	struct json_object *row = nl_read_row(&listener->reader, nlh);

	if (row && listener->event(row))
		return MNL_CB_STOP;
	return MNL_CB_OK;
}

/* Returns 1 to go on, 0 when the event ends it, or a negative errno. */
static int nl_read_events(const struct nl_source *source, nl_event_fn event)
{
	struct nl *nl = source->nl;
	struct nl_listener listener = {
		.reader = { .nl = nl, .row = source->row,
			    .attr_max = source->attr_max },
		.event = event,
	};
	ssize_t len;
	int ret;

	len = mnl_socket_recvfrom(nl->socket, nl->reply, sizeof(nl->reply));
	if (len < 0 && errno == ENOBUFS) {
		out_error("events were lost: they come too fast");
		return 1;
	}
	if (len < 0)
		return nl_fail(nl, errno);
	ret = mnl_cb_run(nl->reply, len, 0, 0, nl_listen_cb, &listener);
	return ret < 0 ? nl_fail(nl, errno) : ret > MNL_CB_STOP;
}

/* Runs until @event ends it, or an error of one of them. */
int nl_listen_all(const struct nl_source *sources, unsigned int nr,
		  nl_event_fn event)
{
	struct pollfd fds[nr];
	unsigned int i;
	int ret;

	for (i = 0; i < nr; i++) {
		ret = nl_join(sources[i].nl, sources[i].group);
		if (ret)
			return ret;
		fds[i].fd = mnl_socket_get_fd(sources[i].nl->socket);
		fds[i].events = POLLIN;
	}
	do {
		ret = poll(fds, nr, -1) < 0 ? -errno : 1;
		for (i = 0; i < nr && ret == 1; i++)
			if (fds[i].revents)
				ret = nl_read_events(&sources[i], event);
	} while (ret == 1 || ret == -EINTR);
	return ret;
}

int nl_listen(struct nl *nl, const char *group, unsigned int attr_max,
	      nl_row_fn row, nl_event_fn event)
{
	struct nl_source source = { nl, group, attr_max, row };

	return nl_listen_all(&source, 1, event);
}
