// SPDX-License-Identifier: GPL-2.0
/*
 * Legal drivers: random but correct use of a ring, millions of chains.
 *
 * The core's virtqueue and the driver of selftests/lib/vring.c share a ring;
 * around them a random walk of both sides, in one thread: what runs on
 * another CPU in reality runs here from a hook, before any access of the core
 * to user memory. Checked are
 *
 *  - data, lengths and order of all chains, and that nothing else is touched
 *  - notifications: when nobody has anything to do, nobody may be waiting
 *  - the dirty log: bit by bit against what was written, also while an owner
 *    collects and clears bits
 *  - with faults injected: one signal of the error eventfd, then silence; but
 *    what a worker that is killed cannot complete, the next one does
 *
 * KHX_SEED and KHX_SECONDS choose the walk and its length. `ring SCENARIO`
 * repeats one scenario, by the number that a failure prints.
 */
#include <time.h>

#include "tap.h"
#include "walk.h"

struct walk w;
struct walk_tally tally;

/* Another CPU runs, before an access of the core. */
static void hook(const void *ptr, size_t len, bool write)
{
	const struct guest *guest = &w.rig.guest;

	if (w.habits.racing && !pick(12))
		driver_step();
	if (!w.dirty)
		return;
	if (w.habits.collect && !pick(6))
		log_collect();
	/* The log is no memory of the guest. */
	if (write && (uintptr_t)ptr - (uintptr_t)guest->log + 4 >
		     guest->log_size + 8)
		dirty_add_hva(ptr, len);
}

/*
 * Let all happen that happens by itself, then see that nobody waits for
 * somebody who sleeps.
 */
static void settle(void)
{
	unsigned int i;

	w.settling = true;
	for (i = 0; i < 50000; i++) {
		if (w.submit == SUBMIT_ADD && w.rig.ring.nr_unkicked)
			w.submit = SUBMIT_KICK;
		if (w.submit != SUBMIT_ADD)
			driver_submit();
		else if (w.rig.queued || w.nr_pending)
			device_step();
		else if (w.reap != REAP_SLEEP ||
			 w.rig.call.count != w.calls_seen)
			driver_reap();
		else
			break;
		if (w.rig.vq.fault)
			return;
	}
	w.settling = false;
	if (i == 50000)
		shim_die("never comes to rest");
	if (w.nr_looked_at != w.nr_published)
		shim_die("lost kick: %u chains published, the device sleeps after %u",
			 w.nr_published, w.nr_looked_at);
	if (w.completed_slots > w.event)
		shim_die("lost call: %llu completed, the driver waits for %llu",
			 w.completed_slots, w.event);
	log_check();
}

/* Complete and reap everything. */
static void drain(void)
{
	w.habits.need = 1;
	khx_virtqueue_queue(&w.rig.vq);
	settle();
	if (w.rig.vq.fault)
		return;
	while (driver_get())
		;
	w.reap = REAP_GET;
	if (w.nr_reaped != w.next_seq)
		shim_die("%u chains offered, %u came back", w.next_seq,
			 w.nr_reaped);
}

static void restart(void)
{
	int ret;

	while (w.nr_pending)
		device_complete();
	/* What could not be completed is lost; nothing to go on with. */
	if (w.rig.vq.fault)
		return;
	w.first_completion = true;
	ret = rig_restart(&w.rig);
	if (ret && !(w.habits.faults && ret == -EFAULT))
		shim_die("restart: %d", ret);
	w.stopped = ret;
}

static void fault_check(void)
{
	u64 accesses;

	if (w.rig.error.count != 1 || w.rig.vq.stats.errors != 1)
		shim_die("%llu signals of the error eventfd for one fault",
			 w.rig.error.count);
	accesses = shim.nr_accesses;
	khx_virtqueue_queue(&w.rig.vq);
	rig_work(&w.rig);
	if (shim.nr_accesses != accesses)
		shim_die("a faulty queue is served");
}

/* Scenarios. */

static unsigned int pick_num(bool packed)
{
	static const u16 some[] = { 1, 2, 4, 8, 16, 64, 256, 1024, 32768 };
	static const u16 odd[] = { 3, 5, 7, 12, 63, 100, 255, 1000, 32767 };

	if (packed && pick(2))
		return odd[pick(ARRAY_SIZE(odd))];
	return some[pick(ARRAY_SIZE(some))];
}

static void pick_base(struct rig_setup *setup, bool packed)
{
	u32 at = pick(4) ? 0 : setup->num - 1 - pick(min(setup->num, 8u));

	if (!packed) {
		setup->base = pick(4) ? 0 : 65536 - 1 - pick(64);
		setup->driver_base = setup->base;
		return;
	}
	setup->driver_base = at * 0x10001 | (pick(4) ? 0x80008000u : 0);
	setup->base = setup->driver_base;
	/* DPDK's way to say "fresh". */
	if (setup->base == 0x80008000u && pick(2))
		setup->base = 0x8000;
}

