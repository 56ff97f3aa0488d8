/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A random walk of a driver and a device over one ring, see ring.c.
 */
#ifndef KHX_SELFTESTS_WALK_H
#define KHX_SELFTESTS_WALK_H

#include "rig.h"

#define CELL		128u
#define NR_CELLS	(GUEST_DATA_SIZE / CELL)
#define PENDING_MAX	512

/* A buffer on its way. */
struct item {
	u32 seq;
	u16 nr_out;
	u16 nr_bufs;
	u32 len_out;
	u32 len_in;
	u32 written;
	bool fetched;
	u64 table_gpa;
	u32 table_len;
	struct vring_buf bufs[];
};

/* A chain that the device has fetched and completes later. */
struct pending {
	struct khx_chain chain;
	struct iovec *iov;
	u64 *gpa;
};

enum submit_state { SUBMIT_ADD, SUBMIT_PUBLISH, SUBMIT_KICK };
enum reap_state { REAP_GET, REAP_LOOK_AGAIN, REAP_SLEEP };

/* How a scenario differs from others, besides its rig_setup. */
struct habits {
	bool racing;			/* the driver runs from the hook */
	bool later;			/* complete later, in any order */
	bool collect;			/* the owner clears log bits */
	bool faults;
	bool killed;			/* and the worker, as it completes */
	unsigned int need;		/* chains without which we rewind */
	unsigned int segments_max;
};

struct walk {
	struct rig rig;
	struct habits habits;

	/* Driver. */
	enum submit_state submit;
	enum reap_state reap;
	bool stopped;			/* a start failed */
	bool settling;			/* offer nothing more */
	bool cell_used[NR_CELLS];
	unsigned int cell_hint;
	u32 next_seq;			/* of chains added */
	u32 nr_added;			/* since the last publish */
	u32 nr_published;
	u32 nr_reaped;
	u64 reaped_slots;
	bool calls_on;
	bool event_set;			/* calls wanted for one event only */
	u64 event;			/* completion that ends the sleep */
	u64 calls_seen;

	/* Device. */
	u32 nr_fetched;			/* less what was rewound */
	u32 nr_looked_at;		/* rewound ones included */
	u32 nr_completed;
	u64 completed_slots;
	bool first_completion;		/* since a start: always signalled */
	struct pending pending[PENDING_MAX];
	unsigned int nr_pending;

	u8 *dirty;			/* pages written, as the log is laid out */
	u8 *dirty_ring;			/* and those that the core wrote */
};

/* How much the walks did, for the report. */
struct walk_tally {
	u64 chains;
	u64 scenarios;
	u64 signals;
	u64 suppressed;
};

extern struct walk w;
extern struct walk_tally tally;
extern const struct khx_device_ops device_ops;

static inline u32 pick(u32 n)
{
	return shim_random() % n;
}

/* What is at @at in the data of the chain @seq. */
static inline u8 pattern(u32 seq, u32 at, bool in)
{
	return seq * 29 + at * 13 + (in ? 101 : 7);
}

/* walk-log.c: the dirty log, bit by bit against what was written. */
void dirty_add(u64 gpa, u64 len);
void dirty_add_hva(const char *hva, size_t len);
void log_collect(void);
void log_check(void);
void log_check_ring(void);

/* walk-driver.c: offers random chains and checks what comes back. */
void item_free(struct item *item);
bool driver_get(void);
void driver_submit(void);
void driver_reap(void);
void driver_step(void);

/* walk-device.c: serves them as a module would, and checks the core. */
void pending_free(struct pending *pending);
void device_complete(void);
void device_step(void);

#endif
