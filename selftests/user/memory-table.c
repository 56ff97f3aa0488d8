// SPDX-License-Identifier: GPL-2.0
/* VHOST_SET_MEM_TABLE: what is refused and how, and that lookups are right. */
#include <uapi/linux/vhost.h>

#include "core/memory.h"
#include "guest.h"
#include "tap.h"

/* One more than allowed, and a head of two u64. */
static u64 room[2 + 4 * (KHX_MEMORY_REGIONS_MAX + 1)];
static struct vhost_memory *const table = (struct vhost_memory *)room;
static const char *check;

static struct vhost_memory_region region(u64 gpa, u64 size, u64 uaddr)
{
	return (struct vhost_memory_region) {
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = uaddr,
	};
}

/* The error that the first @n regions give, 0 for none. */
static long table_error(u32 n)
{
	struct khx_memory *memory;

	table->nregions = n;
	memory = khx_memory_create(table, &check);
	if (IS_ERR(memory))
		return PTR_ERR(memory);
	khx_memory_put(memory);
	return 0;
}

static long error_of_one(u64 gpa, u64 size, u64 uaddr)
{
	table->regions[0] = region(gpa, size, uaddr);
	return table_error(1);
}

static long error_of_two(u64 gpa, u64 size, u64 gpa2, u64 size2)
{
	table->regions[0] = region(gpa, size, 0x100000);
	table->regions[1] = region(gpa2, size2, 0x900000);
	return table_error(2);
}

static void test_errors(void)
{
	const u64 top = 1ull << 47;
	unsigned int i;

	tap_is(table_error(0), 0, "no region at all");
	tap_is(error_of_one(0, 4096, 0x10000), 0, "one region");
	tap_is(error_of_one(0, 0, 0x10000), -EFAULT, "an empty region");
	tap_is(error_of_one(-4096ull, 4096, 0x10000), 0,
	       "up to the last guest-physical address");
	tap_is(error_of_one(-4096ull, 4097, 0x10000), -EFAULT,
	       "beyond the last guest-physical address");
	tap_is(error_of_one(1, -1ull, 0x10000), -EFAULT, "too large to map");
	tap_is(error_of_one(0, 4096, top - 4096), 0, "at the end of user space");
	tap_is(error_of_one(0, 4097, top - 4096), -EFAULT, "leaves user space");
	tap_is(error_of_one(0, 4096, -4096ull), -EFAULT, "in kernel space");
	tap_is(error_of_one(0, 8192, -4096ull), -EFAULT, "wraps in user space");

	tap_is(error_of_two(0, 4096, 4096, 4096), 0, "adjacent regions");
	tap_is(error_of_two(4096, 4096, 0, 4096), 0, "adjacent, out of order");
	tap_is(error_of_two(0, 4097, 4096, 4096), -EINVAL, "overlap of a byte");
	tap_is(error_of_two(4096, 4096, 0, 4097), -EINVAL,
	       "overlap of a byte, out of order");
	tap_is(error_of_two(0, 4096, 0, 4096), -EINVAL, "the same twice");
	tap_is(error_of_two(0, 1 << 20, 4096, 4096), -EINVAL,
	       "one inside the other");

	for (i = 0; i <= KHX_MEMORY_REGIONS_MAX; i++)
		table->regions[i] = region((u64)i << 20, 1 << 20, 0x100000);
	tap_is(table_error(KHX_MEMORY_REGIONS_MAX), 0, "the most regions");
	tap_is(table_error(KHX_MEMORY_REGIONS_MAX + 1), -E2BIG,
	       "one region too many");
	tap_is(table_error(~0u), -E2BIG, "far too many");
	table->padding = 1;
	tap_is(table_error(1), -EOPNOTSUPP, "padding is not 0");
	table->padding = 0;

	shim.may_fault = true;
	shim.arena_size = 4;
	tap_is(table_error(1), -EFAULT, "unreadable head");
	shim.arena_size = sizeof(*table) + 8;
	tap_is(table_error(1), -EFAULT, "unreadable regions");
	shim.may_fault = false;
	shim.arena_size = sizeof(room);
}

static bool allocation_fails(unsigned int rate)
{
	bool failed = false;
	unsigned int i;
	long err;

	shim.alloc_rate = rate;
	for (i = 0; i < 100; i++) {
		err = table_error(3);
		failed |= err == -ENOMEM;
		if (err && err != -ENOMEM)
			return false;
	}
	shim.alloc_rate = 0;
	return failed;
}

static const struct vhost_memory_region *find(u32 n, u64 gpa)
{
	u32 i;

	for (i = 0; i < n; i++)
		if (gpa - table->regions[i].guest_phys_addr <
		    table->regions[i].memory_size)
			return &table->regions[i];
	return NULL;
}

static bool lookup_agrees(const struct khx_memory *memory, u32 n, u64 gpa)
{
	const struct khx_memory_region *got = khx_memory_find(memory, gpa);
	const struct vhost_memory_region *want = find(n, gpa);

	if (!want)
		return !got;
	return got && got->gpa == want->guest_phys_addr &&
	       got->size == want->memory_size &&
	       got->uaddr == want->userspace_addr;
}

/* Random tables: every lookup as a linear search finds it. */
static bool lookups_agree(u32 n)
{
	struct khx_memory *memory;
	u64 gpa = 0, end = 0;
	u32 i, j;
	bool ok = true;

	for (i = 0; i < n; i++) {
		struct vhost_memory_region next;

		gpa += shim_random() % 3 * (shim_random() % 5000);
		next = region(gpa, 1 + shim_random() % 100000,
			      4096 + shim_random());
		gpa += next.memory_size;
		end = gpa - 1;
		j = shim_random() % (i + 1);
		table->regions[i] = table->regions[j];
		table->regions[j] = next;
	}
	table->nregions = n;
	memory = khx_memory_create(table, &check);
	if (IS_ERR(memory))
		return false;

	ok &= khx_memory_end(memory) == end;
	for (i = 0; i < n; i++) {
		gpa = table->regions[i].guest_phys_addr;
		ok &= lookup_agrees(memory, n, gpa) &&
		      lookup_agrees(memory, n, gpa - 1) &&
		      lookup_agrees(memory, n,
				    gpa + table->regions[i].memory_size);
	}
	for (i = 0; i < 2000; i++)
		ok &= lookup_agrees(memory, n, (u64)shim_random() * 7 % (end + 2));
	khx_memory_put(memory);
	return ok;
}

static bool all_lookups_agree(void)
{
	u32 n;

	for (n = 1; n <= KHX_MEMORY_REGIONS_MAX; n += 1 + n / 7)
		if (!lookups_agree(n))
			return false;
	return lookups_agree(KHX_MEMORY_REGIONS_MAX);
}

int main(void)
{
	shim.arena = (char *)room;
	shim.arena_size = sizeof(room);
	tap_plan(27);
	test_errors();
	tap_ok(allocation_fails(3), "no memory is survived");
	tap_ok(all_lookups_agree(), "lookups agree with a linear search");
	tap_ok(!khx_memory_find(NULL, 0), "no table holds nothing");
	tap_is(khx_memory_end(NULL), 0, "no table ends at 0");
	tap_ok(!khx_memory_get(NULL), "no table can be referenced");
	return tap_exit();
}
