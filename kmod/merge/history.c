// SPDX-License-Identifier: GPL-2.0
/* The back-off of pages that are written again after they were merged. */
#include <linux/slab.h>
#include <linux/timekeeping.h>

#include "alloc.h"
#include "file.h"
#include "history.h"
#include "index.h"

/* One word a page, in arrays for 2 MiB, where a page has been looked at. */
#define KHX_MERGE_HISTORY_SHIFT	9
#define KHX_MERGE_HISTORY_PAGES	(1UL << KHX_MERGE_HISTORY_SHIFT)

/* level in bits 0-3, "was zero" in bit 4, seconds of the last event above */
#define KHX_MERGE_HISTORY_LEVEL	0xfU
#define KHX_MERGE_HISTORY_ZERO	0x10U
#define KHX_MERGE_HISTORY_TIME	5

/*
 * 4 s doubled each time. At the top, 68 minutes, even a page that is written
 * all day costs two dozen breaks.
 */
#define KHX_MERGE_BACKOFF_SECS	4
#define KHX_MERGE_LEVEL_MAX	10

/* How long a strict mount takes a merge for recent. */
#define KHX_MERGE_RECENT_SECS	60

struct khx_merge_history {
	u32 word[KHX_MERGE_HISTORY_PAGES];
};

static u32 khx_merge_history_make(unsigned int level, u32 zero)
{
	return (u32)ktime_get_seconds() << KHX_MERGE_HISTORY_TIME | zero | level;
}

/* Seconds since the last event, modulo four years. */
static u32 khx_merge_history_age(u32 word)
{
	u32 now = (u32)ktime_get_seconds() << KHX_MERGE_HISTORY_TIME;

	return (now - (word & ~((1U << KHX_MERGE_HISTORY_TIME) - 1))) >>
		KHX_MERGE_HISTORY_TIME;
}

static u32 *khx_merge_history_word(struct khx_merge_file *file, pgoff_t index)
{
	struct khx_merge_history *history;

	history = xa_load(&file->history, index >> KHX_MERGE_HISTORY_SHIFT);
	if (!history)
		return NULL;
	return &history->word[index & (KHX_MERGE_HISTORY_PAGES - 1)];
}

/*
 * The file's owner pays: they stay as long as the file, and he says how many there
 * are. Locks of other pages may be held: this must not wait for reclaim.
 */
static struct khx_merge_history *khx_merge_history_add(struct khx_merge_file *file,
						       pgoff_t index)
{
	const gfp_t gfp = GFP_NOWAIT | __GFP_NOWARN | __GFP_ACCOUNT;
	struct khx_merge_history *history = kzalloc(sizeof(*history), gfp);

	/* Only the scanner adds: there is nothing to lose a race to. */
	if (!history || !xa_err(xa_store(&file->history,
					 index >> KHX_MERGE_HISTORY_SHIFT,
					 history, gfp)))
		return history;
	kfree(history);
	return NULL;
}

bool khx_merge_history_prepare(struct khx_merge_file *file, pgoff_t index)
{
	struct khx_merge_history *history;
	struct khx_merge_payer payer;

	if (khx_merge_history_word(file, index))
		return true;
	khx_merge_payer_enter(&payer, file, NULL);
	history = khx_merge_history_add(file, index);
	khx_merge_payer_leave(&payer);
	if (!history)
		return false;
	khx_merge_file_count(file, KHX_MERGE_STAT_HISTORIES, 1);
	return true;
}

/*
 * Every change of a word goes through here: punching a hole races with faults,
 * and the count of zeroed pages follows whoever replaced the bit.
 */
static void khx_merge_history_set(struct khx_merge_file *file, u32 *word, u32 new)
{
	u32 old = xchg(word, new);
	long zeroed = !!(new & KHX_MERGE_HISTORY_ZERO) -
		      !!(old & KHX_MERGE_HISTORY_ZERO);

	if (zeroed)
		khx_merge_file_count(file, KHX_MERGE_STAT_ZEROED, zeroed);
}

