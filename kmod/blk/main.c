// SPDX-License-Identifier: GPL-2.0
/* khx_blk: virtio-blk in the host kernel. */
#include <linux/init.h>
#include <linux/khx_version.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "blk/blk.h"

static struct miscdevice khx_blk_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "khx-blk",
	.fops	= &khx_blk_fops,
	.mode	= 0600,
};

static int __init khx_blk_init(void)
{
	return misc_register(&khx_blk_misc);
}
module_init(khx_blk_init);

static void __exit khx_blk_exit(void)
{
	misc_deregister(&khx_blk_misc);
}
module_exit(khx_blk_exit);

MODULE_DESCRIPTION("khx blk: virtio-blk served in the host kernel");
MODULE_LICENSE("GPL");
MODULE_VERSION(KHX_VERSION);
