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
 *  - with faults injected: one signal of the error eventfd, then silence
 *
 * KHX_SEED and KHX_SECONDS choose the walk and its length. `ring SCENARIO`
 * repeats one scenario, by the number that a failure prints.
 */
#include <time.h>

#include "rig.h"
#include "tap.h"

#define CELL		128u
#define NR_CELLS	(GUEST_DATA_SIZE / CELL)
#define MARGIN		0xee		/* around what the device may write */
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
	unsigned int need;		/* chains without which we rewind */
	unsigned int segments_max;
};

static struct walk {
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
} w;

static u64 nr_chains, nr_scenarios, nr_signals, nr_suppressed;

static u32 pick(u32 n)
{
	return shim_random() % n;
}

static u8 pattern(u32 seq, u32 at, bool in)
{
	return seq * 29 + at * 13 + (in ? 101 : 7);
}

/* Dirty log: what we expect of it. */

static void dirty_add(u64 gpa, u64 len)
{
	u64 page;

	if (!w.dirty || !len)
		return;
	for (page = gpa / GUEST_PAGE; page <= (gpa + len - 1) / GUEST_PAGE;
	     page++)
		w.dirty[page / 8] |= 1 << page % 8;
}

/* A write of the core to ring memory: wherever the guest sees it. */
static void dirty_add_hva(const char *hva, size_t len)
{
	const struct guest *guest = &w.rig.guest;
	unsigned int i;

	for (i = 0; i < guest->nr_regions; i++) {
		const struct guest_region *region = &guest->regions[i];
		const char *from = max(hva, (const char *)region->hva);
		const char *to = min(hva + len,
				     (const char *)region->hva + region->size);

		if (from < to)
			dirty_add(region->gpa + (from - region->hva), to - from);
	}
}

/* What QEMU does: take a word of the bitmap, clear it, copy the pages. */
static void log_collect(void)
{
	struct guest *guest = &w.rig.guest;
	size_t at = pick(guest->log_size);

	/* The copy is made after the bit was cleared, and has all until then. */
	if (guest->log[at]) {
		w.dirty[at] &= ~guest->log[at];
		guest->log[at] = 0;
	}
}

static void log_check(void)
{
	const struct guest *guest = &w.rig.guest;
	size_t i;

	if (!w.dirty)
		return;
	for (i = 0; i < guest->log_size; i++) {
		u8 bits = guest->log[i], want = w.dirty[i];

		if (want & ~bits)
			shim_die("pages written but not logged: %zx: %02x, %02x logged",
				 i * 8, want, bits);
		if (!w.habits.collect && bits != want)
			shim_die("pages logged but not written: %zx: %02x, %02x written",
				 i * 8, bits, want);
	}
}

/* Driver: memory for buffers. */

static bool cells_take(unsigned int n, u64 *gpa)
{
	unsigned int i, first, tries;

	for (tries = 0; tries < 8; tries++) {
		first = w.cell_hint + n > NR_CELLS ? 0 : w.cell_hint;
		for (i = 0; i < n && !w.cell_used[first + i]; i++)
			;
		w.cell_hint = first + i + 1;
		if (i < n)
			continue;
		memset(&w.cell_used[first], true, n);
		*gpa = w.rig.guest.data_gpa + first * CELL;
		guest_fill(&w.rig.guest, *gpa, MARGIN, n * CELL);
		return true;
	}
	return false;
}

static void cells_give(u64 gpa, u64 len)
{
	u64 at = gpa - w.rig.guest.data_gpa;
	unsigned int first = at / CELL, last = (at + max_t(u64, len, 1) - 1) / CELL;

	memset(&w.cell_used[first], false, last - first + 1);
}

static void item_free(struct item *item)
{
	unsigned int i;

	for (i = 0; i < item->nr_bufs; i++)
		cells_give(item->bufs[i].addr, item->bufs[i].len);
	if (item->table_len)
		cells_give(item->table_gpa, item->table_len);
	free(item);
}

static void out_write(const struct item *item)
{
	unsigned int i, j, at = 0;
	u8 bytes[16 * CELL];

	for (i = 0; i < item->nr_out; i++) {
		for (j = 0; j < item->bufs[i].len; j++)
			bytes[j] = pattern(item->seq, at++, false);
		guest_write(&w.rig.guest, item->bufs[i].addr, bytes, j);
	}
}

