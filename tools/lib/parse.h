/* SPDX-License-Identifier: GPL-2.0 */
/* Words of the command line; each says what is wrong with one it refuses. */
#ifndef KHX_TOOLS_PARSE_H
#define KHX_TOOLS_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* @what names the word in messages. */
bool parse_u32(const char *word, const char *what, uint32_t *value);
bool parse_u64(const char *word, const char *what, uint64_t *value);
bool parse_seconds(const char *word, const char *what, double *value);

/* One of @names, which ends with NULL; @value is its number there. */
bool parse_choice(const char *word, const char *what,
		  const char *const *names, unsigned int *value);

#endif /* KHX_TOOLS_PARSE_H */
