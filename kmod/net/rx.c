// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Receive
 *
 * Packets wait at the backend, buffers in the driver's ring. With mergeable
 * buffers a packet may take several; their segments follow each other in
 * memory when they were fetched together, so that one iov_iter covers them.
 * Buffers are fetched for the packets that are there, as many as they need if
 * the driver's buffers are of the size the last ones were, and more when that
 * turns out to be too few; what is left over is given back.
 *
 * Going to sleep has two reasons, and one way back each: no more packets, then
 * the backend wakes us and the driver's kicks are off; or no buffers, then the
 * driver kicks us and the backend is not listened to. In the second case a
 * few buffers may be there, too few for the packet: they are given back, and
 * we sleep all the same, until there is more than those.
 */
#include <linux/minmax.h>
#include <linux/uaccess.h>
#include <linux/uio.h>

#include "net/backend.h"
#include "net/net.h"

/**
 * struct khx_net_rx_batch - one look at ring and backend
 * @nr: chains fetched
 * @used: of them, those with packets
 */
struct khx_net_rx_batch {
	unsigned int nr;
	unsigned int used;
};

static inline bool khx_net_rx_is_mergeable(const struct khx_net_queue *rx)
{
	return khx_virtqueue_has_feature(&rx->vq, VIRTIO_NET_F_MRG_RXBUF);
}

/* How many buffers the packets that are ready, and fit a batch, will take. */
static unsigned int khx_net_rx_guess(const struct khx_net_queue *rx,
				     const struct khx_net_backend *be)
{
	unsigned int i, n = 0, need;
	u32 len;

	for (i = be->head; i < be->tail; i++, n += need) {
		len = be->len[i] + rx->hdr_len;
		need = likely(len <= rx->buf_len) ? 1 :
		       DIV_ROUND_UP(len, rx->buf_len);
		if (unlikely(n + need > KHX_BATCH))
			return n ?: KHX_BATCH;
	}
	return n;
}

/*
 * Have one more chain, for a packet that lacks @len bytes. It may take what is
 * beyond the budget, and be delivered, as a packet has KHX_IOV_MAX segments at
 * most; but empty descriptors are no segments.
 */
static int khx_net_rx_fetch_more(struct khx_net_queue *rx,
				 struct khx_net_rx_batch *batch,
				 const struct khx_net_budget *budget, u32 len)
{
	unsigned int want = 1;
	int ret;

	if (batch->nr == KHX_BATCH ||
	    rx->vq.stats.descs >= budget->descs_end + KHX_NET_WEIGHT_DESCS)
		return -ENOBUFS;
	if (len > rx->buf_len)
		want = DIV_ROUND_UP(len, rx->buf_len);
	ret = khx_virtqueue_fetch_more(&rx->vq, rx->chains + batch->nr,
				       min(want, KHX_BATCH - batch->nr));
	if (unlikely(ret < 0))
		return ret;
	batch->nr += ret;
	return ret ? 0 : -EAGAIN;
}

/*
 * Chains for @len bytes, behind those in use. Return how many; -EAGAIN when
 * the ring has no more, -ENOBUFS when the batch may have no more,
 * -EMSGSIZE when a packet may have one and it is too small; another errno
 * when the queue was stopped.
 */
static int khx_net_rx_claim(struct khx_net_queue *rx,
			    struct khx_net_rx_batch *batch,
			    const struct khx_net_budget *budget, u32 len)
{
	const struct khx_chain *chain;
	unsigned int i = batch->used;
	int ret;

	for (;;) {
		if (i == batch->nr) {
			ret = khx_net_rx_fetch_more(rx, batch, budget, len);
			if (ret)
				return ret;
		}
		chain = &rx->chains[i++];
		if (unlikely(chain->nr_out || !chain->nr_in))
			return khx_virtqueue_fail(&rx->vq, -EINVAL,
						  "bad descriptor in receive");
		if (likely(len <= chain->len_in))
			break;
		if (!khx_net_rx_is_mergeable(rx))
			return -EMSGSIZE;
		len -= chain->len_in;
	}
	if (khx_net_rx_is_mergeable(rx))
		rx->buf_len = chain->len_in;
	return i - batch->used;
}

