// SPDX-License-Identifier: GPL-2.0
/* The dirty log: exactly the pages of a range, for any base. */
#include <uapi/linux/vhost.h>

#include "core/log.h"
#include "core/memory.h"
#include "guest.h"
#include "tap.h"

#define NR_PAGES	4096
#define BYTES		(NR_PAGES / 8)

/* Guarded on both sides; bits are set in aligned words. */
static u32 room[1 + BYTES / 4 + 2];
static char *base;

static bool bit(u64 page)
{
	return base[page / 8] >> page % 8 & 1;
}

/* Exactly the pages from @first to @last, and nothing around the bitmap. */
static bool marked(u64 first, u64 last)
{
	const char *byte;
	u64 page;

	for (page = 0; page < NR_PAGES; page++)
		if (bit(page) != (page >= first && page <= last))
			return false;
	for (byte = (char *)room; byte < (char *)(room + ARRAY_SIZE(room));
	     byte++)
		if ((byte < base || byte >= base + BYTES) && *byte != 0x5a)
			return false;
	return true;
}

static void log_reset(unsigned int shift)
{
	memset(room, 0x5a, sizeof(room));
	base = (char *)&room[1] + shift;
	memset(base, 0, BYTES);
}

static bool ranges_are_exact(unsigned int shift)
{
	const u64 end = NR_PAGES * VHOST_PAGE_SIZE;
	u64 gpa, len;
	int i;

	for (i = 0; i < 3000; i++) {
		gpa = shim_random() % end;
		len = 1 + shim_random() % (i % 2 ? 20000 : end - gpa);
		if (len > end - gpa)
			len = end - gpa;
		log_reset(shift);
		if (khx_log_write(base, gpa, len) ||
		    !marked(gpa / VHOST_PAGE_SIZE,
			    (gpa + len - 1) / VHOST_PAGE_SIZE))
			return false;
	}
	return true;
}

static struct khx_memory *memory_of(const struct khx_memory_region *regions,
				    u32 n)
{
	struct khx_memory *memory;

	memory = kzalloc(struct_size(memory, regions, n), GFP_KERNEL);
	kref_init(&memory->ref);
	memory->nregions = n;
	memcpy(memory->regions, regions, n * sizeof(*regions));
	return memory;
}

static void test_hva(void)
{
	/* The same memory twice, and a piece that goes on elsewhere. */
	static const struct khx_memory_region regions[] = {
		{ .gpa = 0x10000, .size = 0x2000, .uaddr = 0x7000000 },
		{ .gpa = 0x40000, .size = 0x1000, .uaddr = 0x7002000 },
		{ .gpa = 0x80000, .size = 0x2000, .uaddr = 0x7000000 },
	};
	struct khx_memory *memory = memory_of(regions, ARRAY_SIZE(regions));

	log_reset(1);
	tap_is(khx_log_write_hva(base, memory, (void *)0x7001ff8, 16), 0,
	       "a write across two regions, one of them twice there");
	tap_ok(bit(0x11) && bit(0x40) && bit(0x81), "all three are marked");
	tap_ok(!bit(0x10) && !bit(0x12) && !bit(0x41) && !bit(0x80),
	       "and no other");
	tap_is(khx_log_write_hva(base, memory, (void *)0x7003000, 4), -EFAULT,
	       "memory that is not the guest's");
	tap_is(khx_log_write_hva(base, NULL, (void *)0x7000000, 4), -EFAULT,
	       "no memory table");
	log_reset(1);
	tap_is(khx_log_write_hva(base, memory, (void *)0x7000000, 0), 0,
	       "an empty write");
	tap_ok(marked(1, 0), "marks nothing");
	khx_memory_put(memory);
}

static void test_edges(void)
{
	log_reset(3);
	tap_is(khx_log_write(base, 4095, 0), 0, "nothing written");
	tap_ok(marked(1, 0), "marks nothing");
	tap_is(khx_log_write(base, 4095, 2), 0, "two bytes across a boundary");
	tap_ok(marked(0, 1), "mark two pages");

	shim.may_fault = true;
	tap_is(khx_log_write(base, 1ull << 40, 1), -EFAULT,
	       "a page that the bitmap does not cover");
	tap_is(khx_log_write(base, ~0ull, 1), -EFAULT,
	       "the last guest-physical page");
	shim.may_fault = false;

	tap_ok(khx_log_access_ok(base, ~0ull >> 20), "a bitmap of user space");
	tap_ok(!khx_log_access_ok((void *)((1ul << 47) - 4), ~0ull >> 20),
	       "a bitmap that leaves user space");
	tap_ok(!khx_log_access_ok((void *)-4096l, 4096),
	       "a bitmap in kernel space");
}

int main(void)
{
	unsigned int shift;

	shim.arena = (char *)room;
	shim.arena_size = sizeof(room);
	tap_plan(20);
	for (shift = 0; shift < 4; shift++)
		tap_ok(ranges_are_exact(shift),
		       "random ranges, base at byte %u of a word", shift);
	test_edges();
	test_hva();
	return tap_exit();
}
