/* SPDX-License-Identifier: GPL-2.0 */
/* Rows of the family "khx", and what its objects have in common. */
#ifndef KHX_TOOLS_ROW_H
#define KHX_TOOLS_ROW_H

#include <json-c/json.h>
#include <linux/khx.h>
#include <stdint.h>

#include "nl.h"

/* Names of enum khx_mode. */
extern const char *const row_modes[];

/* Makes a row of any message of the family; see nl_row_fn. */
struct json_object *row_make(unsigned int cmd,
			     const struct nlattr *const *attrs);

/*
 * All objects of @cmd, or those of one device if @dev is not 0. Says what went
 * wrong and returns NULL; that includes a device that does not exist.
 */
struct json_object *row_dump(struct nl *nl, unsigned int cmd, uint32_t dev);

/* Says that there is no such device, and which there are. */
void row_no_dev(struct nl *nl, uint32_t dev);

/*
 * The same, with the counters as rates over the interval of the command line
 * if there is one; rows are matched by the members @keys.
 */
struct json_object *row_dump_rates(struct nl *nl, unsigned int cmd,
				   uint32_t dev, const char *const *keys);

#endif /* KHX_TOOLS_ROW_H */
