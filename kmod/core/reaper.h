/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_REAPER_H
#define KHX_CORE_REAPER_H

#include <linux/workqueue.h>

int khx_reaper_init(void);
void khx_reaper_exit(void);
void khx_reaper_queue(struct work_struct *work);

#endif /* KHX_CORE_REAPER_H */
