// SPDX-License-Identifier: GPL-2.0
/* The core of khx: start order and mirrored unwinding. */
#include <linux/init.h>
#include <linux/khx_version.h>
#include <linux/module.h>

#include "core/netlink.h"
#include "core/reaper.h"

static int __init khx_init(void)
{
	int ret;

	ret = khx_reaper_init();
	if (ret)
		return ret;
	ret = khx_netlink_init();
	if (ret)
		khx_reaper_exit();
	return ret;
}
module_init(khx_init);

static void __exit khx_exit(void)
{
	khx_netlink_exit();
	khx_reaper_exit();
}
module_exit(khx_exit);

MODULE_DESCRIPTION("khx core: device-side virtqueues for in-kernel backends");
MODULE_LICENSE("GPL");
MODULE_VERSION(KHX_VERSION);
