// SPDX-License-Identifier: GPL-2.0
/*
 * Busy polling: look again for a while before going to sleep; how long, the
 * core knows (core/busypoll.c). Never at the cost of others: it ends when
 * anything else is to be done on this CPU or by this worker.
 */
#include <linux/ktime.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "net/backend.h"
#include "net/net.h"

static bool khx_net_busypoll_may(struct khx_virtqueue *vq, ktime_t end)
{
	return !need_resched() && !signal_pending(current) &&
	       !khx_virtqueue_must_yield(vq) && ktime_before(ktime_get(), end);
}

/*
 * While we poll for the receive queue its worker cannot serve the transmit
 * queue: spare the driver the kicks, and look at that ring as well. The
 * mutexes of both are held, which no other path does in this order, hence
 * the trylock.
 */
static bool khx_net_busypoll_take_tx(struct khx_virtqueue *rx,
				     struct khx_virtqueue *tx)
{
	if (!mutex_trylock(&tx->mutex))
		return false;
	if (khx_virtqueue_is_running(tx) &&
	    rcu_access_pointer(tx->worker) == rcu_access_pointer(rx->worker)) {
		khx_virtqueue_disable_notify(tx);
		return true;
	}
	mutex_unlock(&tx->mutex);
	return false;
}

static void khx_net_busypoll_put_tx(struct khx_virtqueue *tx)
{
	if (khx_virtqueue_enable_notify(tx)) {
		khx_virtqueue_disable_notify(tx);
		khx_virtqueue_queue(tx);
	}
	mutex_unlock(&tx->mutex);
}

/**
 * khx_net_busypoll_rx - wait a moment for packets
 * @rx: receive queue, running
 *
 * Context: Worker, under the virtqueue's mutex.
 * Return: true when the backend has some.
 */
bool khx_net_busypoll_rx(struct khx_net_queue *rx)
{
	struct khx_virtqueue *tx =
		&khx_net_of(rx->vq.dev)->queues[KHX_NET_TX].vq;
	struct khx_net_backend *be = rx->vq.backend;
	bool has_tx, hit;
	ktime_t end;
	u32 us;

	if (be->ops->fill(be, false))
		return true;
	us = khx_virtqueue_poll_begin(&rx->vq);
	if (!us)
		return false;
	end = ktime_add_us(ktime_get(), us);
	has_tx = khx_net_busypoll_take_tx(&rx->vq, tx);

	while (!(hit = be->ops->fill(be, false))) {
		if (!khx_net_busypoll_may(&rx->vq, end) ||
		    (has_tx && !khx_virtqueue_is_empty(tx)))
			break;
		cpu_relax();
	}
	if (has_tx)
		khx_net_busypoll_put_tx(tx);
	khx_virtqueue_poll_end(&rx->vq, hit);
	return hit;
}

/**
 * khx_net_busypoll_tx - wait a moment for chains
 * @tx: transmit queue, running, kicks off
 *
 * Packets for the receive queue end the wait: they queue it, and it has the
 * same worker.
 *
 * Context: Worker, under the virtqueue's mutex.
 * Return: true when the ring has some.
 */
bool khx_net_busypoll_tx(struct khx_net_queue *tx)
{
	u32 us = khx_virtqueue_poll_begin(&tx->vq);
	ktime_t end = ktime_add_us(ktime_get(), us);
	bool hit = false;

	if (!us)
		return false;
	while (!hit && khx_net_busypoll_may(&tx->vq, end)) {
		hit = !khx_virtqueue_is_empty(&tx->vq);
		cpu_relax();
	}
	khx_virtqueue_poll_end(&tx->vq, hit);
	return hit;
}
