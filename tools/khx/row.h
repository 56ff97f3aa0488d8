/* SPDX-License-Identifier: GPL-2.0 */
/* Rows of the family "khx", and what its objects have in common. */
#ifndef KHX_TOOLS_ROW_H
#define KHX_TOOLS_ROW_H

#include <json-c/json.h>
#include <linux/khx.h>
#include <stdint.h>

#include "nl.h"

struct out_column;

/* Names of enum khx_mode. */
extern const char *const row_modes[];

/* Makes a row of any message of the family; see nl_row_fn. */
struct json_object *row_make(unsigned int cmd,
			     const struct nlattr *const *attrs);

/**
 * struct row_object - objects of the family that can be shown
 * @cmd: gets them
 * @keys: members that tell one row from another, up to a NULL
 * @columns: of the table
 * @stats_columns: of the table of counters, NULL: they have none
 */
struct row_object {
	unsigned int cmd;
	const char *keys[3];
	const struct out_column *columns;
	const struct out_column *stats_columns;
};

/*
 * The verb "show": all objects, or those of the device that the only word
 * names; counters if asked for, as rates if there is an interval. Returns the
 * exit status.
 */
int row_show(const struct row_object *object, int argc, char **argv);

/* Says that there is no such device, and which there are. */
void row_no_dev(struct nl *nl, uint32_t dev);

#endif /* KHX_TOOLS_ROW_H */
