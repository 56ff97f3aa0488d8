/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Just enough kernel for the ring sources of kmod/core to run in a process.
 *
 * "User memory" is one arena. What of it is not mapped for the device is
 * poisoned (see AddressSanitizer's manual poisoning), so that the shim can
 * tell. Each access to user memory is checked here:
 *
 *  - unsafe_get_user() and unsafe_put_user() lie inside the range that
 *    user_access_begin() was given; nothing else happens in between
 *  - it is mapped; if not, it fails with -EFAULT where shim.may_fault says
 *    that the test expects that, or else the process aborts
 *  - it may fail at random, for fault injection
 *
 * and before each access a hook of the test runs: what it does is what
 * another CPU could have done at that moment.
 */
#ifndef KHX_SHIM_H
#define KHX_SHIM_H

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Types and annotations. */
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef unsigned long long u64;
typedef int32_t s32;
typedef unsigned int gfp_t;

#define __user
#define __force
#define __rcu
#define __init
#define __exit
#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)
#define fallthrough		__attribute__((__fallthrough__))
#define EXPORT_SYMBOL_GPL(name)	extern int shim_export_##name

#include <linux/futex.h>
#include <linux/types.h>

#define U16_MAX			((u16)~0U)
#define U32_MAX			(~0U)
#define BIT(n)			(1UL << (n))
#define BIT_ULL(n)		(1ULL << (n))
#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define BUILD_BUG_ON(cond)	_Static_assert(!(cond), #cond)
#define container_of(ptr, type, member) \
	((type *)((char *)(ptr) - offsetof(type, member)))
#define IS_ALIGNED(x, a)	(((x) & ((__typeof__(x))(a) - 1)) == 0)
#define READ_ONCE(x)		(*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v)	(*(volatile __typeof__(x) *)&(x) = (v))
#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))

/* The kernel's refuse operands of different types, so we do too. */
#define __shim_same(a, b)	((void)((__typeof__(a) *)0 == (__typeof__(b) *)0))
#define min(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \
		     __shim_same(a, b); _a < _b ? _a : _b; })
#define max(a, b) ({ __typeof__(a) _a = (a); __typeof__(b) _b = (b); \
		     __shim_same(a, b); _a > _b ? _a : _b; })
#define min_t(type, a, b) ({ type _a = (a); type _b = (b); _a < _b ? _a : _b; })
#define max_t(type, a, b) ({ type _a = (a); type _b = (b); _a > _b ? _a : _b; })
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define array_size(n, size)		((size_t)(n) * (size))
#define struct_size(p, member, n) \
	(sizeof(*(p)) + (size_t)(n) * sizeof((p)->member[0]))

/* Byte order: little-endian hosts only. */
#define cpu_to_le16(x)		((__le16)(u16)(x))
#define cpu_to_le32(x)		((__le32)(u32)(x))
#define cpu_to_le64(x)		((__le64)(u64)(x))
#define le16_to_cpu(x)		((u16)(x))
#define le32_to_cpu(x)		((u32)(x))
#define le64_to_cpu(x)		((u64)(x))

/* The test's view. */
typedef void (*shim_hook_fn)(const void *ptr, size_t len, bool write);

struct shim {
	char *arena;			/* user memory */
	size_t arena_size;
	bool may_fault;			/* unmapped accesses return -EFAULT */
	unsigned int fault_rate;	/* and so does one in so many, 0: none */
	shim_hook_fn hook;		/* before each access, or NULL */
	void (*log_hook)(const u32 *word, u32 bits);	/* before a bit is set */
	u64 random;			/* state of shim_random() */
	u64 nr_accesses;
	u64 nr_faults;			/* -EFAULT returned, for any reason */
	u64 nr_log_faults;		/* and that for a word of a dirty log */
	u64 bytes_copied;
	unsigned int alloc_rate;	/* allocations fail: one in so many */
	const char *open_begin;		/* the open user access section */
	size_t open_len;
	bool in_hook;
	bool killed;			/* SIGKILL is pending: faults are of writes */
	char context[160];		/* printed when the process dies */
};

extern struct shim shim;

u32 shim_random(void);
void shim_context(const char *format, ...)
	__attribute__((__format__(printf, 1, 2)));
__attribute__((__noreturn__, __format__(printf, 1, 2)))
void shim_die(const char *format, ...);
bool shim_mapped(const void *ptr, size_t len);
void shim_sleep_point(const char *where);

/* User access. */
bool access_ok(const void *ptr, size_t len);
bool shim_access_begin(const void *ptr, size_t len);
void shim_access_end(void);
bool shim_get(void *to, const void *from, size_t len, bool unsafe);
bool shim_put(void *to, const void *from, size_t len, bool unsafe);
unsigned long copy_from_user(void *to, const void *from, size_t len);
unsigned long copy_to_user(void *to, const void *from, size_t len);
void *vmemdup_user(const void *from, size_t len);

#define user_access_begin(ptr, len)	shim_access_begin(ptr, len)
#define user_access_end()		shim_access_end()
#define user_write_access_begin(p, l)	shim_access_begin(p, l)
#define user_write_access_end()		shim_access_end()
#define user_read_access_begin(p, l)	shim_access_begin(p, l)
#define user_read_access_end()		shim_access_end()
/* A cast makes a value, and values are not const. */
#define __shim_value(ptr)	__typeof__((__typeof__(*(ptr)))0)
#define unsafe_get_user(x, ptr, label) do { \
	__shim_value(ptr) _v; \
	if (!shim_get(&_v, ptr, sizeof(_v), true)) \
		goto label; \
	(x) = _v; \
} while (0)
#define unsafe_put_user(x, ptr, label) do { \
	__typeof__(*(ptr)) _v = (x); \
	if (!shim_put(ptr, &_v, sizeof(_v), true)) \
		goto label; \
} while (0)
#define get_user(x, ptr) ({ \
	__shim_value(ptr) _v = 0; \
	int _ret = shim_get(&_v, ptr, sizeof(_v), false) ? 0 : -EFAULT; \
	(x) = _v; \
	_ret; \
})
#define put_user(x, ptr) ({ \
	__typeof__(*(ptr)) _v = (x); \
	shim_put(ptr, &_v, sizeof(_v), false) ? 0 : -EFAULT; \
})