static void pick_setup(struct rig_setup *setup, bool packed, bool event_idx,
		       bool indirect, bool log)
{
	memset(setup, 0, sizeof(*setup));
	setup->num = pick_num(packed);
	pick_base(setup, packed);
	setup->nr_cuts = pick(3) ? pick(8) : 400;
	setup->ring_pieces = pick(2) ? 1 : 2;
	setup->gpa_base = pick(8) ? pick(1 << 20) : 1ull << 32;
	setup->log = log;
	if (packed || pick(2))
		setup->features |= BIT_ULL(VIRTIO_F_VERSION_1);
	if (packed)
		setup->features |= BIT_ULL(VIRTIO_F_RING_PACKED);
	if (event_idx)
		setup->features |= BIT_ULL(VIRTIO_RING_F_EVENT_IDX);
	if (indirect)
		setup->features |= BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	if (log)
		setup->features |= BIT_ULL(VHOST_F_LOG_ALL);
	if (!pick(8))
		setup->features |= BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY);
}

static void pick_habits(struct habits *habits, bool faults, bool log)
{
	habits->racing = pick(2);
	habits->later = pick(2);
	habits->collect = log && pick(2);
	habits->faults = faults;
	habits->killed = !faults && !pick(3);
	habits->need = pick(4) ? 1 : 2 + pick(3);
	habits->segments_max = pick(10) ? 1 + pick(6) : 300;
}

static void walk_free(void)
{
	unsigned int i;

	for (i = 0; i < w.nr_pending; i++)
		pending_free(&w.pending[i]);
	for (i = 0; i < w.rig.setup.num; i++)
		if (w.rig.ring.states[i].nr_slots)
			item_free(w.rig.ring.states[i].cookie);
	rig_destroy(&w.rig);
	free(w.dirty);
	free(w.dirty_ring);
}

static void walk_steps(unsigned int nr_steps)
{
	for (; nr_steps && !w.rig.vq.fault && !w.stopped; nr_steps--) {
		u32 dice = pick(1000);

		if (dice == 0)
			settle();
		else if (dice == 1)
			restart();
		else if (dice == 2)
			rig_swap_memory(&w.rig);
		else if (dice < 600)
			driver_step();
		else
			device_step();
	}
}

enum { PACKED = 1, EVENT_IDX = 2, INDIRECT = 4, LOG = 8, FAULTS = 16 };

/* @scenario: what is tested in its lowest bits, a seed above them */
static void run_scenario(u64 scenario)
{
	bool packed = scenario & PACKED, faults = scenario & FAULTS;
	struct rig_setup setup;
	int ret;

	shim_context("scenario %llu", scenario);
	memset(&w, 0, sizeof(w));
	shim.random = scenario;
	pick_setup(&setup, packed, scenario & EVENT_IDX, scenario & INDIRECT,
		   scenario & LOG);
	pick_habits(&w.habits, faults, scenario & LOG);
	w.habits.need = min(w.habits.need, setup.num);
	shim.hook = NULL;
	shim.may_fault = false;
	shim.fault_rate = 0;
	ret = rig_create(&w.rig, &setup, &device_ops);
	if (ret)
		shim_die("setup: %d", ret);
	if (setup.log) {
		w.dirty = calloc(1, w.rig.guest.log_size);
		w.dirty_ring = calloc(1, w.rig.guest.log_size);
		/* What the start itself wrote: no hook saw it. */
		memcpy(w.dirty, w.rig.guest.log, w.rig.guest.log_size);
	}
	shim.hook = hook;
	shim.fault_rate = faults ? 20000 : 0;
	w.first_completion = true;
	w.calls_on = true;
	w.event_set = setup.features & BIT_ULL(VIRTIO_RING_F_EVENT_IDX) &&
		      !packed;

	walk_steps(4000);
	if (!w.stopped)
		drain();
	shim.hook = NULL;
	shim.fault_rate = 0;
	if (w.rig.vq.fault)
		fault_check();
	walk_free();
	tally.scenarios++;
}

static u64 env_number(const char *name, u64 value)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : value;
}

/* Of CPU time: on a busy machine the tests are as thorough, and slower. */
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void run_kind(unsigned int kind, u64 seed, double seconds)
{
	double end = now() + seconds;
	u64 n;

	memset(&tally, 0, sizeof(tally));
	for (n = 0; n < 3 || now() < end; n++)
		run_scenario((seed << 32 | n) << 5 | kind);
	tap_diag("%llu chains in %llu scenarios, %llu signals, %llu suppressed",
		 tally.chains, tally.scenarios, tally.signals,
		 tally.suppressed);
	tap_ok(true, "%s%s%s%s%s", kind & PACKED ? "packed" : "split",
	       kind & EVENT_IDX ? ", event index" : "",
	       kind & INDIRECT ? ", indirect" : "",
	       kind & LOG ? ", dirty log" : "",
	       kind & FAULTS ? ", faults" : "");
}

/* Scenarios that have failed; each has its commit to say why. */
static const u64 once[] = {
	137439152691,	/* packed: what a completion that failed has left behind */
};

static void run_once(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(once) / sizeof(once[0]); i++)
		run_scenario(once[i]);
	tap_ok(true, "what has failed once");
}

int main(int argc, char **argv)
{
	u64 seed = env_number("KHX_SEED", 1);
	double seconds = env_number("KHX_SECONDS",
				    env_number("KHX_LONG", 0) ? 600 : 25);
	unsigned int kind;

	if (argc > 1) {
		run_scenario(strtoull(argv[1], NULL, 0));
		return 0;
	}
	tap_plan(2 * FAULTS + 1);
	run_once();
	tap_diag("seed %llu, %.0f seconds", seed, seconds);
	for (kind = 0; kind < 2 * FAULTS; kind++)
		run_kind(kind, seed, seconds / (2 * FAULTS));
	return tap_exit();
}
