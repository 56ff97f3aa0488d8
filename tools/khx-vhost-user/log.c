// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "log.h"

__thread const char *log_name;

/* One write a line: several threads may have something to say. */
static void log_line(const char *text, va_list args)
{
	char line[512];
	int n;

	n = snprintf(line, sizeof(line), "khx-vhost-user: %s%s",
		     log_name ? log_name : "", log_name ? ": " : "");
	if (n < 0 || n > (int)sizeof(line) - 2)
		n = 0;
	n += vsnprintf(line + n, sizeof(line) - 1 - n, text, args);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDERR_FILENO, line, n) < 0)
		return;
}

void log_error(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	log_line(text, args);
	va_end(args);
}

void die(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	log_line(text, args);
	va_end(args);
	exit(1);
}
