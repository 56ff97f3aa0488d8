/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A task that is being killed can have no page of the owner's memory made, and waits
 * for no lock. Of an error there are two questions:
 *
 *	khx_is_killed()		could it be for that alone?
 *	khx_hands_over()	and can others go on instead?
 *
 * khx_killed_or_fault() is the error to return of memory that cannot be accessed.
 */
#ifndef KHX_CORE_KILLED_H
#define KHX_CORE_KILLED_H

#include <linux/errno.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

/**
 * khx_is_killed - could an error that we got be due to our being killed?
 *
 * Of a task that is being killed many things fail that would not, or not for long, for
 * others.
 *
 * Context: Any; where no task of ours runs, nothing of it is killed.
 */
static inline bool khx_is_killed(void)
{
	return fatal_signal_pending(current) && in_task();
}

/**
 * khx_hands_over - should others go on with what needs the owner's memory?
 *
 * Who is being killed cannot have pages of it made, others can: a worker that is a
 * thread of its owner's process leaves them the rest. A kernel thread (before 6.4) is
 * sent SIGKILL only to end a wait that its owner holds up: nobody would wait less.
 *
 * Context: Any task's.
 */
static inline bool khx_hands_over(void)
{
	return khx_is_killed() && !(current->flags & PF_KTHREAD);
}

/**
 * khx_killed_or_fault - what to return when the owner's memory cannot be accessed
 *
 * Context: Any task's.
 * Return: -EINTR if others may be able to, they are to go on; else -EFAULT.
 */
static inline int khx_killed_or_fault(void)
{
	return khx_hands_over() ? -EINTR : -EFAULT;
}

#endif /* KHX_CORE_KILLED_H */