static struct item *item_new(unsigned int n, unsigned int nr_out)
{
	struct item *item = calloc(1, sizeof(*item) + n * sizeof(*item->bufs));
	unsigned int i, len, nr_cells, shift;
	u64 gpa;

	item->seq = w.next_seq;
	item->nr_out = nr_out;
	for (i = 0; i < n; i++) {
		nr_cells = pick(10) ? 1 : 1 + pick(pick(20) ? 4 : 16);
		if (!cells_take(nr_cells, &gpa)) {
			item_free(item);
			return NULL;
		}
		shift = pick(CELL);
		len = pick(nr_cells * CELL - shift + 1);
		item->bufs[i].addr = gpa + shift;
		/* Whole runs are given back: end in the last cell. */
		if (shift + len <= (nr_cells - 1) * CELL)
			len = nr_cells * CELL - shift;
		item->bufs[i].len = len;
		item->nr_bufs++;
		if (i < nr_out)
			item->len_out += len;
		else
			item->len_in += len;
	}
	out_write(item);
	return item;
}

/* A random permutation that leaves 0 where it is. */
static void shuffle(u16 *order, unsigned int n)
{
	unsigned int i, j;

	order[0] = 0;
	for (i = 1; i < n; i++) {
		j = 1 + pick(i);
		order[i] = order[j];
		order[j] = i;
	}
}

static bool has_indirect(void)
{
	return w.rig.setup.features & BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
}

static int item_add_indirect(struct item *item, struct vring_chain *chain)
{
	struct vring_desc table[512];
	u16 order[512];
	unsigned int n;
	int ret;

	if (!rig_is_packed(&w.rig) && !pick(3))
		chain->nr_direct = pick(item->nr_bufs);
	n = item->nr_bufs - chain->nr_direct;
	if (!cells_take((n * sizeof(*table) + CELL - 1) / CELL,
			&item->table_gpa))
		return -ENOSPC;
	item->table_len = n * sizeof(*table);
	chain->table = table;
	chain->table_addr = item->table_gpa;
	if (!rig_is_packed(&w.rig) && pick(2)) {
		shuffle(order, n);
		chain->order = order;
	}
	ret = vring_add(&w.rig.ring, chain, item);
	if (!ret)
		guest_write(&w.rig.guest, item->table_gpa, table,
			    item->table_len);
	return ret;
}

/* Add one random chain, if there is room for it. */
static bool driver_add(void)
{
	unsigned int n = 1 + pick(min(w.habits.segments_max, w.rig.setup.num));
	struct vring_chain chain = {};
	struct item *item;
	int ret;

	chain.nr_out = pick(n + 1);
	chain.nr_in = n - chain.nr_out;
	item = item_new(n, chain.nr_out);
	if (!item)
		return false;
	chain.bufs = item->bufs;

	if (has_indirect() && pick(2))
		ret = item_add_indirect(item, &chain);
	else
		ret = vring_add(&w.rig.ring, &chain, item);
	if (ret) {
		item_free(item);
		return false;
	}
	w.next_seq++;
	w.nr_added++;
	return true;
}

static void driver_submit(void)
{
	unsigned int n;

	switch (w.submit) {
	case SUBMIT_ADD:
		n = w.settling ? 0 : 1 + pick(pick(8) ? 3 : 70);
		while (n-- && driver_add())
			;
		w.submit = SUBMIT_PUBLISH;
		break;
	case SUBMIT_PUBLISH:
		vring_publish(&w.rig.ring);
		w.nr_published += w.nr_added;
		w.nr_added = 0;
		w.submit = pick(4) ? SUBMIT_KICK : SUBMIT_ADD;
		break;
	case SUBMIT_KICK:
		if (vring_kick_needed(&w.rig.ring))
			khx_virtqueue_queue(&w.rig.vq);
		w.submit = SUBMIT_ADD;
		break;
	}
}

/*
 * The @len bytes at @gpa: what the device wrote from @at in @item on, and
 * nothing behind item->written.
 */
static void bytes_check(const struct item *item, u64 gpa, u32 len, u32 at)
{
	u8 bytes[17 * CELL], want;
	u32 i;

	guest_read(&w.rig.guest, gpa, bytes, len);
	for (i = 0; i < len; i++, at++) {
		want = at < item->written ? pattern(item->seq, at, true) :
					    MARGIN;
		if (bytes[i] != want)
			shim_die("chain %u: %02x instead of %02x at %u",
				 item->seq, bytes[i], want, at);
	}
}

