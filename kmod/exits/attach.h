/* SPDX-License-Identifier: GPL-2.0 */
/* Coming and going of KVM, and of our probes with it. */
#ifndef KHX_EXITS_ATTACH_H
#define KHX_EXITS_ATTACH_H

#include <linux/types.h>

int khx_exits_attach_init(void);
void khx_exits_attach_exit(void);

int khx_exits_attach_enable(bool enable);
bool khx_exits_attach_is_enabled(void);
bool khx_exits_attach_is_attached(void);

#endif /* KHX_EXITS_ATTACH_H */
