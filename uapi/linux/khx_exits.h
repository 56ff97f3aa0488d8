/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Generic netlink family "khx_exits": why the vCPUs of this machine's KVM guests
 * leave the guest, how often, and for how long.
 *
 * Numbers are unsigned and in native byte order; times are in nanoseconds, from
 * a VM exit to the next entry, userspace and sleep included. A VM is named
 * "<pid>-<fd>", as in KVM's own debugfs. That pid is of the thread that created
 * the VM; the attribute PID is of the process in which a vCPU exited first.
 *
 * When somebody else's guest is busy is not for everybody to know: reasons need
 * CAP_PERFMON (or CAP_SYS_ADMIN), as perf does; what guests access, and all
 * changes, CAP_SYS_ADMIN.
 *
 * KHX_EXITS_CMD_STATUS_GET
 *	Do. Anyone. Replies with
 *		ENABLED		u8	exits are being counted
 *		ATTACHED	u8	KVM is loaded and usable
 *		MISSED		u64	exits not counted: no memory for the vCPU's
 *					figures, or KVM's layout is unknown
 *		VCPU_BYTES	u32	memory a vCPU's figures take
 *		PIDS		nest	a PID (u32) for each process that the filter
 *					lets through; empty: there is no filter
 *
 * KHX_EXITS_CMD_STATUS_SET
 *	Do, needs CAP_SYS_ADMIN. Takes one or more of
 *		ENABLED		u8	0 or 1; figures stay while nothing is counted
 *		PIDS		nest	count only guests of these processes, up to
 *					KHX_EXITS_PIDS_MAX of them; empty: of all
 *	The filter is replaced as a whole. Guests it leaves out keep the figures
 *	they have.
 *
 * KHX_EXITS_CMD_RESET
 *	Do, needs CAP_SYS_ADMIN. All figures become zero, or those of one VM:
 *		VM		string	ENOENT if there is no such VM
 *
 * KHX_EXITS_CMD_VCPU_GET
 *	Dump, needs CAP_PERFMON. One message for each vCPU:
 *		VM PID VCPU		string, u32, u32
 *		ISA			string, "vmx" or "svm"
 *		COUNT TIME		u64, of all reasons together
 *		REENTRIES		u64, entries that no traced exit came before
 *		HALT			nest:
 *			POLLED POLLED_TIME BLOCKED BLOCKED_TIME INVALID		u64
 *		FAULTS			nest of FAULT, one for each cause that occurred:
 *			NAME COUNT	string, u64
 *
 * KHX_EXITS_CMD_REASON_GET
 *	Dump, needs CAP_PERFMON. One message for each reason of each vCPU:
 *		VM PID VCPU
 *		NAME			string, the kernel's name of the reason, after
 *					"L2:" for an exit from a guest's guest
 *		COUNT			u64, exits
 *		TIMED			u64, those that an entry has followed
 *		TIME MIN MAX_TIME	u64, of these
 *		HISTOGRAM		binary, u64[KHX_EXITS_HISTOGRAM]: the first
 *					counts times below 128 ns, each next one up to
 *					twice as much, the last one all longer times
 *
 * KHX_EXITS_CMD_TABLE_GET
 *	Dump, needs CAP_SYS_ADMIN: what guests access is theirs to know. One message
 *	for each table of each vCPU that has rows:
 *		VM PID VCPU
 *		NAME			string: msr, ioport, mmio, hypercall, register
 *					or interrupt
 *		COUNT TIME		u64, all events of the table
 *		ROWS			nest of ROW, one for each, highest count first:
 *			NAME		string, "<what> <how>" as in debugfs
 *			COUNT		u64, events certainly of this row
 *			ERROR		u64, events that may be of this row, too
 *			TIME		u64
 *	What the rows do not account for belongs to others.
 *
 * The three dumps take a VM attribute to show one VM only. A dump during which
 * VMs came or went has NLM_F_DUMP_INTR set.
 *
 * KHX_EXITS_CMD_THRESHOLD_ADD
 *	Do, needs CAP_SYS_ADMIN. Watches every vCPU, once a second, for
 *		NAME			string, a reason
 *		RATE			u64, more exits than that in a second
 *	EEXIST if the reason is being watched, ENOSPC after KHX_EXITS_THRESHOLDS_MAX.
 *	Of a vCPU with more than 34 different reasons, those that came last are
 *	counted, and watched, as OTHER.
 *
 * KHX_EXITS_CMD_THRESHOLD_DEL
 *	Do, needs CAP_SYS_ADMIN. Takes NAME; ENOENT if it is not being watched.
 *
 * KHX_EXITS_CMD_THRESHOLD_GET
 *	Dump. Anyone. NAME and RATE of each.
 *
 * Events, to the multicast group "events". Anyone may listen: they tell which VMs
 * there are, and of reasons that an administrator watches when they are frequent.
 *
 * KHX_EXITS_CMD_VM_NEW, KHX_EXITS_CMD_VM_DEL
 *		VM PID			a VM made its first exit, or is gone
 * KHX_EXITS_CMD_THRESHOLD_OVER, KHX_EXITS_CMD_THRESHOLD_UNDER
 *		VM PID VCPU NAME RATE	the rate rose above a threshold, or fell back;
 *					RATE is the one seen
 */
