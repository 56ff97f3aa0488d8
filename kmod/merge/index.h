/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The page index: what is at each place of a file.
 *
 * An entry is a page with a tag in its low bits, or nothing. The page lock of
 * the entry's page guards the entry; see the DOC: block of page.c. Entries
 * marked KHX_MERGE_MARK_LOOK are those the scanner has to look at; merged pages are
 * marked KHX_MERGE_MARK_KNOWN, and candidates, as are some that have been either.
 */
#ifndef KHX_MERGE_INDEX_H
#define KHX_MERGE_INDEX_H

#include <linux/mm_types.h>
#include <linux/xarray.h>

struct khx_merge_file;

/* Tags must leave xarray's own entries alone: 0, 1 and 3 are free, 2 is not. */
enum khx_merge_state {
	KHX_MERGE_PAGE_PRIVATE	= 0,	/* a frame of this index only */
	KHX_MERGE_PAGE_ZERO	= 1,	/* reads as the module's zero page */
	KHX_MERGE_PAGE_MERGED	= 3,	/* a merged copy, never written */
	KHX_MERGE_PAGE_HOLE	= 4,	/* nothing there (not a tag) */
};

#define KHX_MERGE_MARK_LOOK	XA_MARK_0
#define KHX_MERGE_MARK_KNOWN	XA_MARK_1

/* An xarray's nodes are full where it is large; so much is for one entry. */
#define KHX_MERGE_NODE_PART	DIV_ROUND_UP(sizeof(struct xa_node), XA_CHUNK_SIZE)

/*
 * Bits of folio->index, which is free as the page is in no page cache:
 * what the scanner knows of a private page. folio->private is its sum or its key,
 * or nothing if it has neither; it never has both.
 */
enum khx_merge_folio_bit {
	KHX_MERGE_FOLIO_SUMMED,		/* its sum is that of the last look */
	KHX_MERGE_FOLIO_CLEAN,		/* not written since it was unmapped */
	KHX_MERGE_FOLIO_CANDIDATE,	/* in its domain's table by its key */
	KHX_MERGE_FOLIO_VOLATILE,	/* has been seen to change */
};

static inline void *khx_merge_entry(struct folio *folio, enum khx_merge_state state)
{
	return xa_tag_pointer(folio, state);
}

static inline struct folio *khx_merge_entry_folio(void *entry)
{
	return xa_untag_pointer(entry);
}

static inline enum khx_merge_state khx_merge_entry_state(void *entry)
{
	return entry ? xa_pointer_tag(entry) : KHX_MERGE_PAGE_HOLE;
}

/* What is there now, without a lock: only a hint. */
static inline enum khx_merge_state khx_merge_index_peek(struct xarray *pages,
							pgoff_t index)
{
	return khx_merge_entry_state(xa_load(pages, index));
}

/* Anyone: the page at @index with a reference, or NULL for a hole. */
struct folio *khx_merge_index_get(struct khx_merge_file *file, pgoff_t index,
				  enum khx_merge_state *state);
/* Anyone who may sleep: the same, locked; the entry stays until unlock. */
struct folio *khx_merge_index_lock(struct khx_merge_file *file, pgoff_t index,
				   enum khx_merge_state *state);
/* Scanner: the same for a private page; NULL when it is not, is locked or bad. */
struct folio *khx_merge_index_trylock(struct khx_merge_file *file, pgoff_t index);
/* Scanner: the same for the marked @entry found by @xas, in a read section. */
struct folio *khx_merge_index_trylock_entry(struct xa_state *xas, void *entry);
/* Undoes those above. */
void khx_merge_index_unlock(struct folio *folio);

/* A hole becomes @folio: 0, -EEXIST when it is none any more, or -ENOMEM. */
int khx_merge_index_fill(struct khx_merge_file *file, pgoff_t index,
			 struct folio *folio, enum khx_merge_state state,
			 gfp_t gfp);
/* The same with @zero, one of the module's, which is locked on success. */
int khx_merge_index_fill_zero(struct khx_merge_file *file, pgoff_t index,
			      struct folio *zero);
/* Entry locked: it becomes @folio, or a hole for NULL. Cannot fail. */
void khx_merge_index_replace(struct khx_merge_file *file, pgoff_t index,
			     struct folio *folio, enum khx_merge_state state);
/* Entry locked: tells the scanner to look at the page again, or not to. */
void khx_merge_index_mark(struct khx_merge_file *file, pgoff_t index, bool look);
/* Entry locked: it is a candidate, and unmerging has to come to it. */
void khx_merge_index_know(struct khx_merge_file *file, pgoff_t index);

#endif /* KHX_MERGE_INDEX_H */
