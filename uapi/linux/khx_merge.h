/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * khx_merge: identical guest pages in memory once.
 *
 * File system "khxmem"
 * --------------------
 *
 * mount -t khxmem -o OPTIONS khxmem DIR, by a process with CAP_SYS_ADMIN in the
 * initial user namespace. Options:
 *
 *   size=N[k|m|g|t]  pages its files may hold, merged or not (default: no limit)
 *   domain=NAME      merge with the other mounts of that name; 1 to 63 of
 *                    [A-Za-z0-9._:@-] (default: a domain of its own)
 *   nomerge          never merge; allows long-term pins (VFIO, RDMA)
 *   strict           a page merged in the last minute is made private again by
 *                    reads as it is by writes
 *   huge=never       4 KiB pages (default)
 *   huge=always      2 MiB pages where there are any, split to be merged
 *   mode= uid= gid=  of the root directory (default 0755, root)
 *
 * Only size= can be changed by a remount.
 *
 * Generic netlink family "khx_merge", version 1, multicast group "events"
 * -----------------------------------------------------------------------
 *
 * KHX_MERGE_CMD_GET (do): settings, state and sums over all domains.
 *
 *   reply: KHX_MERGE_A_STATE (u32, enum khx_merge_run_state)
 *          KHX_MERGE_A_FULL_SCANS (u64), KHX_MERGE_A_CPU_NS (u64: of the scanner)
 *          KHX_MERGE_A_SET_* (u32 each), KHX_MERGE_A_STAT_* (u64 each)
 *          KHX_MERGE_A_METADATA (u64, bytes)
 *          KHX_MERGE_A_PROFIT (s64, bytes saved less metadata)
 *          KHX_MERGE_A_PROMISED (u64, bytes: the sizes of all files, each
 *            at most what its mount may hold)
 *
 * KHX_MERGE_CMD_SET (do, CAP_SYS_ADMIN): any of KHX_MERGE_A_SET_*, in the order of
 *   their numbers; -ERANGE with the attribute and its range in the extended ack,
 *   -EBUSY for MERGE_ACROSS_NODES while anything is merged or waits for an
 *   equal. Those before the refused one are in force. RUN=2 returns when all is
 *   unmerged, or -ENOMEM, or -EINTR when the caller is killed. Any of them is
 *   -EINTR on a signal while somebody else's RUN=2 is at work.
 *
 * KHX_MERGE_CMD_FILE_GET (dump, CAP_SYS_ADMIN, as it names other users' files):
 *   one message a file:
 *   KHX_MERGE_A_DEV (u32, as in st_dev), KHX_MERGE_A_INO (u64)
 *   KHX_MERGE_A_NAME (string, the last component; absent once unlinked)
 *   KHX_MERGE_A_OWNER (u32, process that first mapped it; absent before)
 *   KHX_MERGE_A_SIZE (u64, bytes), KHX_MERGE_A_DOMAIN_ID (u32)
 *   KHX_MERGE_A_AGE (u64, seconds since it came to be)
 *   KHX_MERGE_A_STAT_*
 *
 * KHX_MERGE_CMD_DOMAIN_GET (dump, CAP_SYS_ADMIN, as it tells what merges with other
 *   users): one message a domain:
 *   KHX_MERGE_A_DOMAIN_ID (u32), KHX_MERGE_A_DOMAIN (string, may be empty)
 *   KHX_MERGE_A_AGE (u64, seconds since its first mount)
 *   KHX_MERGE_A_STAT_*
 *
 * Events, to group "events":
 *   KHX_MERGE_CMD_PASS: a pass is over, at most one a second
 *     (KHX_MERGE_A_FULL_SCANS, KHX_MERGE_A_STAT_*)
 *   KHX_MERGE_CMD_GUARD: the profit guard slowed the scanner, or let it go
 *     (KHX_MERGE_A_STATE, KHX_MERGE_A_PROFIT)
 *   KHX_MERGE_CMD_LIMIT: a mount is full, at most one a second
 *     (KHX_MERGE_A_DOMAIN_ID, KHX_MERGE_A_SIZE: its limit)
 */
#ifndef _UAPI_LINUX_KHX_MERGE_H
#define _UAPI_LINUX_KHX_MERGE_H

#define KHX_MERGE_FS_NAME	"khxmem"
#define KHX_MERGE_SUPER_MAGIC	0x6b68786d	/* "khxm" */

#define KHX_MERGE_GENL_NAME	"khx_merge"
#define KHX_MERGE_GENL_VERSION	1
#define KHX_MERGE_GENL_EVENTS	"events"

enum khx_merge_cmd {
	KHX_MERGE_CMD_UNSPEC,
	KHX_MERGE_CMD_GET,
	KHX_MERGE_CMD_SET,
	KHX_MERGE_CMD_FILE_GET,
	KHX_MERGE_CMD_DOMAIN_GET,
	KHX_MERGE_CMD_PASS,
	KHX_MERGE_CMD_GUARD,
	KHX_MERGE_CMD_LIMIT,

	__KHX_MERGE_CMD_MAX
};
#define KHX_MERGE_CMD_MAX	(__KHX_MERGE_CMD_MAX - 1)

enum khx_merge_run_state {
	KHX_MERGE_STATE_STOPPED,	/* run=0, or all unmerged by run=2 */
	KHX_MERGE_STATE_RUNNING,
	KHX_MERGE_STATE_GUARDED,	/* slowed: it costs more than it saves */
};

enum khx_merge_attr {
	KHX_MERGE_A_UNSPEC,
	KHX_MERGE_A_PAD,

	KHX_MERGE_A_STATE,
	KHX_MERGE_A_FULL_SCANS,
	KHX_MERGE_A_CPU_NS,
	KHX_MERGE_A_METADATA,
	KHX_MERGE_A_PROFIT,
	KHX_MERGE_A_PROMISED,

	KHX_MERGE_A_DEV,
	KHX_MERGE_A_INO,
	KHX_MERGE_A_NAME,
	KHX_MERGE_A_OWNER,
	KHX_MERGE_A_SIZE,
	KHX_MERGE_A_DOMAIN_ID,
	KHX_MERGE_A_DOMAIN,
	KHX_MERGE_A_AGE,

	/* Settings, with their ranges. */
	KHX_MERGE_A_SET_RUN,			/* 0 stop, 1 run, 2 unmerge */
	KHX_MERGE_A_SET_PAGES_TO_SCAN,		/* 1 to 1048576 */
	KHX_MERGE_A_SET_SLEEP_MSECS,		/* 0 to 3600000 */
	KHX_MERGE_A_SET_CPU_LIMIT,		/* 1 to 100, percent of a CPU */
	KHX_MERGE_A_SET_MAX_PAGE_SHARING,	/* 2 to 1048576 */
	KHX_MERGE_A_SET_USE_ZERO_PAGES,		/* 0 or 1 */
	KHX_MERGE_A_SET_MERGE_ACROSS_NODES,	/* 0 or 1 */
	KHX_MERGE_A_SET_PROFIT_GUARD,		/* 0 or 1 */

	/* Pages that are there now. */
	KHX_MERGE_A_STAT_PRIVATE,	/* with a frame of their own */
	KHX_MERGE_A_STAT_HUGE,		/* 2 MiB pages; each is 512 of the former */
	KHX_MERGE_A_STAT_MERGED,	/* that share a merged copy */
	KHX_MERGE_A_STAT_ZEROED,	/* zero pages given back */
	KHX_MERGE_A_STAT_SHARED,	/* merged copies (0 for files) */
	KHX_MERGE_A_STAT_UNSHARED,	/* unchanged, without an equal */
	KHX_MERGE_A_STAT_HISTORIES,	/* 2 MiB chunks with a history */
	/* Events since the file or domain came to be. */
	KHX_MERGE_A_STAT_LOOKS,		/* pages hashed or compared */
	KHX_MERGE_A_STAT_MERGES,	/* pages merged or zeroed */
	KHX_MERGE_A_STAT_BREAKS,	/* of them, made private again by a write */
	KHX_MERGE_A_STAT_BUSY,		/* refused: someone holds a reference */
	KHX_MERGE_A_STAT_CHANGED,	/* seen changed since the last look */

	__KHX_MERGE_A_MAX
};
#define KHX_MERGE_A_MAX		(__KHX_MERGE_A_MAX - 1)

#endif /* _UAPI_LINUX_KHX_MERGE_H */
