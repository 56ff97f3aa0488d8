// SPDX-License-Identifier: GPL-2.0
/* The core of khx: start order and mirrored unwinding. */
#include <linux/init.h>
#include <linux/module.h>

#include "core/netlink.h"

static int __init khx_init(void)
{
	return khx_netlink_init();
}
module_init(khx_init);

static void __exit khx_exit(void)
{
	khx_netlink_exit();
}
module_exit(khx_exit);

MODULE_DESCRIPTION("khx core: device-side virtqueues for in-kernel backends");
MODULE_LICENSE("GPL");
