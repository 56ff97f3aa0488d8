// SPDX-License-Identifier: GPL-2.0
/*
 * A driver as those that reach user memory by its page: it takes references to write
 * through them, as fast as it can, or pins a page for long to read it. Nothing that a
 * process can do on the tested kernels takes a pin for reading only.
 * Never part of what is installed.
 */
#include <linux/fs.h>
#include <linux/highmem.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/prandom.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "khx_gup.h"

/* One reference in so many is kept for a tick before it is used. */
#define KHX_GUP_HOLD	32

static int khx_gup_increment(unsigned long addr, u32 offset, u8 *holds, bool hold,
			     u32 *lost)
{
	struct page *page;
	u32 *word;
	int ret;

	ret = get_user_pages_fast(addr, 1, FOLL_WRITE, &page);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	if (hold)
		schedule_timeout_uninterruptible(1);
	word = kmap_local_page(page) + offset;
	if (READ_ONCE(*word) != *holds)
		(*lost)++;
	*holds ^= 1;
	WRITE_ONCE(*word, *holds);
	kunmap_local(word);
	put_page(page);
	return 0;
}

static int khx_gup_storm_run(struct khx_gup_storm *storm)
{
	struct rnd_state rnd;
	u32 i, which;
	int ret;

	if (storm->offset > PAGE_SIZE - sizeof(u32) || storm->offset % sizeof(u32))
		return -EINVAL;
	prandom_seed_state(&rnd, storm->seed);
	for (i = 0; i < storm->increments; i++) {
		which = prandom_u32_state(&rnd) % KHX_GUP_PAGES;
		ret = khx_gup_increment(storm->addr + which * PAGE_SIZE,
					storm->offset, &storm->holds[which],
					i % KHX_GUP_HOLD == 0, &storm->lost);
		if (ret)
			return ret;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static long khx_gup_storm(void __user *arg)
{
	struct khx_gup_storm *storm = memdup_user(arg, sizeof(*storm));
	int ret;

	if (IS_ERR(storm))
		return PTR_ERR(storm);
	storm->lost = 0;
	memset(storm->holds, 0, sizeof(storm->holds));
	ret = khx_gup_storm_run(storm);
	if (!ret && copy_to_user(arg, storm, sizeof(*storm)))
		ret = -EFAULT;
	kfree(storm);
	return ret;
}

/* The page is filp->private_data; one thread has the file. */
static long khx_gup_pin(struct file *filp, u64 __user *arg)
{
	struct page *page;
	u64 addr;
	int ret;

	if (filp->private_data)
		return -EBUSY;
	if (get_user(addr, arg))
		return -EFAULT;
	ret = pin_user_pages_fast(addr, 1, FOLL_LONGTERM, &page);
	if (ret != 1)
		return ret < 0 ? ret : -EFAULT;
	filp->private_data = page;
	return 0;
}

static long khx_gup_read(struct file *filp, u64 __user *arg)
{
	u64 *word, value;

	if (!filp->private_data)
		return -ENXIO;
	word = kmap_local_page(filp->private_data);
	value = READ_ONCE(*word);
	kunmap_local(word);
	return put_user(value, arg);
}

static void khx_gup_unpin(struct file *filp)
{
	if (filp->private_data)
		unpin_user_page(filp->private_data);
	filp->private_data = NULL;
}

static long khx_gup_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	switch (cmd) {
	case KHX_GUP_STORM:
		return khx_gup_storm((void __user *)arg);
	case KHX_GUP_PIN:
		return khx_gup_pin(filp, (u64 __user *)arg);
	case KHX_GUP_READ:
		return khx_gup_read(filp, (u64 __user *)arg);
	case KHX_GUP_UNPIN:
		khx_gup_unpin(filp);
		return 0;
	default:
		return -ENOTTY;
	}
}

/* misc_open() leaves its device there. */
static int khx_gup_open(struct inode *inode, struct file *filp)
{
	filp->private_data = NULL;
	return 0;
}

static int khx_gup_release(struct inode *inode, struct file *filp)
{
	khx_gup_unpin(filp);
	return 0;
}

static const struct file_operations khx_gup_operations = {
	.owner		= THIS_MODULE,
	.open		= khx_gup_open,
	.release	= khx_gup_release,
	.unlocked_ioctl	= khx_gup_ioctl,
};

static struct miscdevice khx_gup_device = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= KHX_GUP_DEVICE,
	.fops	= &khx_gup_operations,
	.mode	= 0600,
};
module_misc_device(khx_gup_device);

MODULE_DESCRIPTION("A driver that holds user memory, for the tests of khx_merge");
MODULE_LICENSE("GPL");
