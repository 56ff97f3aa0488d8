/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The module's own zero pages. The kernel's ZERO_PAGE(0) will not do: a fault
 * handler that returns it makes the core lock and count a page everyone uses.
 */
#ifndef KHX_MERGE_ZERO_H
#define KHX_MERGE_ZERO_H

#include <linux/mm_types.h>

/* Any context: the zero page to use for @index. */
struct folio *khx_merge_zero_folio(pgoff_t index);

int khx_merge_zero_init(void);
void khx_merge_zero_exit(void);

#endif /* KHX_MERGE_ZERO_H */
