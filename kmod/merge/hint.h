/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Hints: where the scanner has seen some key in a page of 2 MiB last. One place a
 * key, and what is newer displaces what is older, so that there is nothing to
 * keep up to date: a hint may be wrong, and only says that splitting may pay.
 */
#ifndef KHX_MERGE_HINT_H
#define KHX_MERGE_HINT_H

#include <linux/types.h>

struct khx_merge_domain;
struct khx_merge_file;
struct khx_merge_hint_table;

/* Scan lock held: from here on there are places for what all huge pages hold. */
void khx_merge_hint_prepare(struct khx_merge_domain *domain);
/*
 * Scan lock held: takes from the domain what most, or the last, of these pages have
 * left. Whoever gets it, if it is not NULL, frees it.
 */
struct khx_merge_hint_table *khx_merge_hint_trim(struct khx_merge_domain *domain);
/*
 * Scan lock held, and prepared: leaves a hint, if there is memory, for which the file's
 * owner pays. Was @key at another place last?
 */
bool khx_merge_hint_elsewhere(struct khx_merge_file *file, pgoff_t index, u64 key);

/* It is no domain's any more, or the domain goes. May sleep; NULL is fine. */
void khx_merge_hint_free(struct khx_merge_hint_table *table);

/* What all of them take. */
size_t khx_merge_hint_bytes(void);

#endif /* KHX_MERGE_HINT_H */
