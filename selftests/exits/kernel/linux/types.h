/* SPDX-License-Identifier: GPL-2.0 */
/* See linux/kvm_host.h here. */
