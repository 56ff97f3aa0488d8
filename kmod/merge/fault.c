// SPDX-License-Identifier: GPL-2.0
/* Page faults on mappings of khxmem files. */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "compat/vfs.h"
#include "block.h"
#include "fault.h"
#include "file.h"
#include "index.h"
#include "page.h"

/* The last page counts as a whole, as for every file. */
static bool khx_merge_fault_beyond_end(struct khx_merge_file *file, pgoff_t index)
{
	return index >= DIV_ROUND_UP(i_size_read(&file->inode), PAGE_SIZE);
}

/* A full mount is a bus error for who maps it, as on tmpfs. */
static vm_fault_t khx_merge_fault_error(struct folio *folio)
{
	switch (PTR_ERR(folio)) {
	case -ENOMEM:
		return VM_FAULT_OOM;
	case -EHWPOISON:
		return VM_FAULT_HWPOISON;
	default:
		return VM_FAULT_SIGBUS;
	}
}

static vm_fault_t khx_merge_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct khx_merge_file *file = khx_merge_file(file_inode(vma->vm_file));
	struct folio *folio;

	if (khx_merge_fault_beyond_end(file, vmf->pgoff))
		return VM_FAULT_SIGBUS;

	/* A write to a private mapping only reads the file: the core copies. */
	if ((vmf->flags & FAULT_FLAG_WRITE) && (vma->vm_flags & VM_SHARED))
		folio = khx_merge_page_writable(file, vmf->pgoff, vma,
						vmf->address);
	else
		folio = khx_merge_page_readable(file, vmf->pgoff, vma,
						vmf->address);
	if (IS_ERR(folio))
		return khx_merge_fault_error(folio);

	/*
	 * Truncate lowers the size, then drops pages under their locks. Either
	 * it finds this one, or we see the new size. Then the page we may have
	 * made beyond the end stays: it is all zeros, and counted.
	 */
	if (khx_merge_fault_beyond_end(file, vmf->pgoff)) {
		khx_merge_index_unlock(folio);
		return VM_FAULT_SIGBUS;
	}
	vmf->page = khx_merge_block_page(folio, vmf->pgoff);
	/* The core would do this by page->mapping, which ours do not have. */
	if (PageHWPoison(vmf->page)) {
		khx_merge_index_unlock(folio);
		return VM_FAULT_HWPOISON;
	}
	return VM_FAULT_LOCKED;
}

/*
 * A page table entry is about to become writable. If the page is the file's own
 * there, it is returned locked, and the core makes the entry writable under that
 * lock. Otherwise it is replaced and the access is tried again.
 *
 * page->mapping stays NULL, so this must never return without VM_FAULT_LOCKED
 * or VM_FAULT_NOPAGE: the core would take the page for truncated, and loop.
 *
 * The core holds a reference to the page. To wait for the lock of one of 2 MiB would
 * keep it from being split; so the access is tried again instead.
 */
static vm_fault_t khx_merge_page_mkwrite(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct khx_merge_file *file = khx_merge_file(file_inode(vma->vm_file));
	struct folio *folio;

	if (khx_merge_fault_beyond_end(file, vmf->pgoff))
		return VM_FAULT_SIGBUS;
	folio = page_folio(vmf->page);
	if (folio_test_large(folio))
		return khx_merge_block_trylock(file, vmf->pgoff, folio) ?
		       VM_FAULT_LOCKED : VM_FAULT_NOPAGE;
	folio = khx_merge_page_writable(file, vmf->pgoff, vma, vmf->address);
	if (IS_ERR(folio))
		return khx_merge_fault_error(folio);

	if (folio != page_folio(vmf->page)) {
		khx_merge_index_unlock(folio);
		return VM_FAULT_NOPAGE;
	}
	folio_put(folio);	/* the core has its own reference */
	return VM_FAULT_LOCKED;
}

const struct vm_operations_struct khx_merge_vm_ops = {
	.fault		= khx_merge_fault,
	.page_mkwrite	= khx_merge_page_mkwrite,
};

const struct vm_operations_struct khx_merge_nomerge_vm_ops = {
	.fault		= khx_merge_fault,
};
