// SPDX-License-Identifier: GPL-2.0
/* What happened between two readings of the same figures. */
#include <string.h>

#include "exits.h"
#include "out.h"

struct json_object *exits_find(struct json_object *array, const char *key,
			       const char *value)
{
	struct json_object *element;
	size_t i;

	for (i = 0; array && i < json_object_array_length(array); i++) {
		element = json_object_array_get_idx(array, i);
		if (!strcmp(out_get_str(element, key), value))
			return element;
	}
	return NULL;
}

static struct json_object *delta_of(struct json_object *before,
				    struct json_object *after);

/* What tells the elements of these arrays apart. */
static const char *key_of(struct json_object *element)
{
	return json_object_object_get_ex(element, "guest", NULL) ? "guest" :
								    "name";
}

static struct json_object *delta_array(struct json_object *before,
				       struct json_object *after)
{
	struct json_object *delta = json_object_new_array(), *element, *old;
	const char *key;
	size_t i;

	for (i = 0; i < json_object_array_length(after); i++) {
		element = json_object_array_get_idx(after, i);
		key = key_of(element);
		old = exits_find(before, key, out_get_str(element, key));
		json_object_array_add(delta, delta_of(old, element));
	}
	return delta;
}

/* Minimum and maximum are not those of the interval; nor is a number of vCPUs. */
static bool is_sum(const char *key)
{
	return strcmp(key, "min") && strcmp(key, "max") && strcmp(key, "vcpus");
}

static struct json_object *delta_object(struct json_object *before,
					struct json_object *after)
{
	struct json_object *delta = json_object_new_object(), *old;
	uint64_t was, is;

	json_object_object_foreach(after, key, value) {
		old = NULL;
		if (before)
			json_object_object_get_ex(before, key, &old);
		if (!json_object_is_type(value, json_type_int) ||
		    !is_sum(key)) {
			json_object_object_add(delta, key,
					       delta_of(old, value));
			continue;
		}
		is = json_object_get_uint64(value);
		was = old ? json_object_get_uint64(old) : 0;
		/* Less than before: there was a reset. */
		out_u64(delta, key, is >= was ? is - was : is);
	}
	return delta;
}

static struct json_object *delta_of(struct json_object *before,
				    struct json_object *after)
{
	if (json_object_is_type(after, json_type_array))
		return delta_array(before, after);
	if (json_object_is_type(after, json_type_object))
		return delta_object(before, after);
	return json_object_get(after);
}

struct json_object *exits_delta(struct json_object *before,
				struct json_object *after, double seconds)
{
	struct json_object *delta = delta_of(before, after), *guest;
	size_t i;

	for (i = 0; i < json_object_array_length(delta); i++) {
		guest = json_object_array_get_idx(delta, i);
		json_object_object_add(guest, "seconds",
				       json_object_new_double(seconds));
	}
	return delta;
}
