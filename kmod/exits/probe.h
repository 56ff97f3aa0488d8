/* SPDX-License-Identifier: GPL-2.0 */
/* The fast path: what KVM's tracepoints call. */
#ifndef KHX_EXITS_PROBE_H
#define KHX_EXITS_PROBE_H

#include <linux/types.h>

struct tracepoint;

/*
 * Entries are seen before exits are, and as long, so that every exit that is seen
 * is timed. Those without an exit mean something only while exits are seen.
 */
enum {
	KHX_EXITS_PROBE_ENTRY,
	KHX_EXITS_PROBE_EXIT,
};

/**
 * struct khx_exits_probe - a tracepoint we know and what is called there
 * @name: of the tracepoint
 * @fn: what is called
 * @min_args: fewest arguments the tracepoint may have
 * @max_args: most of them; those beyond @fn's are ignored
 * @required: without it nothing works
 * @tp: the tracepoint, while KVM is there
 * @registered: @fn is being called
 *
 * @tp and @registered are guarded by the lock of attach.c; probes read whether
 * that of exits is @registered.
 */
struct khx_exits_probe {
	const char *name;
	void *fn;
	u8 min_args;
	u8 max_args;
	bool required;

	struct tracepoint *tp;
	bool registered;
};

extern struct khx_exits_probe khx_exits_probes[];
extern const unsigned int khx_exits_nr_probes;

#endif /* KHX_EXITS_PROBE_H */
