// SPDX-License-Identifier: GPL-2.0
/* Policy: when the scanner works, how fast, and what it is told. */
#include <linux/atomic.h>
#include <linux/freezer.h>
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/wait.h>

#include "candidate.h"
#include "control.h"
#include "domain.h"
#include "guard.h"
#include "hint.h"
#include "history.h"
#include "netlink.h"
#include "pool.h"
#include "scan.h"
#include "stable.h"
#include "unmerge.h"

const struct khx_merge_setting_info khx_merge_settings[] = {
	[KHX_MERGE_SET_RUN] = { "run: 0 to 2", 0, 2 },
	[KHX_MERGE_SET_PAGES_TO_SCAN] = { "pages_to_scan: 1 to 1048576", 1, 1 << 20 },
	[KHX_MERGE_SET_SLEEP_MSECS] = { "sleep_millisecs: 0 to 3600000", 0, 3600000 },
	[KHX_MERGE_SET_CPU_LIMIT] = { "cpu_limit: 1 to 100", 1, 100 },
	[KHX_MERGE_SET_MAX_PAGE_SHARING] = { "max_page_sharing: 2 to 1048576",
					     2, 1 << 20 },
	[KHX_MERGE_SET_USE_ZERO_PAGES] = { "use_zero_pages: 0 or 1", 0, 1 },
	[KHX_MERGE_SET_ACROSS_NODES] = { "merge_across_nodes: 0 or 1", 0, 1 },
	[KHX_MERGE_SET_PROFIT_GUARD] = { "profit_guard: 0 or 1", 0, 1 },
};

/*
 * 1024 pages and 20 ms are at most 200 MiB/s. Sharers of a copy are many: unlike
 * in KSM nothing walks them, the limit only keeps writers from queueing for the
 * lock of one page.
 */
static unsigned int khx_merge_values[KHX_MERGE_NR_SETTINGS] = {
	[KHX_MERGE_SET_RUN]			= KHX_MERGE_RUN_STOP,
	[KHX_MERGE_SET_PAGES_TO_SCAN]		= 1024,
	[KHX_MERGE_SET_SLEEP_MSECS]		= 20,
	[KHX_MERGE_SET_CPU_LIMIT]		= 10,
	[KHX_MERGE_SET_MAX_PAGE_SHARING]	= 1 << 16,
	[KHX_MERGE_SET_USE_ZERO_PAGES]		= 1,
	[KHX_MERGE_SET_ACROSS_NODES]		= 1,
	[KHX_MERGE_SET_PROFIT_GUARD]		= 1,
};

/*
 * Held to change a setting and by the thread for each batch, so that nothing is
 * merged any more once "run" has been set to another value.
 */
static DEFINE_MUTEX(khx_merge_control_lock);
static DECLARE_WAIT_QUEUE_HEAD(khx_merge_control_wait);
static struct task_struct *khx_merge_control_task;
static atomic_t khx_merge_control_changes;	/* of settings */
static unsigned long khx_merge_passes;
static u64 khx_merge_cpu_ns;	/* of the thread, as it last knew it */

/* Pages looked at before a file that wants to leave, or a setting, gets its turn. */
#define KHX_MERGE_BATCH_MAX	256U

/* A pass that merged nothing makes the next one wait, up to this long. */
#define KHX_MERGE_IDLE_MAX_MSECS	1000U

/*
 * So does one that merged while half as much or more was written again: each costs a
 * guest faults, so what does not last is not to be looked for all the time.
 */
#define KHX_MERGE_CHURN_MAX_MSECS	16000U

unsigned int khx_merge_control_get(enum khx_merge_setting which)
{
	return READ_ONCE(khx_merge_values[which]);
}

static bool khx_merge_control_is_running(void)
{
	return khx_merge_control_get(KHX_MERGE_SET_RUN) == KHX_MERGE_RUN_MERGE;
}

enum khx_merge_run_state khx_merge_control_state(void)
{
	if (!khx_merge_control_is_running())
		return KHX_MERGE_STATE_STOPPED;
	return khx_merge_guard_engaged() ? KHX_MERGE_STATE_GUARDED :
					   KHX_MERGE_STATE_RUNNING;
}

unsigned long khx_merge_control_full_scans(void)
{
	return READ_ONCE(khx_merge_passes);
}

u64 khx_merge_control_cpu(void)
{
	return READ_ONCE(khx_merge_cpu_ns);
}

/* Bytes kept of pages, which is what looking at them costs. */
static unsigned long khx_merge_control_notes(const unsigned long *totals)
{
	return totals[KHX_MERGE_STAT_UNSHARED] * khx_merge_candidate_size() +
	       totals[KHX_MERGE_STAT_SHARED] * sizeof(struct khx_merge_stable) +
	       totals[KHX_MERGE_STAT_HISTORIES] * khx_merge_history_size() +
	       khx_merge_hint_bytes();
}

