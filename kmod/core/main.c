// SPDX-License-Identifier: GPL-2.0
/* The core of khx: start order and mirrored unwinding. */
#include <linux/init.h>
#include <linux/module.h>

static int __init khx_init(void)
{
	return 0;
}
module_init(khx_init);

static void __exit khx_exit(void)
{
}
module_exit(khx_exit);

MODULE_DESCRIPTION("khx core: device-side virtqueues for in-kernel backends");
MODULE_LICENSE("GPL");
