// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "out.h"
#include "parse.h"

bool parse_u64(const char *word, const char *what, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(word, &end, 0);
	if (isdigit((unsigned char)word[0]) && !*end && !errno)
		return true;
	out_error("%s: \"%s\" is not a number", what, word);
	return false;
}

bool parse_u32(const char *word, const char *what, uint32_t *value)
{
	uint64_t wide;

	if (!parse_u64(word, what, &wide))
		return false;
	*value = wide;
	if (wide == *value)
		return true;
	out_error("%s: %s is too large", what, word);
	return false;
}

bool parse_seconds(const char *word, const char *what, double *value)
{
	char *end;

	*value = strtod(word, &end);
	if (isdigit((unsigned char)word[0]) && !*end && *value > 0 &&
	    *value <= 86400)
		return true;
	out_error("%s: \"%s\" is not a number of seconds up to a day", what,
		  word);
	return false;
}

bool parse_choice(const char *word, const char *what,
		  const char *const *names, unsigned int *value)
{
	char list[256] = "";
	size_t used = 0;

	for (*value = 0; names[*value]; ++*value) {
		if (!strcmp(word, names[*value]))
			return true;
		used += snprintf(list + used, sizeof(list) - used, "%s%s",
				 used ? ", " : "", names[*value]);
		if (used >= sizeof(list))
			used = sizeof(list) - 1;
	}
	out_error("%s: \"%s\" is none of: %s", what, word, list);
	return false;
}
