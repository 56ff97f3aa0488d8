// SPDX-License-Identifier: GPL-2.0
/*
 * What ends in the background: workers that were replaced, and devices whose
 * last file somebody else than their owner closed. An owner can keep both from
 * ending as long as he likes, by the memory he gives to them. Nobody else is
 * to wait for that, nor find a workqueue of the system used up. Ours may be:
 * who has to wait for what is not even begun does it himself.
 *
 * How many end at a time, and where, the administrator may set below
 * /sys/devices/virtual/workqueue/khx_reaper.
 */
#include <linux/errno.h>

#include "core/reaper.h"

static struct workqueue_struct *khx_reaper;

int khx_reaper_init(void)
{
	khx_reaper = alloc_workqueue("khx_reaper", WQ_UNBOUND | WQ_SYSFS,
				     WQ_MAX_ACTIVE);
	return khx_reaper ? 0 : -ENOMEM;
}

/* Waits for what is queued; that runs code of this module. */
void khx_reaper_exit(void)
{
	destroy_workqueue(khx_reaper);
}

/* Context: any. */
void khx_reaper_queue(struct work_struct *work)
{
	queue_work(khx_reaper, work);
}