/* The rest is taken however few pages there are, or follows slowly if they get fewer. */
unsigned long khx_merge_control_metadata(const unsigned long *totals)
{
	return khx_merge_control_notes(totals) + khx_merge_domain_bytes() +
	       khx_merge_pool_bytes();
}

static long khx_merge_control_saved(const unsigned long *totals)
{
	long pages = totals[KHX_MERGE_STAT_MERGED] - totals[KHX_MERGE_STAT_SHARED] +
		     totals[KHX_MERGE_STAT_ZEROED];

	return pages * (long)PAGE_SIZE;
}

long khx_merge_control_profit(const unsigned long *totals)
{
	return khx_merge_control_saved(totals) - khx_merge_control_metadata(totals);
}

long khx_merge_control_worth(const unsigned long *totals)
{
	return khx_merge_control_saved(totals) - khx_merge_control_notes(totals);
}

static int khx_merge_control_apply(enum khx_merge_setting which,
				   unsigned int value)
{
	unsigned long totals[KHX_MERGE_NR_STATS];

	lockdep_assert_held(&khx_merge_control_lock);

	/* Keys depend on it: those in the tables would be wrong. */
	if (which == KHX_MERGE_SET_ACROSS_NODES &&
	    value != khx_merge_control_get(which)) {
		khx_merge_domain_totals(totals);
		if (totals[KHX_MERGE_STAT_SHARED] || totals[KHX_MERGE_STAT_UNSHARED])
			return -EBUSY;
	}
	WRITE_ONCE(khx_merge_values[which], value);
	if (which == KHX_MERGE_SET_RUN && value == KHX_MERGE_RUN_UNMERGE)
		return khx_merge_unmerge_all();
	return 0;
}

int khx_merge_control_set(enum khx_merge_setting which, unsigned int value)
{
	const struct khx_merge_setting_info *info = &khx_merge_settings[which];
	unsigned int before;
	bool changed;
	int ret;

	if (value < info->min || value > info->max)
		return -ERANGE;
	ret = mutex_lock_interruptible(&khx_merge_control_lock);
	if (ret)
		return ret;
	before = khx_merge_control_get(which);
	ret = khx_merge_control_apply(which, value);
	changed = khx_merge_control_get(which) != before;
	mutex_unlock(&khx_merge_control_lock);
	if (changed) {
		atomic_inc(&khx_merge_control_changes);
		wake_up_interruptible(&khx_merge_control_wait);
	}
	return ret;
}

static void khx_merge_control_rules(struct khx_merge_rules *rules)
{
	rules->max_sharing = khx_merge_control_get(KHX_MERGE_SET_MAX_PAGE_SHARING);
	rules->zero_pages = khx_merge_control_get(KHX_MERGE_SET_USE_ZERO_PAGES);
	rules->across_nodes = khx_merge_control_get(KHX_MERGE_SET_ACROSS_NODES);
}

/* A batch of up to *@left pages, which get fewer; false if it was the last. */
static bool khx_merge_control_batch(unsigned int *left,
				    struct khx_merge_progress *pass)
{
	unsigned int budget = min(*left, KHX_MERGE_BATCH_MAX);
	struct khx_merge_rules rules;
	bool running;

	/* Nothing signals us. Who unmerges all may have it for minutes: that is no hang. */
	if (mutex_lock_interruptible(&khx_merge_control_lock))
		return false;
	running = khx_merge_control_is_running();
	if (running) {
		khx_merge_control_rules(&rules);
		*left -= khx_merge_scan_batch(&rules, budget, pass);
	}
	mutex_unlock(&khx_merge_control_lock);
	return running && !pass->pass_done && *left;
}

/* Up to pages_to_scan pages, or to the end of the pass. */
static void khx_merge_control_scan(struct khx_merge_progress *pass)
{
	unsigned int left = khx_merge_control_get(KHX_MERGE_SET_PAGES_TO_SCAN);

	do {
		cond_resched();
	} while (khx_merge_control_batch(&left, pass));
}

/* Sleep after @work_ns of work, so that it stays within the share of a CPU. */
static unsigned int khx_merge_control_pause(u64 work_ns, unsigned int idle_msecs)
{
	unsigned int limit = khx_merge_control_get(KHX_MERGE_SET_CPU_LIMIT);
	unsigned int pause = khx_merge_control_get(KHX_MERGE_SET_SLEEP_MSECS);
	u64 rest = div_u64(work_ns * (100 - limit), limit);

	if (khx_merge_guard_engaged())
		rest += div_u64(work_ns * 100, limit) * (KHX_MERGE_TRICKLE - 1);
	pause = max_t(u64, pause, DIV_ROUND_UP_ULL(rest, NSEC_PER_MSEC));
	return max(pause, idle_msecs);
}

/*
 * What passes have gained, and what has been written again meanwhile, the last ones
 * above all: a pass counts for a quarter, as not each pass merges what is written
 * before the next. Both are sums, four times the mean.
 */
