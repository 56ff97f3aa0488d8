// SPDX-License-Identifier: GPL-2.0
/* User memory as the kernel sees it; see shim.h. */
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

#include "shim.h"

struct shim shim = { .random = 1 };

/* splitmix64, by its published recurrence: small, and good for any seed. */
u32 shim_random(void)
{
	u64 z = shim.random += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) >> 32;
}

static void shim_print_context(void)
{
	if (shim.context[0])
		fprintf(stderr, "# in %s\n", shim.context);
}

/* What to say when the process dies, by us or by a sanitizer. */
void shim_context(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(shim.context, sizeof(shim.context), format, args);
	va_end(args);
	__sanitizer_set_death_callback(shim_print_context);
}

void shim_die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("# shim: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	shim_print_context();
	abort();
}

bool shim_mapped(const void *ptr, size_t len)
{
	uintptr_t at = (uintptr_t)ptr - (uintptr_t)shim.arena;

	return at < shim.arena_size && len <= shim.arena_size - at &&
	       !__asan_region_is_poisoned((void *)ptr, len);
}

/* What may sleep must not, between user_access_begin() and _end(). */
void shim_sleep_point(const char *where)
{
	if (shim.open_begin)
		shim_die("%s inside a user access section", where);
}

/* As on x86: below the end of user space, which says nothing else. */
bool access_ok(const void *ptr, size_t len)
{
	const uintptr_t end = 1ul << 47;

	return len <= end && (uintptr_t)ptr <= end - len;
}

/* Count it, let the world move, and say whether it works. */
static bool shim_access(const void *ptr, size_t len, bool write)
{
	shim.nr_accesses++;
	if (shim.hook && !shim.in_hook) {
		shim.in_hook = true;
		shim.hook(ptr, len, write);
		shim.in_hook = false;
	}
	if (shim.fault_rate && (write || !shim.killed) &&
	    !(shim_random() % shim.fault_rate))
		goto fault;
	if (shim_mapped(ptr, len))
		return true;
	if (!shim.may_fault)
		shim_die("%s of %zu bytes at %p, outside of guest memory",
			 write ? "write" : "read", len, ptr);
fault:
	shim.nr_faults++;
	return false;
}

bool shim_access_begin(const void *ptr, size_t len)
{
	shim_sleep_point("user_access_begin");
	if (!access_ok(ptr, len))
		return false;
	shim.open_begin = ptr;
	shim.open_len = len;
	return true;
}

void shim_access_end(void)
{
	if (!shim.open_begin)
		shim_die("user_access_end without a begin");
	shim.open_begin = NULL;
}

static void shim_check_section(const void *ptr, size_t len, bool unsafe)
{
	size_t at = (uintptr_t)ptr - (uintptr_t)shim.open_begin;

	if (!unsafe)
		shim_sleep_point("user access that may sleep");
	else if (!shim.open_begin)
		shim_die("unsafe access without user_access_begin");
	else if (at >= shim.open_len || len > shim.open_len - at)
		shim_die("unsafe access %zd bytes from the section's start, "
			 "which is %zu long", (ssize_t)at, shim.open_len);
}

bool shim_get(void *to, const void *from, size_t len, bool unsafe)
{
	shim_check_section(from, len, unsafe);
	if (!access_ok(from, len) || !shim_access(from, len, false))
		return false;
	memcpy(to, from, len);
	return true;
}

bool shim_put(void *to, const void *from, size_t len, bool unsafe)
{
	shim_check_section(to, len, unsafe);
	if (!access_ok(to, len) || !shim_access(to, len, true))
		return false;
	memcpy(to, from, len);
	return true;
}

unsigned long copy_from_user(void *to, const void *from, size_t len)
{
	shim.bytes_copied += len;
	if (!len || shim_get(to, from, len, false))
		return 0;
	/* The kernel's clears what it could not copy. */
	memset(to, 0, len);
	return len;
}

unsigned long copy_to_user(void *to, const void *from, size_t len)
{
	return !len || shim_put(to, from, len, false) ? 0 : len;
}

void *vmemdup_user(const void *from, size_t len)
{
	void *copy = shim_alloc(len, false);

	if (!copy)
		return ERR_PTR(-ENOMEM);
	if (!copy_from_user(copy, from, len))
		return copy;
	free(copy);
	return ERR_PTR(-EFAULT);
}

int arch_futex_atomic_op_inuser(int op, u32 arg, int *old, u32 *word)
{
	shim_sleep_point("futex operation");
	if (op != FUTEX_OP_OR)
		return -ENOSYS;
	if ((uintptr_t)word % sizeof(*word))
		shim_die("futex operation on unaligned %p", (void *)word);
	if (!access_ok(word, sizeof(*word)) ||
	    !shim_access(word, sizeof(*word), true)) {
		shim.nr_log_faults++;
		return -EFAULT;
	}
	if (shim.log_hook)
		shim.log_hook(word, arg);
	*old = *word;
	*word |= arg;
	return 0;
}

void *shim_alloc(size_t size, bool zero)
{
	void *p;

	shim_sleep_point("allocation");
	if (shim.alloc_rate && !(shim_random() % shim.alloc_rate))
		return NULL;
	p = malloc(size);
	/* Nothing may rely on what a fresh allocation holds. */
	if (p)
		memset(p, zero ? 0 : 0xa5, size);
	return p;
}