#ifndef _UAPI_LINUX_KHX_EXITS_H
#define _UAPI_LINUX_KHX_EXITS_H

#define KHX_EXITS_GENL_NAME		"khx_exits"
#define KHX_EXITS_GENL_VERSION		1
#define KHX_EXITS_MCGRP_EVENTS		"events"

#define KHX_EXITS_PIDS_MAX		64
#define KHX_EXITS_THRESHOLDS_MAX	32
#define KHX_EXITS_HISTOGRAM		28
#define KHX_EXITS_VM_NAME_MAX		31	/* without the final 0 */
#define KHX_EXITS_REASON_NAME_MAX	47

enum khx_exits_cmd {
	KHX_EXITS_CMD_UNSPEC,
	KHX_EXITS_CMD_STATUS_GET,
	KHX_EXITS_CMD_STATUS_SET,
	KHX_EXITS_CMD_RESET,
	KHX_EXITS_CMD_VCPU_GET,
	KHX_EXITS_CMD_REASON_GET,
	KHX_EXITS_CMD_TABLE_GET,
	KHX_EXITS_CMD_THRESHOLD_ADD,
	KHX_EXITS_CMD_THRESHOLD_DEL,
	KHX_EXITS_CMD_THRESHOLD_GET,
	KHX_EXITS_CMD_VM_NEW,
	KHX_EXITS_CMD_VM_DEL,
	KHX_EXITS_CMD_THRESHOLD_OVER,
	KHX_EXITS_CMD_THRESHOLD_UNDER,

	__KHX_EXITS_CMD_MAX,
	KHX_EXITS_CMD_MAX = __KHX_EXITS_CMD_MAX - 1
};

enum khx_exits_attr {
	KHX_EXITS_A_UNSPEC,
	KHX_EXITS_A_PAD,
	KHX_EXITS_A_ENABLED,
	KHX_EXITS_A_ATTACHED,
	KHX_EXITS_A_MISSED,
	KHX_EXITS_A_VCPU_BYTES,
	KHX_EXITS_A_PID,
	KHX_EXITS_A_PIDS,
	KHX_EXITS_A_VM,
	KHX_EXITS_A_VCPU,
	KHX_EXITS_A_ISA,
	KHX_EXITS_A_NAME,
	KHX_EXITS_A_COUNT,
	KHX_EXITS_A_TIME,
	KHX_EXITS_A_TIMED,
	KHX_EXITS_A_MIN,
	KHX_EXITS_A_MAX_TIME,
	KHX_EXITS_A_HISTOGRAM,
	KHX_EXITS_A_REENTRIES,
	KHX_EXITS_A_HALT,
	KHX_EXITS_A_POLLED,
	KHX_EXITS_A_POLLED_TIME,
	KHX_EXITS_A_BLOCKED,
	KHX_EXITS_A_BLOCKED_TIME,
	KHX_EXITS_A_INVALID,
	KHX_EXITS_A_FAULTS,
	KHX_EXITS_A_FAULT,
	KHX_EXITS_A_ROWS,
	KHX_EXITS_A_ROW,
	KHX_EXITS_A_ERROR,
	KHX_EXITS_A_RATE,

	__KHX_EXITS_A_MAX,
	KHX_EXITS_A_MAX = __KHX_EXITS_A_MAX - 1
};

#endif /* _UAPI_LINUX_KHX_EXITS_H */
