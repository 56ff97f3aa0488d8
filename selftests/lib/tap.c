// SPDX-License-Identifier: GPL-2.0
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "tap.h"

static struct {
	unsigned int planned;
	unsigned int done;
	unsigned int failed;
	unsigned int skipped;
} tap;

static void tap_vline(const char *start, const char *text, va_list args)
{
	printf("%s", start);
	vprintf(text, args);
	putchar('\n');
	fflush(stdout);
}

void tap_plan(unsigned int count)
{
	tap.planned = count;
	printf("KTAP version 1\n1..%u\n", count);
	fflush(stdout);
}

static void tap_vok(bool passed, const char *name, va_list args)
{
	char start[32];

	tap.done++;
	tap.failed += !passed;
	snprintf(start, sizeof(start), "%sok %u ", passed ? "" : "not ",
		 tap.done);
	tap_vline(start, name, args);
}

bool tap_ok(bool passed, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	tap_vok(passed, name, args);
	va_end(args);
	return passed;
}

bool tap_is(long long got, long long wanted, const char *name, ...)
{
	va_list args;

	va_start(args, name);
	tap_vok(got == wanted, name, args);
	va_end(args);
	if (got != wanted)
		tap_diag("got %lld, wanted %lld", got, wanted);
	return got == wanted;
}

void tap_skip(const char *reason, const char *name, ...)
{
	va_list args;

	tap.skipped++;
	printf("ok %u ", ++tap.done);
	va_start(args, name);
	vprintf(name, args);
	va_end(args);
	printf(" # SKIP %s\n", reason);
	fflush(stdout);
}

void tap_diag(const char *text, ...)
{
	va_list args;

	va_start(args, text);
	tap_vline("# ", text, args);
	va_end(args);
}

void tap_skip_all(const char *reason, ...)
{
	va_list args;

	va_start(args, reason);
	tap_vline("1..0 # SKIP ", reason, args);
	va_end(args);
	exit(TAP_SKIP);
}

void tap_bail(const char *reason, ...)
{
	va_list args;

	va_start(args, reason);
	tap_vline("Bail out! ", reason, args);
	va_end(args);
	exit(TAP_FAIL);
}

void tap_expect_splat(const char *regex)
{
	FILE *log = fopen("/dev/kmsg", "w");

	if (!log)
		return;
	fprintf(log, "khx-expect: %s\n", regex ? regex : "");
	fclose(log);
}

int tap_exit(void)
{
	if (tap.done != tap.planned) {
		tap_diag("planned %u results, gave %u", tap.planned, tap.done);
		return TAP_FAIL;
	}
	if (tap.failed) {
		tap_diag("%u of %u failed", tap.failed, tap.planned);
		return TAP_FAIL;
	}
	if (tap.planned && tap.skipped == tap.planned)
		return TAP_SKIP;
	return TAP_PASS;
}