static void in_check(const struct item *item)
{
	const struct vring_buf *buf = &item->bufs[item->nr_out];
	const struct vring_buf *end = &item->bufs[item->nr_bufs];
	u64 gpa, data = w.rig.guest.data_gpa;
	u32 at = 0;

	for (; buf < end; at += buf->len, buf++) {
		bytes_check(item, buf->addr, buf->len, at);
		/* What is left of the last cell. */
		gpa = buf->addr + buf->len;
		bytes_check(item, gpa, -(gpa - data) % CELL, ~0u - CELL);
	}
}

/* Returns false when there was nothing. */
static bool driver_get(void)
{
	unsigned int before = vring_in_flight(&w.rig.ring);
	struct item *item;
	void *cookie;
	u32 len;
	int ret;

	ret = vring_get(&w.rig.ring, &cookie, &len);
	if (ret < 0)
		shim_die("the device returned what it does not have");
	if (!ret)
		return false;
	item = cookie;
	if (!item->fetched)
		shim_die("chain %u: completed but never fetched", item->seq);
	if (len != item->written)
		shim_die("chain %u: used length %u, %u written", item->seq,
			 len, item->written);
	in_check(item);
	item_free(item);
	w.nr_reaped++;
	w.reaped_slots += rig_is_packed(&w.rig) ?
			  before - vring_in_flight(&w.rig.ring) : 1;
	return true;
}

static void driver_arm(void)
{
	unsigned int after = 0;

	if (w.rig.ring.at.event_idx && !pick(3))
		after = pick(w.rig.setup.num);
	w.event = w.reaped_slots + after;
	w.calls_on = true;
	w.event_set = w.rig.ring.at.event_idx;
	w.calls_seen = w.rig.call.count;
	vring_calls_after(&w.rig.ring, after);
}

static void driver_calls_off(void)
{
	vring_calls_off(&w.rig.ring);
	/* With EVENT_IDX a split ring has no way to say so. */
	w.calls_on = w.rig.ring.at.event_idx && !rig_is_packed(&w.rig);
}

static void driver_reap(void)
{
	unsigned int n;

	switch (w.reap) {
	case REAP_GET:
		for (n = 1 + pick(16); n && driver_get(); n--)
			;
		if (n) {
			driver_arm();
			w.reap = REAP_LOOK_AGAIN;
		}
		break;
	case REAP_LOOK_AGAIN:
		w.reap = vring_has_used(&w.rig.ring) ? REAP_GET : REAP_SLEEP;
		break;
	case REAP_SLEEP:
		if (w.rig.call.count == w.calls_seen && pick(500))
			return;
		w.reap = REAP_GET;
		break;
	}
	if (w.reap == REAP_GET && !pick(3))
		driver_calls_off();
}

static void driver_step(void)
{
	if (pick(2))
		driver_submit();
	else
		driver_reap();
}

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

/* Device. */

static struct item *chain_item(const struct khx_chain *chain)
{
	if (chain->id >= w.rig.setup.num ||
	    !w.rig.ring.states[chain->id].nr_slots)
		shim_die("fetched a chain that was not offered, id %u",
			 chain->id);
	return w.rig.ring.states[chain->id].cookie;
}

static void segment_check(const struct item *item,
			  const struct khx_chain *chain, unsigned int i)
{
	const struct iovec *iov = &chain->iov[i];

	if (!shim_mapped(iov->iov_base, iov->iov_len))
		shim_die("chain %u: segment %u outside of guest memory",
			 item->seq, i);
	if (guest_hva(&w.rig.guest, chain->gpa[i]) != iov->iov_base)
		shim_die("chain %u: segment %u: gpa and iov differ",
			 item->seq, i);
}

/* A chain just fetched is what the driver offered next. */
static void chain_check(const struct khx_chain *chain)
{
	const struct item *item = chain_item(chain);
	u32 at = 0, in = 0;
	unsigned int i;
	size_t j;

	if (item->seq != w.nr_fetched)
		shim_die("chain %u fetched, %u is next", item->seq,
			 w.nr_fetched);
	for (i = 0; i < chain->nr_out + chain->nr_in; i++) {
		const struct iovec *iov = &chain->iov[i];

		segment_check(item, chain, i);
		if (i >= chain->nr_out) {
			in += iov->iov_len;
			continue;
		}
		for (j = 0; j < iov->iov_len; j++, at++)
			if (((u8 *)iov->iov_base)[j] !=
			    pattern(item->seq, at, false))
				shim_die("chain %u: wrong data at %u",
					 item->seq, at);
	}
	if (at != item->len_out || chain->len_out != at ||
	    in != item->len_in || chain->len_in != in)
		shim_die("chain %u: %u out, %u in; %u and %u fetched, of %u and %u",
			 item->seq, chain->len_out, chain->len_in, at, in,
			 item->len_out, item->len_in);
	if (chain->written)
		shim_die("chain %u: written is not cleared", item->seq);
}

