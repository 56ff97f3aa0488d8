/* SPDX-License-Identifier: GPL-2.0 */
/* Reasons whose rate is watched. */
#ifndef KHX_EXITS_THRESHOLD_H
#define KHX_EXITS_THRESHOLD_H

#include <linux/types.h>

struct netlink_callback;
struct sk_buff;

int khx_exits_threshold_add(const char *name, u64 rate);
int khx_exits_threshold_del(const char *name);
int khx_exits_threshold_dump(struct sk_buff *skb, struct netlink_callback *cb);
void khx_exits_threshold_exit(void);

#endif /* KHX_EXITS_THRESHOLD_H */
