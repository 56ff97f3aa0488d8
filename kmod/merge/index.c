// SPDX-License-Identifier: GPL-2.0
/* The page index of a file: finding an entry, holding on to it, changing it. */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "file.h"
#include "index.h"

/*
 * Between reading the entry and taking the reference the page may have been
 * freed and be anything by now. A page that is still the entry's after the
 * reference was taken is the entry's page, and stays a page of ours.
 */
struct folio *khx_merge_index_get(struct khx_merge_file *file, pgoff_t index,
				  enum khx_merge_state *state)
{
	struct folio *folio = NULL;
	void *entry;

	rcu_read_lock();
	for (;;) {
		entry = xa_load(&file->pages, index);
		if (!entry)
			break;
		folio = khx_merge_entry_folio(entry);
		if (!folio_try_get(folio)) {
			cpu_relax();
			continue;
		}
		if (likely(xa_load(&file->pages, index) == entry))
			break;
		folio_put(folio);
	}
	rcu_read_unlock();

	*state = khx_merge_entry_state(entry);
	return entry ? folio : NULL;
}

static bool khx_merge_index_is(struct khx_merge_file *file, pgoff_t index,
			       struct folio *folio, enum khx_merge_state state)
{
	return xa_load(&file->pages, index) == khx_merge_entry(folio, state);
}

struct folio *khx_merge_index_lock(struct khx_merge_file *file, pgoff_t index,
				   enum khx_merge_state *state)
{
	struct folio *folio;

	for (;;) {
		folio = khx_merge_index_get(file, index, state);
		if (!folio)
			return NULL;
		folio_lock(folio);
		if (likely(khx_merge_index_is(file, index, folio, *state)))
			return folio;
		khx_merge_index_unlock(folio);
	}
}

/* What is no private page, is locked or bad, is not for the scanner. */
static bool khx_merge_index_trylock_folio(struct folio *folio,
					  enum khx_merge_state state)
{
	return state == KHX_MERGE_PAGE_PRIVATE && !folio_test_hwpoison(folio) &&
	       folio_trylock(folio);
}

struct folio *khx_merge_index_trylock(struct khx_merge_file *file, pgoff_t index)
{
	enum khx_merge_state state;
	struct folio *folio;

	folio = khx_merge_index_get(file, index, &state);
	if (!folio)
		return NULL;
	if (!khx_merge_index_trylock_folio(folio, state)) {
		folio_put(folio);
		return NULL;
	}
	if (!khx_merge_index_is(file, index, folio, state)) {
		khx_merge_index_unlock(folio);
		return NULL;
	}
	return folio;
}

struct folio *khx_merge_index_trylock_entry(struct xa_state *xas, void *entry)
{
	enum khx_merge_state state = khx_merge_entry_state(entry);
	struct folio *folio = khx_merge_entry_folio(entry);

	if (xas_retry(xas, entry) || !folio_try_get(folio))
		return NULL;
	/* Only now it is known to be a page of ours; and again, with the lock. */
	if (xas_reload(xas) != entry ||
	    !khx_merge_index_trylock_folio(folio, state)) {
		folio_put(folio);
		return NULL;
	}
	if (xas_reload(xas) != entry) {
		khx_merge_index_unlock(folio);
		return NULL;
	}
	return folio;
}

void khx_merge_index_unlock(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

int khx_merge_index_fill(struct khx_merge_file *file, pgoff_t index,
			 struct folio *folio, enum khx_merge_state state,
			 gfp_t gfp)
{
	void *entry = khx_merge_entry(folio, state), *old;

	old = xa_cmpxchg(&file->pages, index, NULL, entry, gfp);
	if (xa_is_err(old))
		return xa_err(old);
	if (old)
		return -EEXIST;
	if (state == KHX_MERGE_PAGE_PRIVATE)
		khx_merge_index_mark(file, index, true);
	return 0;
}

/* Everyone's readers wait for this lock: memory is found without it. */
int khx_merge_index_fill_zero(struct khx_merge_file *file, pgoff_t index,
			      struct folio *zero)
{
	XA_STATE(xas, &file->pages, index);
	int ret;

	do {
		folio_lock(zero);
		xas_lock(&xas);
		ret = -EEXIST;
		if (!xas_load(&xas)) {
			xas_store(&xas, khx_merge_entry(zero,
							KHX_MERGE_PAGE_ZERO));
			ret = xas_error(&xas);
		}
		xas_unlock(&xas);
		if (ret)
			folio_unlock(zero);
	} while (xas_nomem(&xas, GFP_KERNEL));
	return ret;
}

/* Replacing an entry that is there needs no memory, so nothing can fail. */
void khx_merge_index_replace(struct khx_merge_file *file, pgoff_t index,
			     struct folio *folio, enum khx_merge_state state)
{
	XA_STATE(xas, &file->pages, index);
	void *old;

	if (!folio) {
		xa_erase(&file->pages, index);
		return;
	}
	xas_lock(&xas);
	old = xas_store(&xas, khx_merge_entry(folio, state));
	if (state == KHX_MERGE_PAGE_PRIVATE)
		xas_set_mark(&xas, KHX_MERGE_MARK_LOOK);
	else
		xas_clear_mark(&xas, KHX_MERGE_MARK_LOOK);
	if (state == KHX_MERGE_PAGE_MERGED)
		xas_set_mark(&xas, KHX_MERGE_MARK_KNOWN);
	else
		xas_clear_mark(&xas, KHX_MERGE_MARK_KNOWN);
	xas_unlock(&xas);
	WARN_ON_ONCE(!old || xas_error(&xas));
}

void khx_merge_index_mark(struct khx_merge_file *file, pgoff_t index, bool look)
{
	if (look)
		xa_set_mark(&file->pages, index, KHX_MERGE_MARK_LOOK);
	else
		xa_clear_mark(&file->pages, index, KHX_MERGE_MARK_LOOK);
}

void khx_merge_index_know(struct khx_merge_file *file, pgoff_t index)
{
	xa_set_mark(&file->pages, index, KHX_MERGE_MARK_KNOWN);
}
