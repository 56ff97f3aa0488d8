/* SPDX-License-Identifier: GPL-2.0 */
/* Generic netlink family khx_exits: uapi/linux/khx_exits.h is its manual. */
#ifndef KHX_EXITS_NETLINK_H
#define KHX_EXITS_NETLINK_H

#include <linux/types.h>
#include <net/genetlink.h>
#include <linux/khx_exits.h>

struct khx_exits_vcpu;
struct khx_exits_vm;

int khx_exits_netlink_init(void);
void khx_exits_netlink_exit(void);

/* Events; from a process, whatever is held. */
void khx_exits_netlink_vm(const struct khx_exits_vm *vm, u8 cmd);
void khx_exits_netlink_threshold(const struct khx_exits_vcpu *rec,
				 const char *reason, u64 rate, u8 cmd);

/* The dumps (dump.c). */
extern struct genl_family khx_exits_netlink_family;
int khx_exits_dump_vcpus(struct sk_buff *skb, struct netlink_callback *cb);
int khx_exits_dump_reasons(struct sk_buff *skb, struct netlink_callback *cb);
int khx_exits_dump_tables(struct sk_buff *skb, struct netlink_callback *cb);

#endif /* KHX_EXITS_NETLINK_H */
