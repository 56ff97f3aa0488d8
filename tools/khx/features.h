/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_TOOLS_FEATURES_H
#define KHX_TOOLS_FEATURES_H

#include <json-c/json.h>
#include <stdint.h>

/* Names of the feature bits of a device of that type, as an array. */
struct json_object *features_names(const char *type, uint64_t features);

#endif /* KHX_TOOLS_FEATURES_H */