static void chain_fill(struct khx_chain *chain)
{
	struct item *item = chain_item(chain);
	u32 at = 0, len = pick(4) ? chain->len_in : pick(chain->len_in + 1);
	unsigned int i = chain->nr_out;
	size_t j, n;

	for (; at < len; i++) {
		n = min_t(size_t, len - at, chain->iov[i].iov_len);
		for (j = 0; j < n; j++, at++)
			((u8 *)chain->iov[i].iov_base)[j] =
				pattern(item->seq, at, true);
		dirty_add(chain->gpa[i], n);
	}
	item->written = len;
	item->fetched = true;
	chain->written = len;
}

static void pending_add(const struct khx_chain *chain)
{
	struct pending *pending = &w.pending[w.nr_pending++];
	unsigned int n = chain->nr_out + chain->nr_in;

	pending->chain = *chain;
	pending->iov = malloc(n * sizeof(*pending->iov));
	pending->gpa = malloc(n * sizeof(*pending->gpa));
	memcpy(pending->iov, chain->iov, n * sizeof(*pending->iov));
	memcpy(pending->gpa, chain->gpa, n * sizeof(*pending->gpa));
	pending->chain.iov = pending->iov;
	pending->chain.gpa = pending->gpa;
}

static void pending_free(struct pending *pending)
{
	free(pending->iov);
	free(pending->gpa);
}

/*
 * Must this completion signal? An index repeats, so that an old event comes
 * to mean a new one after a lap of the index; it may signal then.
 */
static bool signal_wanted(u64 old, u64 new)
{
	const struct rig_setup *setup = &w.rig.setup;
	int64_t lap = rig_is_packed(&w.rig) ? 2 * setup->num : 65536;
	int64_t behind = new - w.event - 1;

	if (setup->features & BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) &&
	    !rig_is_packed(&w.rig) && w.nr_fetched == w.nr_published)
		return true;
	if (!w.calls_on)
		return false;
	if (!w.event_set || w.first_completion)
		return true;
	return (behind % lap + lap) % lap < new - old;
}

/* Complete, and see whether it signals as it should. */
static void complete(struct khx_chain *chains, unsigned int n)
{
	u64 old = w.completed_slots, new = old, calls = w.rig.call.count;
	bool wanted;
	unsigned int i;

	for (i = 0; i < n; i++)
		new += rig_is_packed(&w.rig) ? chains[i].nr_slots : 1;
	w.nr_completed += n;
	w.completed_slots = new;
	khx_virtqueue_complete(&w.rig.vq, chains, n);

	nr_chains += n;
	calls = w.rig.call.count - calls;
	nr_signals += calls;
	nr_suppressed += !calls;
	if (w.habits.faults || w.habits.racing)
		return;
	wanted = signal_wanted(old, new);
	if (calls != wanted)
		shim_die("completion of slots %llu-%llu, event %llu: %s signalled",
			 old, new - 1, w.event, calls ? "is" : "is not");
	if (calls)
		w.first_completion = false;
}

/* Complete some of what is pending, in any order. */
static void pending_complete(unsigned int n)
{
	struct khx_chain chains[KHX_BATCH];
	struct pending taken[KHX_BATCH];
	unsigned int i, j;

	n = min(n, w.nr_pending);
	n = min_t(unsigned int, n, KHX_BATCH);
	for (i = 0; i < n; i++) {
		j = pick(w.nr_pending);
		taken[i] = w.pending[j];
		w.pending[j] = w.pending[--w.nr_pending];
		chains[i] = taken[i].chain;
		chain_fill(&chains[i]);
	}
	if (n)
		complete(chains, n);
	for (i = 0; i < n; i++)
		pending_free(&taken[i]);
}

