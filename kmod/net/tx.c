// SPDX-License-Identifier: GPL-2.0
/*
 * Transmit: from the driver's ring to the backend, a batch at a time.
 */
#include <linux/minmax.h>

#include "net/backend.h"
#include "net/net.h"

/* As many chains as the budget may be good for: large packets use it up. */
static unsigned int khx_net_tx_guess(const struct khx_net_queue *tx,
				     const struct khx_net_budget *budget)
{
	if (likely(tx->buf_len <= KHX_NET_WEIGHT_BYTES / KHX_BATCH))
		return KHX_BATCH;
	return (u32)budget->bytes / tx->buf_len + 1;
}

/*
 * Of @n fetched chains, how many may be sent now: those before the budget
 * ends, and before one that cannot be a packet.
 */
static unsigned int khx_net_tx_admit(struct khx_net_queue *tx, unsigned int n,
				     struct khx_net_budget *budget)
{
	u64 bytes = 0;
	unsigned int i;
	u32 len = 0;

	for (i = 0; i < n && budget->bytes > 0; i++) {
		if (unlikely(tx->chains[i].nr_in)) {
			khx_virtqueue_fail(&tx->vq, -EINVAL,
					   "writable descriptor in transmit");
			break;
		}
		len = tx->chains[i].len_out;
		bytes += len - min(len, tx->hdr_len);
		budget->bytes -= len;
	}
	tx->buf_len = len;
	budget->packets -= i;
	tx->vq.stats.bytes += bytes;
	return i;
}

/* Send @n fetched chains. Return false when something has to come first. */
static bool khx_net_tx_batch(struct khx_net_queue *tx, unsigned int n,
			     struct khx_net_budget *budget)
{
	struct khx_net_backend *be = tx->vq.backend;
	unsigned int admitted, sent;

	admitted = khx_net_tx_admit(tx, n, budget);
	sent = be->ops->send(be, tx->chains, admitted);
	khx_virtqueue_complete(&tx->vq, tx->chains, sent);
	if (unlikely(sent < n))
		khx_virtqueue_rewind(&tx->vq, tx->chains + sent, n - sent);
	return sent == admitted && !tx->vq.fault;
}

/* Nothing to do: return true when there is after all. */
static bool khx_net_tx_idle(struct khx_net_queue *tx)
{
	if (unlikely(READ_ONCE(tx->vq.busyloop_us)) && khx_net_busypoll_tx(tx))
		return true;
	if (likely(!khx_virtqueue_enable_notify(&tx->vq)))
		return false;
	khx_virtqueue_disable_notify(&tx->vq);
	return true;
}

/**
 * khx_net_tx_handle - serve a transmit queue
 * @vq: virtqueue, running
 *
 * Ends when the ring is empty and the driver will kick us, when the backend
 * is full and will queue us, when the ring is broken, or with the budget.
 *
 * Context: Worker, under the virtqueue's mutex.
 */
void khx_net_tx_handle(struct khx_virtqueue *vq)
{
	struct khx_net_queue *tx = khx_net_queue_of(vq);
	struct khx_net_budget budget;
	int n;

	khx_net_budget_init(&budget, vq);
	khx_virtqueue_disable_notify(vq);

	while (khx_net_budget_left(&budget, vq)) {
		n = khx_virtqueue_fetch(vq, tx->chains,
					khx_net_tx_guess(tx, &budget));
		if (unlikely(n < 0))
			return;
		if (n) {
			if (!khx_net_tx_batch(tx, n, &budget))
				return;
			continue;
		}
		/* A driver that takes back what it offers pays for it, too. */
		budget.packets--;
		if (!khx_net_tx_idle(tx))
			return;
	}
	khx_virtqueue_queue(vq);
}
