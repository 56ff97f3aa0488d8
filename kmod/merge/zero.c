// SPDX-License-Identifier: GPL-2.0
/* Zero pages of our own, several a node. */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "zero.h"

/* Faults take turns on a page's lock: spread them. */
#define KHX_MERGE_ZERO_COPIES	16

static struct folio **khx_merge_zero_folios;

/* One in bad memory serves nobody any more, unless all of the node's are bad. */
struct folio *khx_merge_zero_folio(pgoff_t index)
{
	struct folio **folios = khx_merge_zero_folios +
				numa_node_id() * KHX_MERGE_ZERO_COPIES;
	int i;

	for (i = 0; i < KHX_MERGE_ZERO_COPIES - 1; i++, index++)
		if (!folio_test_hwpoison(folios[index % KHX_MERGE_ZERO_COPIES]))
			break;
	return folios[index % KHX_MERGE_ZERO_COPIES];
}

static struct folio *khx_merge_zero_alloc(int node)
{
	gfp_t gfp = GFP_HIGHUSER | __GFP_ZERO;
	struct folio *folio;

	folio = __folio_alloc_node(gfp, 0, node_online(node) ? node :
				   numa_node_id());
	if (folio) {
		__folio_set_swapbacked(folio);
		__folio_mark_uptodate(folio);
	}
	return folio;
}

/* No file is left, so no page table maps them: ours is the last reference. */
void khx_merge_zero_exit(void)
{
	int i;

	for (i = 0; i < nr_node_ids * KHX_MERGE_ZERO_COPIES; i++)
		if (khx_merge_zero_folios[i])
			folio_put(khx_merge_zero_folios[i]);
	kfree(khx_merge_zero_folios);
}

int khx_merge_zero_init(void)
{
	int i, n = nr_node_ids * KHX_MERGE_ZERO_COPIES;

	khx_merge_zero_folios = kcalloc(n, sizeof(*khx_merge_zero_folios),
					GFP_KERNEL);
	if (!khx_merge_zero_folios)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		khx_merge_zero_folios[i] =
			khx_merge_zero_alloc(i / KHX_MERGE_ZERO_COPIES);
		if (!khx_merge_zero_folios[i]) {
			khx_merge_zero_exit();
			return -ENOMEM;
		}
	}
	return 0;
}