/*
 * Write the header from byte @skip on; what is before that, the backend has
 * written.
 */
static bool khx_net_rx_copy_hdr(const struct khx_net_queue *rx,
				const struct iovec *iov, unsigned int nr_iov,
				__virtio16 num_buffers, size_t skip)
{
	struct virtio_net_hdr_mrg_rxbuf hdr = { .num_buffers = num_buffers };
	size_t len = rx->hdr_len;
	struct iov_iter to;

	iov_iter_init(&to, ITER_DEST, iov, nr_iov, len);
	iov_iter_advance(&to, skip);
	return copy_to_iter((void *)&hdr + skip, len - skip, &to) == len - skip;
}

/* What of the header is ours to write: all of it, or num_buffers, or none. */
static bool khx_net_rx_put_hdr(const struct khx_net_queue *rx,
			       const struct iovec *iov, unsigned int nr_iov,
			       unsigned int n)
{
	const size_t offset = offsetof(struct virtio_net_hdr_mrg_rxbuf,
				       num_buffers);
	__virtio16 num_buffers = cpu_to_khx16(&rx->vq, n);

	if (unlikely(rx->own_hdr))
		return khx_net_rx_copy_hdr(rx, iov, nr_iov, num_buffers, 0);
	if (unlikely(rx->hdr_len <= offset))
		return true;
	if (unlikely(iov->iov_len < offset + sizeof(num_buffers)))
		return khx_net_rx_copy_hdr(rx, iov, nr_iov, num_buffers,
					   offset);
	return !put_user(num_buffers,
			 (__virtio16 __user *)(iov->iov_base + offset));
}

/* Say how much of each of @n chains holds the @len bytes of a packet. */
static void khx_net_rx_set_written(struct khx_chain *chains, unsigned int n,
				   u32 len)
{
	for (; unlikely(n > 1); n--, chains++) {
		chains->written = chains->len_in;
		len -= chains->len_in;
	}
	chains->written = len;
}

/*
 * Write the next packet into @n chains. Return true if they hold it; if not,
 * it is lost, and the chains are as good as new.
 */
static bool khx_net_rx_deliver(struct khx_net_queue *rx,
			       struct khx_chain *chains, unsigned int n)
{
	struct khx_net_backend *be = rx->vq.backend;
	u32 len = be->len[be->head], size = len + rx->hdr_len;
	const struct iovec *iov = chains->iov;
	unsigned int i, nr_iov = 0;
	struct iov_iter to;
	int ret;

	for (i = 0; i < n; i++)
		nr_iov += chains[i].nr_in;
	if (likely(nr_iov == 1))
		iov_iter_ubuf(&to, ITER_DEST, iov->iov_base, size);
	else
		iov_iter_init(&to, ITER_DEST, iov, nr_iov, size);
	if (unlikely(rx->own_hdr)) {
		iov_iter_advance(&to, rx->hdr_len);
		size = len;
	}

	ret = be->ops->receive(be, &to, size);
	/* Shorter or longer than we were told: headers do not match. */
	if (likely(ret == size) && !khx_net_rx_put_hdr(rx, iov, nr_iov, n))
		ret = -EFAULT;
	if (unlikely(ret != size)) {
		rx->vq.stats.drops++;
		if (ret == -EFAULT)
			khx_virtqueue_fail(&rx->vq, ret,
					   "receive buffer not writable");
		return false;
	}

	khx_net_rx_set_written(chains, n, len + rx->hdr_len);
	rx->vq.stats.bytes += len;
	return true;
}

