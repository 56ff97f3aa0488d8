// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

#define OUT_CELL_MAX	256
#define OUT_ERROR_MAX	4096

struct out_options out_options = { .program = "khx" };

/*
 * Names of files and processes are whatever their owners like: what a terminal
 * would obey, or what would begin another line, is shown as a question mark.
 * JSON has escapes for it. C1 controls in UTF-8 are 0xc2 and one of 0x80-0x9f.
 */
static void out_disarm(char *text)
{
	unsigned char *c;

	for (c = (unsigned char *)text; *c; c++)
		if (*c < ' ' || *c == 0x7f ||
		    (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0))
			*c = '?';
}

void out_error(const char *format, ...)
{
	char text[OUT_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	out_disarm(text);
	fflush(stdout);
	fprintf(stderr, "%s: %s\n", out_options.program, text);
}

void out_u64(struct json_object *row, const char *key, uint64_t value)
{
	json_object_object_add(row, key, json_object_new_uint64(value));
}

void out_str(struct json_object *row, const char *key, const char *value)
{
	json_object_object_add(row, key, json_object_new_string(value));
}

uint64_t out_get_u64(struct json_object *row, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(row, key, &value) ?
	       json_object_get_uint64(value) : 0;
}

const char *out_get_str(struct json_object *row, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(row, key, &value) ?
	       json_object_get_string(value) : "";
}

/* Member "a.b" of @row, or NULL. */
static struct json_object *out_member(struct json_object *row, const char *key)
{
	const char *dot = strchr(key, '.');
	struct json_object *value = NULL;
	char name[64];

	if (!dot) {
		json_object_object_get_ex(row, key, &value);
		return value;
	}
	snprintf(name, sizeof(name), "%.*s", (int)(dot - key), key);
	if (!json_object_object_get_ex(row, name, &value))
		return NULL;
	return out_member(value, dot + 1);
}

static bool out_is_number(struct json_object *value)
{
	return json_object_is_type(value, json_type_int) ||
	       json_object_is_type(value, json_type_double);
}

/* Elements of an array, with commas. */
static void out_array_text(struct json_object *array, char *text, size_t size)
{
	size_t i, used = 0;
	int n;

	text[0] = '\0';
	for (i = 0; i < json_object_array_length(array) && used < size; i++) {
		n = snprintf(text + used, size - used, "%s%s", i ? "," : "",
			     json_object_get_string(
				     json_object_array_get_idx(array, i)));
		used += n > 0 ? n : 0;
	}
	if (!i)
		snprintf(text, size, "-");
}

static void out_text(struct json_object *value, char *text, size_t size)
{
	if (!value)
		snprintf(text, size, "-");
	else if (json_object_is_type(value, json_type_boolean))
		snprintf(text, size, "%s",
			 json_object_get_boolean(value) ? "yes" : "no");
	else if (json_object_is_type(value, json_type_double))
		snprintf(text, size, "%.1f", json_object_get_double(value));
	else if (json_object_is_type(value, json_type_array))
		out_array_text(value, text, size);
	else
		snprintf(text, size, "%s", json_object_get_string(value));
	out_disarm(text);
}

/* Wide enough for all cells; to the right if all of them are numbers. */
static int out_column_width(struct json_object *rows,
			    const struct out_column *column)
{
	int width = strlen(column->head), len;
	bool left = false;
	struct json_object *value;
	char text[OUT_CELL_MAX];
	size_t i;

	for (i = 0; i < json_object_array_length(rows); i++) {
		value = out_member(json_object_array_get_idx(rows, i),
				   column->key);
		out_text(value, text, sizeof(text));
		len = strlen(text);
		width = len > width ? len : width;
		left |= value && !out_is_number(value);
	}
	return left ? -width : width;
}

/* The last column of a line is not padded if it is aligned to the left. */
static void out_cell(const char *text, int width, bool last)
{
	if (last && width < 0)
		width = 0;
	printf("%*s%s", width, text, last ? "\n" : "  ");
}

static void out_table(struct json_object *rows,
		      const struct out_column *columns)
{
	size_t i, c, n = 0;
	char text[OUT_CELL_MAX];
	int *widths;

	while (columns[n].head)
		n++;
	widths = calloc(n, sizeof(*widths));
	if (!widths)
		return;
	for (c = 0; c < n; c++)
		widths[c] = out_column_width(rows, &columns[c]);
	for (c = 0; c < n; c++)
		out_cell(columns[c].head, widths[c], c == n - 1);
	for (i = 0; i < json_object_array_length(rows); i++)
		for (c = 0; c < n; c++) {
			out_text(out_member(json_object_array_get_idx(rows, i),
					    columns[c].key),
				 text, sizeof(text));
			out_cell(text, widths[c], c == n - 1);
		}
	free(widths);
}

static void out_json(struct json_object *value)
{
	int flags = out_options.pretty ? JSON_C_TO_STRING_PRETTY |
		    JSON_C_TO_STRING_SPACED : JSON_C_TO_STRING_PLAIN;

	puts(json_object_to_json_string_ext(value, flags |
			JSON_C_TO_STRING_NOSLASHESCAPE));
}

void out_rows(struct json_object *rows, const struct out_column *columns)
{
	if (out_options.json)
		out_json(rows);
	else if (json_object_array_length(rows))
		out_table(rows, columns);
}

static void out_event_text(struct json_object *row)
{
	char text[OUT_CELL_MAX];

	printf("%s:", out_get_str(row, "event"));
	json_object_object_foreach(row, key, value) {
		if (!strcmp(key, "event") ||
		    json_object_is_type(value, json_type_object))
			continue;
		out_text(value, text, sizeof(text));
		printf(strchr(text, ' ') ? " %s \"%s\"" : " %s %s", key, text);
	}
	putchar('\n');
}

int out_event(struct json_object *row)
{
	if (out_options.json)
		out_json(row);
	else
		out_event_text(row);
	fflush(stdout);
	json_object_put(row);
	return 0;
}
