/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the tools print. Commands make JSON objects, the rows; here they become
 * a table whose columns align, or JSON.
 */
#ifndef KHX_TOOLS_OUT_H
#define KHX_TOOLS_OUT_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

/* Set from the command line by main(). */
struct out_options {
	const char *program;	/* begins each error message */
	bool json;
	bool pretty;
};

extern struct out_options out_options;

/*
 * A column of a table: the heading, and which member of a row it shows. "a.b"
 * is member b of member a. Numbers are aligned to the right. An array of
 * columns ends with an empty one.
 */
struct out_column {
	const char *head;
	const char *key;
};

/* Prints a table of those columns, or all that is in the rows as JSON. */
void out_rows(struct json_object *rows, const struct out_column *columns);

/*
 * One event, a line of its own: JSON, or the member "event" and the others
 * as "event: key value key value". Keeps the row, as nl_listen() wants it, and
 * returns 0.
 */
int out_event(struct json_object *row);

/* One line to standard error, with the program's name in front. */
void out_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Members of a row. */
void out_u64(struct json_object *row, const char *key, uint64_t value);
void out_str(struct json_object *row, const char *key, const char *value);
uint64_t out_get_u64(struct json_object *row, const char *key);
const char *out_get_str(struct json_object *row, const char *key);

#endif /* KHX_TOOLS_OUT_H */
