/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Numbered records, for tests in which somebody is killed: after each that is
 * written comes a FLUSH, and after each FLUSH the number is noted where the kill
 * does not reach. None noted may be missing later; of the one that was being
 * written, each sector is the old or the new one.
 */
#ifndef KHX_SELFTESTS_BLK_RECORDS_H
#define KHX_SELFTESTS_BLK_RECORDS_H

#include <stdbool.h>
#include <stdint.h>

#define RECORD_SIZE	4096

/* From 1 on; after some dozens, the place of the first is used again. */
uint64_t record_sector(unsigned int n);
void record_fill(void *data, unsigned int n);

/* The oldest that is still there when @last was the last one to be flushed. */
unsigned int records_first(unsigned int last);
/* Is @data, from the place of record @n, as it may be then? */
bool record_is_good(const void *data, unsigned int n, unsigned int last);

#endif