void khx_merge_history_merged(struct khx_merge_file *file, pgoff_t index,
			      bool zeroed)
{
	u32 *word = khx_merge_history_word(file, index);
	unsigned int level;

	if (WARN_ON_ONCE(!word))
		return;
	level = READ_ONCE(*word) & KHX_MERGE_HISTORY_LEVEL;
	khx_merge_history_set(file, word,
			      khx_merge_history_make(level, zeroed ?
						     KHX_MERGE_HISTORY_ZERO : 0));
	khx_merge_file_count(file, KHX_MERGE_STAT_MERGES, 1);
}

/* A merge that lasted twice as long as the wait before it was worth it. */
static unsigned int khx_merge_history_next_level(u32 word)
{
	unsigned int level = word & KHX_MERGE_HISTORY_LEVEL;

	if (khx_merge_history_age(word) < KHX_MERGE_BACKOFF_SECS << (level + 1))
		return min(level + 1, (unsigned int)KHX_MERGE_LEVEL_MAX);
	return level ? level - 1 : 0;
}

/* Written after it was merged. For a hole: if a merge made it one. */
void khx_merge_history_broken(struct khx_merge_file *file, pgoff_t index)
{
	u32 *word = khx_merge_history_word(file, index);
	unsigned int level;

	if (!word)
		return;
	level = khx_merge_history_next_level(READ_ONCE(*word));
	khx_merge_history_set(file, word, khx_merge_history_make(level, 0));
	khx_merge_file_count(file, KHX_MERGE_STAT_BREAKS, 1);
}

/* Written while private: the wait begins anew. */
void khx_merge_history_written(struct khx_merge_file *file, pgoff_t index)
{
	u32 *word = khx_merge_history_word(file, index);
	unsigned int level;

	if (!word)
		return;
	level = READ_ONCE(*word) & KHX_MERGE_HISTORY_LEVEL;
	if (level)
		khx_merge_history_set(file, word,
				      khx_merge_history_make(level, 0));
}

bool khx_merge_history_ready(struct khx_merge_file *file, pgoff_t index)
{
	u32 *word = khx_merge_history_word(file, index);
	u32 old = word ? READ_ONCE(*word) : 0;
	unsigned int level = old & KHX_MERGE_HISTORY_LEVEL;

	return !level ||
	       khx_merge_history_age(old) >= KHX_MERGE_BACKOFF_SECS << level;
}

bool khx_merge_history_was_zeroed(struct khx_merge_file *file, pgoff_t index)
{
	u32 *word = khx_merge_history_word(file, index);

	return word && READ_ONCE(*word) & KHX_MERGE_HISTORY_ZERO;
}

bool khx_merge_history_recent(struct khx_merge_file *file, pgoff_t index)
{
	u32 *word = khx_merge_history_word(file, index);
	u32 old = word ? READ_ONCE(*word) : 0;

	return old && khx_merge_history_age(old) < KHX_MERGE_RECENT_SECS;
}

void khx_merge_history_forget(struct khx_merge_file *file, pgoff_t start,
			      pgoff_t end)
{
	struct khx_merge_history *history;
	unsigned long chunk;

	if (start >= end)
		return;
	xa_for_each_range(&file->history, chunk, history,
			  start >> KHX_MERGE_HISTORY_SHIFT,
			  (end - 1) >> KHX_MERGE_HISTORY_SHIFT) {
		pgoff_t first = chunk << KHX_MERGE_HISTORY_SHIFT;
		pgoff_t from = max(start, first);
		pgoff_t to = min(end, first + KHX_MERGE_HISTORY_PAGES);

		for (; from < to; from++)
			khx_merge_history_set(file, &history->word[from - first],
					      0);
		cond_resched();
	}
}

void khx_merge_history_free(struct khx_merge_file *file)
{
	struct khx_merge_history *history;
	unsigned long chunk;

	xa_for_each(&file->history, chunk, history)
		kfree(history);
	khx_merge_file_count(file, KHX_MERGE_STAT_HISTORIES,
			     -khx_merge_stats_read(&file->stats,
						   KHX_MERGE_STAT_HISTORIES));
	xa_destroy(&file->history);
}

size_t khx_merge_history_size(void)
{
	return sizeof(struct khx_merge_history) + KHX_MERGE_NODE_PART;
}
