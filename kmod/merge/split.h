/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_SPLIT_H
#define KHX_MERGE_SPLIT_H

#include "scan.h"

/* A page of 2 MiB is looked at once in so many passes. */
#define KHX_MERGE_SPLIT_ROUNDS	8

/*
 * Scan lock held: goes on with the file's 2 MiB pages, looks at those whose turn it
 * is in this round, and splits those that pay. Over when it has been at all of them.
 */
enum khx_merge_turn_end khx_merge_split_scan(struct khx_merge_scan *scan,
					     struct khx_merge_file *file);

#endif /* KHX_MERGE_SPLIT_H */
