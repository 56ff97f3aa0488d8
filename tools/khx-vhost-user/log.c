// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

/*
 * Lines that a thread may print at once; it earns one a second. A front end can
 * do things wrong as often as it likes.
 */
#define LOG_BURST	20

__thread const char *log_name;
static __thread unsigned long log_left = LOG_BURST;
static __thread unsigned long log_lost;
static __thread time_t log_earned;	/* up to here */

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

static bool log_may(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	log_left += now.tv_sec - log_earned;
	log_earned = now.tv_sec;
	if (log_left > LOG_BURST)
		log_left = LOG_BURST;
	if (!log_left)
		return false;
	log_left--;
	return true;
}

static void log_always(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	log_line(text, args);
	va_end(args);
}

void log_error(const char *text, ...)
{
	va_list args;

	if (!log_may()) {
		log_lost++;
		return;
	}
	if (log_lost)
		log_always("(%lu more messages)", log_lost);
	log_lost = 0;
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
