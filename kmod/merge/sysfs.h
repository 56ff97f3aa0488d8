/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_SYSFS_H
#define KHX_MERGE_SYSFS_H

int khx_merge_sysfs_init(void);
void khx_merge_sysfs_exit(void);

#endif /* KHX_MERGE_SYSFS_H */
