/* SPDX-License-Identifier: GPL-2.0 */
/* Looking into pages: what they are told apart by. */
#ifndef KHX_MERGE_CONTENTS_H
#define KHX_MERGE_CONTENTS_H

#include <linux/mm_types.h>
#include <linux/types.h>

/* A hash of an eighth of the page's cache lines. */
u64 khx_merge_contents_sample(struct page *page, u64 seed);
/* A hash of all bytes. */
u64 khx_merge_contents_sum(struct page *page, u64 seed);
bool khx_merge_contents_zero(struct page *page);
bool khx_merge_contents_equal(struct page *a, struct page *b);

#endif /* KHX_MERGE_CONTENTS_H */
