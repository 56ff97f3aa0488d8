// SPDX-License-Identifier: GPL-2.0
/*
 * Every kind of kernel bug that the test host must notice, on request: the
 * proof that a run which does not complain had nothing to complain about.
 * Never part of what is installed.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>

static char *what = "";
module_param(what, charp, 0);
MODULE_PARM_DESC(what, "warn, oops, leak, uaf, lock or sleep");

static DEFINE_MUTEX(splat_first);
static DEFINE_MUTEX(splat_second);

static void splat_leak(void)
{
	char *lost = kmalloc(100, GFP_KERNEL);

	if (lost)
		memset(lost, 1, 100);
}

static void splat_use_after_free(void)
{
	char *freed = kmalloc(100, GFP_KERNEL);

	if (!freed)
		return;
	kfree(freed);
	/* The compiler must not see what this is. */
	OPTIMIZER_HIDE_VAR(freed);
	*(volatile char *)freed = 1;
}

/* Both orders, one after the other: no deadlock, but a possible one. */
static void splat_lock_order(void)
{
	mutex_lock(&splat_first);
	mutex_lock(&splat_second);
	mutex_unlock(&splat_second);
	mutex_unlock(&splat_first);

	mutex_lock(&splat_second);
	mutex_lock(&splat_first);
	mutex_unlock(&splat_first);
	mutex_unlock(&splat_second);
}

static void splat_sleep(void)
{
	preempt_disable();
	msleep(20);
	preempt_enable();
}

static int __init splat_init(void)
{
	if (!strcmp(what, "warn"))
		WARN(1, "splat: wanted\n");
	else if (!strcmp(what, "oops"))
		*(volatile char *)NULL = 1;
	else if (!strcmp(what, "leak"))
		splat_leak();
	else if (!strcmp(what, "uaf"))
		splat_use_after_free();
	else if (!strcmp(what, "lock"))
		splat_lock_order();
	else if (!strcmp(what, "sleep"))
		splat_sleep();
	else
		return -EINVAL;
	return 0;
}
module_init(splat_init);

static void __exit splat_exit(void)
{
}
module_exit(splat_exit);

MODULE_DESCRIPTION("Kernel bugs on request, for the test host's own tests");
MODULE_LICENSE("GPL");
