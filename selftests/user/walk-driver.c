// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of a walk: offers random chains, legal but odd, and checks that
 * each comes back with what the device wrote, and nothing else touched.
 */
#include "walk.h"

#define MARGIN		0xee		/* around what the device may write */

/* Memory for buffers. */

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

void item_free(struct item *item)
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

void driver_submit(void)
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
bool driver_get(void)
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

void driver_reap(void)
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

void driver_step(void)
{
	if (pick(2))
		driver_submit();
	else
		driver_reap();
}
