// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Overview
 *
 * khx_exits counts why and for how long each vCPU of each KVM guest leaves the
 * guest, always, at a cost of some 170 to 270 instructions an exit (see
 * benchmarks.rst).
 *
 * ===========  ============================================================
 * attach.c     probes come and go with KVM
 * source.c     where the exit reason comes from
 * probe.c      the fast path
 * vcpu.c       a vCPU's record: how it is found, written, read, and ends
 * vm.c         VMs, and the worker that shows and frees records
 * stats.c      the figures: reasons, histograms, faults, halts
 * top.c        tables of the most used MSRs, ports, pages ...
 * rows.c       such tables added up for a reader
 * reason.c     names and numbers of exit reasons
 * detail.c     what exit information says beyond the reason
 * filter.c     which processes' guests are counted
 * clock.c      TSC to nanoseconds
 * show.c       the figures as text
 * debugfs.c    files
 * netlink.c    requests and events of the netlink family
 * dump.c       its dumps
 * threshold.c  reasons whose rate is watched
 * ===========  ============================================================
 *
 * Probes write records and never sleep. The worker makes records visible and
 * frees them. Readers copy. See "Records of vCPUs" for who holds what.
 */
#include <linux/init.h>
#include <linux/khx_version.h>
#include <linux/module.h>
#include <linux/printk.h>

#include "attach.h"
#include "debugfs.h"
#include "netlink.h"
#include "threshold.h"
#include "vm.h"

static int __init khx_exits_init(void)
{
	int ret;

	/* On VMX a first exit allocates with interrupts off. */
	if (IS_ENABLED(CONFIG_PREEMPT_RT)) {
		pr_err("not supported on a PREEMPT_RT kernel\n");
		return -EOPNOTSUPP;
	}
	khx_exits_debugfs_init();
	ret = khx_exits_netlink_init();
	if (ret)
		goto err_netlink;
	ret = khx_exits_attach_init();
	if (ret)
		goto err_attach;
	return 0;

err_attach:
	khx_exits_attach_exit();
	khx_exits_vm_exit();
	khx_exits_netlink_exit();
	khx_exits_threshold_exit();
err_netlink:
	khx_exits_debugfs_exit();
	return ret;
}
module_init(khx_exits_init);

static void __exit khx_exits_exit(void)
{
	khx_exits_attach_exit();
	khx_exits_vm_exit();
	khx_exits_netlink_exit();
	khx_exits_threshold_exit();
	khx_exits_debugfs_exit();
}
module_exit(khx_exits_exit);

MODULE_DESCRIPTION("VM-exit statistics of every KVM vCPU");
MODULE_LICENSE("GPL");
MODULE_VERSION(KHX_VERSION);
