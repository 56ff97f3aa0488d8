// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Dirty log
 *
 * While a guest migrates, its owner must learn of every page that the kernel
 * writes. It hands over a bitmap in its own memory (VHOST_SET_LOG_BASE), a
 * bit for each 4 KiB page counted from guest-physical address 0, bit N in
 * byte N / 8. QEMU's bitmap comes from malloc(), so the base has no
 * alignment; and it reads with an atomic exchange while we set bits, so that
 * bits are set by an atomic OR on the aligned 32-bit word around them.
 *
 * The bit must be set after the page is written: set earlier, the owner could
 * clear it and copy the old page. Callers log once the data is in place.
 */
#include <linux/minmax.h>
#include <linux/uaccess.h>
#include <linux/vhost_types.h>

#include <asm/barrier.h>
#include <asm/futex.h>
#include <uapi/linux/futex.h>

#include "core/killed.h"
#include "core/log.h"
#include "core/memory.h"

/* Pages that are logged before others may have the processor. */
#define KHX_LOG_TURN	1024

static int khx_log_set_page(void __user *base, u64 page)
{
	unsigned long byte = (unsigned long)base + page / 8;
	u32 __user *word = (u32 __user *)(byte & ~3UL);
	u32 bit = BIT((byte & 3) * 8 + page % 8);
	int old, ret;

	/* The log is little-endian by bytes on every host. */
	bit = (__force u32)cpu_to_le32(bit);
	/* Some architectures give up for a moment when others write the word, too. */
	while ((ret = arch_futex_atomic_op_inuser(FUTEX_OP_OR, bit, &old, word)) ==
	       -EAGAIN && !khx_is_killed())
		cond_resched();
	return ret ? khx_killed_or_fault() : 0;
}

/**
 * khx_log_write - mark a guest-physical range dirty
 * @base: bitmap in the address space of the current task
 * @gpa: first byte written
 * @len: bytes written, may be 0
 *
 * Context: Task context with the owner's mm. May sleep on a page fault.
 * Return: 0, -EFAULT when the bitmap is not mapped there, or -EINTR: see
 * khx_killed_or_fault().
 */
int khx_log_write(void __user *base, u64 gpa, u64 len)
{
	u64 page, last;
	int ret = 0;

	if (!len)
		return 0;

	/* The data before its bit. */
	smp_wmb();
	last = (gpa + len - 1) / VHOST_PAGE_SIZE;
	for (page = gpa / VHOST_PAGE_SIZE; page <= last && !ret; page++) {
		ret = khx_log_set_page(base, page);
		/* A chain may be as long as a driver says, up to 4 GiB. */
		if (page % KHX_LOG_TURN == 0)
			cond_resched();
	}
	return ret;
}

/**
 * khx_log_write_hva - mark dirty what a range of the owner's memory backs
 * @base: bitmap in the address space of the current task
 * @memory: the guest memory table
 * @hva: first byte written
 * @len: bytes written
 *
 * For memory known by its user address only, as the packed descriptor ring.
 * The same memory may stand at several guest-physical addresses: all of them
 * are marked. Linear in the number of regions; used only while migrating.
 *
 * Context: Task context with the owner's mm. May sleep on a page fault.
 * Return: 0, -EFAULT when the bitmap or the memory is not mapped, or -EINTR: see
 * khx_killed_or_fault().
 */
int khx_log_write_hva(void __user *base, const struct khx_memory *memory,
		      const void __user *hva, u64 len)
{
	u64 first = (unsigned long)hva, end = first + len;
	bool found = false;
	u32 i;
	int ret;

	for (i = 0; memory && i < memory->nregions; i++) {
		const struct khx_memory_region *region = &memory->regions[i];
		u64 from = max(first, region->uaddr);
		u64 to = min(end, region->uaddr + region->size);

		if (from >= to)
			continue;
		found = true;
		ret = khx_log_write(base, region->gpa + (from - region->uaddr),
				    to - from);
		if (ret)
			return ret;
	}
	return found || !len ? 0 : -EFAULT;
}

/**
 * khx_log_access_ok - can a bitmap at @base cover all up to @last_gpa?
 * @base: bitmap
 * @last_gpa: the highest address that may be logged
 *
 * Only says whether the range lies in user space; the owner does not tell how
 * much of it is mapped, a hole shows as -EFAULT when it is written.
 */
bool khx_log_access_ok(void __user *base, u64 last_gpa)
{
	return access_ok(base, last_gpa / VHOST_PAGE_SIZE / 8 + 1);
}
