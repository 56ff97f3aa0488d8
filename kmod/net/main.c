// SPDX-License-Identifier: GPL-2.0
/* khx_net: virtio-net in the host kernel. */
#include <linux/init.h>
#include <linux/khx_version.h>
#include <linux/miscdevice.h>
#include <linux/module.h>

#include "net/net.h"

static struct miscdevice khx_net_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "khx-net",
	.fops	= &khx_net_fops,
	.mode	= 0600,
};

static int __init khx_net_init(void)
{
	return misc_register(&khx_net_misc);
}
module_init(khx_net_init);

static void __exit khx_net_exit(void)
{
	misc_deregister(&khx_net_misc);
}
module_exit(khx_net_exit);

MODULE_DESCRIPTION("khx net: virtio-net served in the host kernel");
MODULE_LICENSE("GPL");
MODULE_VERSION(KHX_VERSION);