int arch_futex_atomic_op_inuser(int op, u32 arg, int *old, u32 *word);

/* Barriers: one thread, but the compiler may not reorder either. */
#define smp_mb()	__atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb()	__atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_store_mb(x, v)	do { WRITE_ONCE(x, v); smp_mb(); } while (0)
#define smp_wmb()	__atomic_thread_fence(__ATOMIC_RELEASE)

/* Allocation; what is leaked, LeakSanitizer tells. */
#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	1

void *shim_alloc(size_t size, bool zero);
#define kmalloc(size, gfp)		shim_alloc(size, false)
#define kzalloc(size, gfp)		shim_alloc(size, true)
#define kvmalloc(size, gfp)		shim_alloc(size, false)
#define kvzalloc(size, gfp)		shim_alloc(size, true)
#define kvmalloc_array(n, size, gfp)	shim_alloc(array_size(n, size), false)
#define kcalloc(n, size, gfp)		shim_alloc(array_size(n, size), true)
#define kfree(p)			free((void *)(p))
#define kvfree(p)			free((void *)(p))

static inline void sort(void *base, size_t n, size_t size,
			int (*cmp)(const void *, const void *), void *swap)
{
	(void)swap;
	qsort(base, n, size, cmp);
}

#define ERR_PTR(err)	((void *)(long)(err))
#define PTR_ERR(ptr)	((long)(ptr))
#define ERR_CAST(ptr)	((void *)(ptr))
#define IS_ERR(ptr)	((unsigned long)(ptr) >= (unsigned long)-4095)

/* Locks: who holds them is checked, nobody else is there. */
struct mutex {
	bool held;
};

#define mutex_init(m)		((m)->held = false)
#define mutex_destroy(m)	((void)(m))

static inline void mutex_lock(struct mutex *mutex)
{
	shim_sleep_point("mutex_lock");
	if (mutex->held)
		shim_die("deadlock");
	mutex->held = true;
}

static inline void mutex_unlock(struct mutex *mutex)
{
	if (!mutex->held)
		shim_die("unlock of a free mutex");
	mutex->held = false;
}

#define mutex_is_locked(m)	((m)->held)
#define lockdep_assert_held(m)	do { \
	if (!(m)->held) \
		shim_die("%s: mutex not held", __func__); \
} while (0)

#define cond_resched()			do { } while (0)

/* The one task. */
struct task_struct {
	unsigned int flags;
};

#define PF_KTHREAD			1
#define current				(&(struct task_struct){ 0 })
#define fatal_signal_pending(task)	((void)(task), shim.killed)
#define in_task()			true
#define rcu_read_lock()			do { } while (0)
#define rcu_read_unlock()		do { } while (0)
#define rcu_dereference(p)		(p)
#define rcu_assign_pointer(p, v)	((p) = (v))

struct kref {
	int count;
};

static inline void kref_init(struct kref *ref)
{
	ref->count = 1;
}

static inline void kref_get(struct kref *ref)
{
	if (ref->count++ <= 0)
		shim_die("reference to a dead object");
}

static inline int kref_put(struct kref *ref, void (*release)(struct kref *))
{
	if (--ref->count)
		return 0;
	release(ref);
	return 1;
}

/* Eventfds count. */
struct eventfd_ctx {
	u64 count;
};

static inline void eventfd_signal(struct eventfd_ctx *ctx)
{
	shim_sleep_point("eventfd_signal");
	ctx->count++;
}

static inline void eventfd_ctx_put(struct eventfd_ctx *ctx)
{
	(void)ctx;
}

struct file;
static inline void fput(struct file *file)
{
	(void)file;
}

/* Polling and work: only the names; the tests queue by themselves. */
typedef struct { int unused; } poll_table;
typedef struct { int unused; } wait_queue_entry_t;
typedef struct { int unused; } wait_queue_head_t;
struct llist_node {
	struct llist_node *next;
};

struct xarray {
	int unused;
};

#define EPOLLIN		1

/* What only the control plane looks at. */
#define TASK_COMM_LEN	16
struct completion { int unused; };
struct work_struct { int unused; };
typedef struct { int unused; } refcount_t;
typedef struct { int unused; } spinlock_t;

#define TP_PROTO(...)	__VA_ARGS__
#define TRACE_EVENT(name, proto, ...) \
	static inline void trace_##name(proto) { }

#define pr_debug(...)			do { } while (0)
#define pr_debug_ratelimited(...)	do { } while (0)

static inline bool virtio_legacy_is_little_endian(void)
{
	return true;
}

static inline u16 __virtio16_to_cpu(bool le, __u16 v)
{
	return le ? v : __builtin_bswap16(v);
}

static inline __u16 __cpu_to_virtio16(bool le, u16 v)
{
	return le ? v : __builtin_bswap16(v);
}

static inline u32 __virtio32_to_cpu(bool le, __u32 v)
{
	return le ? v : __builtin_bswap32(v);
}

static inline __u32 __cpu_to_virtio32(bool le, u32 v)
{
	return le ? v : __builtin_bswap32(v);
}

static inline u64 __virtio64_to_cpu(bool le, __u64 v)
{
	return le ? v : __builtin_bswap64(v);
}

#endif /* KHX_SHIM_H */
