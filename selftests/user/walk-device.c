// SPDX-License-Identifier: GPL-2.0
/*
 * The device of a walk: fetches, gives back and completes as modules do, in
 * any order, and checks that the core hands it what the driver offered.
 */
#include "walk.h"

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

void pending_free(struct pending *pending)
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

/*
 * A completion in the midst of which the ring is gone: a packed one has been written
 * to, and what of that is taken back is the driver's to see on the other side, too.
 */
static void failure_check(u64 faults, u64 log_faults)
{
	if (rig_is_packed(&w.rig) && shim.nr_faults == faults + 1 &&
	    shim.nr_log_faults == log_faults)
		log_check_ring();
}

/* Some workers are killed, and what they leave is done by the next one. */
static void publish(const struct khx_chain *chains, unsigned int n)
{
	struct khx_virtqueue *vq = &w.rig.vq;

	if (!w.habits.killed) {
		khx_virtqueue_complete(vq, chains, n);
		return;
	}
	do {
		shim.killed = pick(4);
		shim.fault_rate = shim.killed ? 1 + pick(8 * n) : 0;
	} while (khx_virtqueue_try_complete(vq, chains, n) == -EINTR);
	shim.killed = false;
	shim.fault_rate = 0;
	if (vq->fault)
		shim_die("a worker that was killed broke the queue");
}

/* Complete, and see whether it signals as it should. */
static void complete(struct khx_chain *chains, unsigned int n)
{
	u64 old = w.completed_slots, new = old, calls = w.rig.call.count;
	u64 faults = shim.nr_faults, log_faults = shim.nr_log_faults;
	bool wanted;
	unsigned int i;

	for (i = 0; i < n; i++)
		new += rig_is_packed(&w.rig) ? chains[i].nr_slots : 1;
	w.nr_completed += n;
	w.completed_slots = new;
	publish(chains, n);
	failure_check(faults, log_faults);

	tally.chains += n;
	calls = w.rig.call.count - calls;
	tally.signals += calls;
	tally.suppressed += !calls;
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

const struct khx_device_ops device_ops = {
	.name = "test",
	.handle = device_handle,
};

void device_complete(void)
{
	mutex_lock(&w.rig.vq.mutex);
	pending_complete(1 + pick(16));
	mutex_unlock(&w.rig.vq.mutex);
}

void device_step(void)
{
	if (w.rig.queued && (!w.nr_pending || pick(2)))
		rig_work(&w.rig);
	else if (w.nr_pending)
		device_complete();
}
