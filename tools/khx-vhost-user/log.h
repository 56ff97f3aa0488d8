/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_VHOST_USER_LOG_H
#define KHX_VHOST_USER_LOG_H

#include <stdnoreturn.h>

/*
 * Lines on stderr, not too many of them; log_name is the disk that the thread
 * serves, or NULL.
 */
extern __thread const char *log_name;

__attribute__((format(printf, 1, 2))) void log_error(const char *text, ...);
__attribute__((format(printf, 1, 2))) noreturn void die(const char *text, ...);

#endif
