/* SPDX-License-Identifier: GPL-2.0 */
/* Requests to one of our generic netlink families. */
#ifndef KHX_TOOLS_NL_H
#define KHX_TOOLS_NL_H

#include <libmnl/libmnl.h>
#include <stdint.h>

struct json_object;
struct nl;

/*
 * Makes a row of a message: @attrs[type] is NULL for what is not there. NULL
 * leaves the message out. Attributes newer than this program are not shown.
 */
typedef struct json_object *(*nl_row_fn)(unsigned int cmd,
					 const struct nlattr *const *attrs);

/* What nl_listen() does with a row, which it keeps; not 0 ends it. */
typedef int (*nl_event_fn)(struct json_object *row);

/* Events of the multicast group of a family. */
struct nl_source {
	struct nl *nl;
	const char *group;
	unsigned int attr_max;
	nl_row_fn row;
};

struct nl *nl_open(const char *family, const char *module);
/* The same, but says nothing if there is no such family. */
struct nl *nl_try_open(const char *family);
void nl_close(struct nl *nl);

/*
 * What the user calls attribute @type, for nl_error(); NULL if he does not
 * know it.
 */
typedef const char *(*nl_name_fn)(unsigned int type);
void nl_set_names(struct nl *nl, nl_name_fn name);

/* A message to add attributes to; one at a time. */
struct nlmsghdr *nl_request(struct nl *nl, unsigned int cmd);

/* All return 0 or a negative errno, which nl_error() explains. */
int nl_run(struct nl *nl, struct nlmsghdr *request);
int nl_get(struct nl *nl, struct nlmsghdr *request, unsigned int attr_max,
	   nl_row_fn row, struct json_object **rows);
int nl_dump(struct nl *nl, struct nlmsghdr *request, unsigned int attr_max,
	    nl_row_fn row, struct json_object **rows);
int nl_listen(struct nl *nl, const char *group, unsigned int attr_max,
	      nl_row_fn row, nl_event_fn event);
int nl_listen_all(const struct nl_source *sources, unsigned int nr,
		  nl_event_fn event);
const char *nl_error(const struct nl *nl);

/* Of a nest: the first attribute of that type, or NULL. */
const struct nlattr *nl_nested(const struct nlattr *nest, unsigned int type);

#endif /* KHX_TOOLS_NL_H */