/* Lose the next packet: it does not fit. */
static void khx_net_rx_drop(struct khx_net_queue *rx)
{
	struct khx_net_backend *be = rx->vq.backend;

	be->ops->drop(be);
	rx->vq.stats.drops++;
}

/*
 * Pack what is ready into chains: one packet at least, even if fetching the
 * chains has used the budget up, or each run would fetch and give back the
 * same ones. Return 0 or why that ended early.
 */
static int khx_net_rx_pack(struct khx_net_queue *rx,
			   struct khx_net_rx_batch *batch,
			   struct khx_net_budget *budget)
{
	struct khx_net_backend *be = rx->vq.backend;
	u32 len;
	int n;

	do {
		budget->packets--;
		len = be->len[be->head] + rx->hdr_len;
		n = khx_net_rx_claim(rx, batch, budget, len);
		if (unlikely(n == -EMSGSIZE)) {
			khx_net_rx_drop(rx);
			continue;
		}
		if (unlikely(n < 0))
			return n;
		budget->bytes -= len;
		if (likely(khx_net_rx_deliver(rx, rx->chains + batch->used, n)))
			batch->used += n;
		else if (rx->vq.fault)
			return -EIO;
	} while (be->head != be->tail && khx_net_budget_left(budget, &rx->vq));
	return 0;
}

/*
 * Serve what is ready, as far as there are buffers. Return false when there
 * are none, and the driver will kick us, or when the queue was stopped.
 */
static bool khx_net_rx_serve(struct khx_net_queue *rx,
			     struct khx_net_budget *budget)
{
	struct khx_net_rx_batch batch = {};
	struct khx_virtqueue *vq = &rx->vq;
	bool go_on = true;
	int ret;

	ret = khx_virtqueue_fetch(vq, rx->chains,
				  khx_net_rx_guess(rx, vq->backend));
	if (unlikely(ret < 0))
		return false;
	batch.nr = ret;

	ret = khx_net_rx_pack(rx, &batch, budget);
	khx_virtqueue_complete(vq, rx->chains, batch.used);

	/* Not even a batch of its own is enough for this packet. */
	if (unlikely(ret == -ENOBUFS && !batch.used && !vq->fault))
		khx_net_rx_drop(rx);
	if (unlikely(batch.used < batch.nr))
		khx_virtqueue_rewind(vq, rx->chains + batch.used,
				     batch.nr - batch.used);
	if (unlikely(ret == -EAGAIN)) {
		go_on = khx_virtqueue_enable_notify(vq);
		if (go_on)
			khx_virtqueue_disable_notify(vq);
	}
	return go_on && !vq->fault;
}

/* Nothing left, and the backend will have us queued for more? */
static bool khx_net_rx_is_done(const struct khx_net_backend *be)
{
	return be->listening && be->head == be->tail;
}

/* Are packets ready? If not, the backend will wake us. */
static bool khx_net_rx_fill(struct khx_net_queue *rx)
{
	struct khx_net_backend *be = rx->vq.backend;

	if (unlikely(READ_ONCE(rx->vq.busyloop_us)) && khx_net_busypoll_rx(rx))
		return true;
	return be->ops->fill(be, true);
}

/**
 * khx_net_rx_handle - serve a receive queue
 * @vq: virtqueue, running
 *
 * Context: Worker, under the virtqueue's mutex.
 */
void khx_net_rx_handle(struct khx_virtqueue *vq)
{
	struct khx_net_queue *rx = khx_net_queue_of(vq);
	struct khx_net_backend *be = vq->backend;
	struct khx_net_budget budget;

	khx_net_budget_init(&budget, vq);
	khx_virtqueue_disable_notify(vq);

	while (khx_net_budget_left(&budget, vq)) {
		if (!khx_net_rx_fill(rx))
			return;
		if (unlikely(!khx_net_rx_serve(rx, &budget))) {
			be->ops->ignore(be);
			return;
		}
		if (khx_net_rx_is_done(be))
			return;
	}
	khx_virtqueue_queue(vq);
}
