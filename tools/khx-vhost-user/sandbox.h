/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_VHOST_USER_SANDBOX_H
#define KHX_VHOST_USER_SANDBOX_H

/* Both end the process if they cannot. */
void sandbox_drop_privileges(const char *user);
void sandbox_filter_system_calls(void);

#endif