static struct khx_merge_pace {
	long gains;
	long breaks;
	long breaks_before;	/* of all time, at the end of the last pass */
	unsigned int idle_msecs;	/* after it */
} khx_merge_pace;

static long khx_merge_control_breaks(void)
{
	unsigned long totals[KHX_MERGE_NR_STATS];

	khx_merge_domain_totals(totals);
	return totals[KHX_MERGE_STAT_BREAKS];
}

/* What was written while nothing merged says nothing of what will merge now. */
static void khx_merge_control_begin(void)
{
	khx_merge_pace = (struct khx_merge_pace){
		.breaks_before = khx_merge_control_breaks(),
	};
}

static void khx_merge_control_churn(struct khx_merge_pace *pace,
				    const struct khx_merge_progress *pass)
{
	long breaks = khx_merge_control_breaks();

	pace->gains += (long)pass->gains - pace->gains / 4;
	pace->breaks += breaks - pace->breaks_before - pace->breaks / 4;
	pace->breaks_before = breaks;
}

/*
 * Memory at rest, or written as fast as it is merged: look at it less often, until
 * looking pays again.
 */
static unsigned int khx_merge_control_idle(struct khx_merge_pace *pace,
					   const struct khx_merge_progress *pass)
{
	unsigned int pause = khx_merge_control_get(KHX_MERGE_SET_SLEEP_MSECS);
	unsigned int most = pass->gains ? KHX_MERGE_CHURN_MAX_MSECS :
					  KHX_MERGE_IDLE_MAX_MSECS;

	khx_merge_control_churn(pace, pass);
	if (!pause)
		return 0;
	if (pass->gains && 2 * pace->breaks < pace->gains)
		return pace->idle_msecs / 4;
	return clamp(pace->idle_msecs * 2, pause, max(pause, most));
}

static unsigned int khx_merge_control_round(struct khx_merge_progress *pass)
{
	const u64 work_before = pass->work_ns, cpu_before = khx_merge_cpu_ns;
	struct khx_merge_pace *pace = &khx_merge_pace;
	u64 work;

	khx_merge_control_scan(pass);
	WRITE_ONCE(khx_merge_cpu_ns, current->se.sum_exec_runtime);
	/* To begin and to end a round takes time, too; of short ones most of it. */
	work = max(pass->work_ns - work_before, khx_merge_cpu_ns - cpu_before);
	if (khx_merge_guard_judge(khx_merge_cpu_ns))
		khx_merge_netlink_guard();
	if (!pass->pass_done)
		return khx_merge_control_pause(work, 0);

	WRITE_ONCE(khx_merge_passes, khx_merge_passes + 1);
	khx_merge_guard_pass();
	khx_merge_netlink_pass();
	pace->idle_msecs = khx_merge_control_idle(pace, pass);
	*pass = (struct khx_merge_progress){};
	return khx_merge_control_pause(work, pace->idle_msecs);
}

static void khx_merge_control_stopped(void)
{
	khx_merge_pool_rest();
	wait_event_freezable(khx_merge_control_wait,
			     khx_merge_control_is_running() ||
			     kthread_should_stop());
	khx_merge_guard_reset(khx_merge_control_cpu());
	khx_merge_control_begin();
}

/* What the scanner cost with other settings says nothing of what it will cost now. */
static void khx_merge_control_changed(void)
{
	bool guarded = khx_merge_guard_engaged();

	khx_merge_guard_reset(khx_merge_control_cpu());
	if (guarded)
		khx_merge_netlink_guard();
}

/* Until time is up or a setting has changed: what was to be an hour may be none. */
static void khx_merge_control_sleep(unsigned int msecs, int changes)
{
	/* Less would be filled again at once. */
	if (msecs >= KHX_MERGE_IDLE_MAX_MSECS)
		khx_merge_pool_rest();
	if (msecs)
		wait_event_freezable_timeout(khx_merge_control_wait,
					     changes != atomic_read(&khx_merge_control_changes) ||
					     kthread_should_stop(),
					     msecs_to_jiffies(msecs));
}

static int khx_merge_control_thread(void *unused)
{
	struct khx_merge_progress pass = {};
	int changes, known = 0;

	set_freezable();
	set_user_nice(current, 5);
	while (!kthread_should_stop()) {
		if (!khx_merge_control_is_running()) {
			khx_merge_control_stopped();
			continue;
		}
		changes = atomic_read(&khx_merge_control_changes);
		if (changes != known)
			khx_merge_control_changed();
		known = changes;
		khx_merge_control_sleep(khx_merge_control_round(&pass), changes);
		try_to_freeze();
		cond_resched();
	}
	return 0;
}

int khx_merge_control_init(void)
{
	khx_merge_control_task = kthread_run(khx_merge_control_thread, NULL,
					     "khx_merged");
	return PTR_ERR_OR_ZERO(khx_merge_control_task);
}

void khx_merge_control_exit(void)
{
	kthread_stop(khx_merge_control_task);
}
