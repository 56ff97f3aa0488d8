// SPDX-License-Identifier: GPL-2.0
/* Looking into pages: what they are told apart by. */
#include <linux/highmem.h>
#include <linux/string.h>
#include <linux/xxhash.h>

#include "contents.h"

/*
 * What a sample is made of: of every 576 bytes 32, so that it reads 8 of the page's
 * 64 cache lines, each at another offset of its 512 bytes.
 */
#define KHX_MERGE_SAMPLES	8
#define KHX_MERGE_SAMPLE_STEP	(PAGE_SIZE / KHX_MERGE_SAMPLES + 64)
#define KHX_MERGE_SAMPLE_SIZE	32

u64 khx_merge_contents_sample(struct page *page, u64 seed)
{
	u8 sample[KHX_MERGE_SAMPLES * KHX_MERGE_SAMPLE_SIZE];
	const u8 *bytes = kmap_local_page(page);
	int i;

	for (i = 0; i < KHX_MERGE_SAMPLES; i++)
		memcpy(sample + i * KHX_MERGE_SAMPLE_SIZE,
		       bytes + i * KHX_MERGE_SAMPLE_STEP, KHX_MERGE_SAMPLE_SIZE);
	kunmap_local(bytes);
	return xxh64(sample, sizeof(sample), seed);
}

u64 khx_merge_contents_sum(struct page *page, u64 seed)
{
	void *bytes = kmap_local_page(page);
	u64 sum = xxh64(bytes, PAGE_SIZE, seed);

	kunmap_local(bytes);
	return sum;
}

bool khx_merge_contents_zero(struct page *page)
{
	void *bytes = kmap_local_page(page);
	bool zero = !memchr_inv(bytes, 0, PAGE_SIZE);

	kunmap_local(bytes);
	return zero;
}

/*
 * memcmp() goes word by word, to tell which page is less. Only whether they
 * differ takes half of that, and a cache line at a time is early enough.
 */
bool khx_merge_contents_equal(struct page *a, struct page *b)
{
	const u64 *va = kmap_local_page(a);
	const u64 *vb = kmap_local_page(b);
	unsigned int i;
	u64 diff = 0;

	for (i = 0; i < PAGE_SIZE / sizeof(u64) && !diff; i += 8)
		diff = (va[i] ^ vb[i]) | (va[i + 1] ^ vb[i + 1]) |
		       (va[i + 2] ^ vb[i + 2]) | (va[i + 3] ^ vb[i + 3]) |
		       (va[i + 4] ^ vb[i + 4]) | (va[i + 5] ^ vb[i + 5]) |
		       (va[i + 6] ^ vb[i + 6]) | (va[i + 7] ^ vb[i + 7]);
	kunmap_local(vb);
	kunmap_local(va);
	return !diff;
}
