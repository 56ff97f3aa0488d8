/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_MERGE_NETLINK_H
#define KHX_MERGE_NETLINK_H

struct khx_merge_super;

/* Events. From the scanner's thread: */
void khx_merge_netlink_pass(void);
void khx_merge_netlink_guard(void);
/* From a task that was refused room, page locks held: */
void khx_merge_netlink_full(struct khx_merge_super *super);

int khx_merge_netlink_init(void);
void khx_merge_netlink_exit(void);

#endif /* KHX_MERGE_NETLINK_H */