/* Complete at once, in order, in batches of any size. */
static void batch_complete(struct khx_chain *chains, unsigned int n)
{
	unsigned int i, m;

	for (i = 0; i < n; i++)
		chain_fill(&chains[i]);
	for (i = 0; i < n; i += m) {
		m = 1 + pick(n - i);
		complete(&chains[i], m);
	}
}

/*
 * Fetch up to @max chains, at least as many as we need if they are there.
 * Returns how many; *enough says whether that will do.
 */
static int device_gather(struct khx_virtqueue *vq, struct khx_chain *chains,
			 unsigned int max, bool *enough)
{
	int ret, n = khx_virtqueue_fetch(vq, chains, 1 + pick(max));

	*enough = true;
	if (n < 0)
		return n;
	while (n && n < max && (n < w.habits.need || !pick(4))) {
		ret = khx_virtqueue_fetch_more(vq, &chains[n],
					       1 + pick(max - n));
		if (ret == -ENOBUFS)
			return n;
		if (ret <= 0)
			break;
		n += ret;
	}
	if (n > max)
		shim_die("%d chains fetched, %u asked for", n, max);
	*enough = n >= w.habits.need;
	return n;
}

/* As device_gather(), checked, and sometimes partly given back. */
static int device_fetch(struct khx_virtqueue *vq, struct khx_chain *chains,
			unsigned int max, bool *enough)
{
	unsigned int i, back = 0;
	int n = device_gather(vq, chains, max, enough);

	if (n <= 0)
		return n;
	for (i = 0; i < n; i++) {
		chain_check(&chains[i]);
		w.nr_fetched++;
	}
	w.nr_looked_at = w.nr_fetched;

	if (!*enough)
		back = n;
	else if (!pick(6))
		back = pick(n + 1);
	khx_virtqueue_rewind(vq, &chains[n - back], back);
	w.nr_fetched -= back;
	return n - back;
}

/* Returns true when the device may sleep. */
static bool device_serve(struct khx_virtqueue *vq)
{
	struct khx_chain chains[KHX_BATCH];
	unsigned int i, max;
	bool enough;
	int n;

	max = min_t(unsigned int, KHX_BATCH, PENDING_MAX - w.nr_pending);
	n = device_fetch(vq, chains, max, &enough);
	if (n < 0)
		return true;
	for (i = 0; i < n && w.habits.later; i++)
		pending_add(&chains[i]);
	if (!w.habits.later)
		batch_complete(chains, n);
	if (n || (enough && w.nr_fetched < w.nr_looked_at))
		return false;
	if (!khx_virtqueue_enable_notify(vq))
		return true;
	khx_virtqueue_disable_notify(vq);
	return false;
}

static void device_handle(struct khx_virtqueue *vq)
{
	unsigned int weight = 1 + pick(6);

	khx_virtqueue_disable_notify(vq);
	while (!vq->fault) {
		if (w.nr_pending >= PENDING_MAX - KHX_BATCH || !weight--) {
			khx_virtqueue_queue(vq);
			return;
		}
		if (device_serve(vq))
			return;
	}
}

static const struct khx_device_ops device_ops = {
	.name = "test",
	.handle = device_handle,
};

static void device_complete(void)
{
	mutex_lock(&w.rig.vq.mutex);
	pending_complete(1 + pick(16));
	mutex_unlock(&w.rig.vq.mutex);
}

static void device_step(void)
{
	if (w.rig.queued && (!w.nr_pending || pick(2)))
		rig_work(&w.rig);
	else if (w.nr_pending)
		device_complete();
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
	nr_scenarios++;
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

	nr_chains = nr_scenarios = nr_signals = nr_suppressed = 0;
	for (n = 0; n < 3 || now() < end; n++)
		run_scenario((seed << 32 | n) << 5 | kind);
	tap_diag("%llu chains in %llu scenarios, %llu signals, %llu suppressed",
		 nr_chains, nr_scenarios, nr_signals, nr_suppressed);
	tap_ok(true, "%s%s%s%s%s", kind & PACKED ? "packed" : "split",
	       kind & EVENT_IDX ? ", event index" : "",
	       kind & INDIRECT ? ", indirect" : "",
	       kind & LOG ? ", dirty log" : "",
	       kind & FAULTS ? ", faults" : "");
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
	tap_plan(2 * FAULTS);
	tap_diag("seed %llu, %.0f seconds", seed, seconds);
	for (kind = 0; kind < 2 * FAULTS; kind++)
		run_kind(kind, seed, seconds / (2 * FAULTS));
	return tap_exit();
}
