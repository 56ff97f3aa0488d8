/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_UNMERGE_H
#define KHX_MERGE_UNMERGE_H

/*
 * Gives every merged page a frame of its own again and forgets all candidates.
 * The scanner must not run. Zero pages that were given back stay holes: they get
 * a frame when they are written, as every hole. Returns 0, -ENOMEM when memory
 * ended first, or -EINTR when the caller is killed; what was unmerged stays so.
 */
int khx_merge_unmerge_all(void);

#endif /* KHX_MERGE_UNMERGE_H */
