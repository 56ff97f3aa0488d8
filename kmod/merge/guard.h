/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_GUARD_H
#define KHX_MERGE_GUARD_H

#include <linux/types.h>

/* How much slower the scanner is when it does not pay. */
#define KHX_MERGE_TRICKLE	16

/* Control thread only. */

/* Scanning starts: nothing is known of its worth. */
void khx_merge_guard_reset(u64 cpu_ns);
/* A pass is over. */
void khx_merge_guard_pass(void);
/* Judges when a window is over; returns whether the verdict changed. */
bool khx_merge_guard_judge(u64 cpu_ns);
/* Anyone: is the scanner slowed? */
bool khx_merge_guard_engaged(void);

#endif /* KHX_MERGE_GUARD_H */
