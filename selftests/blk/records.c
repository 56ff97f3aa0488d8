// SPDX-License-Identifier: GPL-2.0
#include "disk.h"
#include "records.h"

#define SLOTS	64

uint64_t record_sector(unsigned int n)
{
	return n % SLOTS * (RECORD_SIZE / 512);
}

void record_fill(void *data, unsigned int n)
{
	disk_fill(data, RECORD_SIZE, record_sector(n), n);
}

unsigned int records_first(unsigned int last)
{
	return last + 1 > SLOTS ? last + 2 - SLOTS : 1;
}

/* Is sector @i of a record that of record @n? */
static bool sector_is(const uint8_t *data, unsigned int n, unsigned int i)
{
	return disk_check(data + i * 512, 512, record_sector(n) + i, n);
}

/* It was not answered: it may be there, in whole sectors. */
static bool is_torn_well(const uint8_t *data, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < RECORD_SIZE / 512; i++)
		if (!sector_is(data, n, i) &&
		    n > SLOTS && !sector_is(data, n - SLOTS, i))
			return false;
	return true;
}

bool record_is_good(const void *data, unsigned int n, unsigned int last)
{
	if (n > last)
		return is_torn_well(data, n);
	return disk_check(data, RECORD_SIZE, record_sector(n), n);
}
