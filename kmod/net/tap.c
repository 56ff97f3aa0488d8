// SPDX-License-Identifier: GPL-2.0
/**
 * DOC: Tap backend
 *
 * tun, macvtap and ipvtap hand out the socket behind their file. Their
 * sendmsg() takes either one packet as an iov_iter, or a batch of packets
 * that lie in kernel pages already, as XDP buffs. What they have for us waits
 * in a ptr_ring, from which we take a batch at a time; their recvmsg() then
 * accepts such a packet back as control data and copies it.
 *
 * Waking up. While packets are being served nobody needs to tell us of more;
 * when the ring is empty we must not miss the next one. We stay in the wait
 * queue of the socket all the time and only raise and lower a flag::
 *
 *	we:   flag = armed; smp_mb(); look at the ring
 *	tun:  put into the ring; wake: smp_mb(); look at the flag
 *
 * One of the two sees what the other wrote. The flag is up already when we
 * take packets: what comes later queues us again, so that the run that serves
 * these need not look for more, and a wakeup costs us one store, where leaving
 * and joining the wait queue costs two rounds of its lock and a poll().
 *
 * Whoever sends has to look at the flag for each packet, though. When packets
 * come in by the batch we do leave, and join again before we sleep: then that
 * is little for us, and senders find nobody to wake.
 */
#include <linux/errno.h>
#include <linux/file.h>
#include <linux/if_ether.h>
#include <linux/if_tap.h>
#include <linux/if_tun.h>
#include <linux/limits.h>
#include <linux/lockdep.h>
#include <linux/net.h>
#include <linux/poll.h>
#include <linux/ptr_ring.h>
#include <linux/skb_array.h>
#include <linux/slab.h>
#include <linux/socket.h>
#include <linux/uaccess.h>
#include <net/sock.h>
#include <net/xdp.h>

#include "net/backend.h"
#include "net/frag.h"
#include "net/net.h"

/**
 * struct khx_net_tap_rx - receiving half
 * @ring: of the tap, which owns it; one of its packets may be ours
 * @msg: what recvmsg() is given, for one packet after the other
 * @packets: taken from @ring, as it had them
 */
struct khx_net_tap_rx {
	struct ptr_ring *ring;
	struct msghdr msg;
	void *packets[KHX_BATCH];
};

/**
 * struct khx_net_tap_tx - transmitting half
 * @frag: where packets are built; those of one batch are of one page
 * @pad: bytes from the start of a packet's buffer to the frame
 * @n: packets in the batch
 * @batch: packets built and not handed over
 */
struct khx_net_tap_tx {
	struct khx_net_frag frag;
	u32 pad;
	unsigned int n;
	struct xdp_buff batch[KHX_BATCH];
};

/**
 * struct khx_net_tap - one direction of one tap queue
 * @backend: the part that all backends have; holds the file
 * @sock: of the file
 * @poll: wakes us for packets, or for room in the socket's send buffer
 * @rx: if the queue receives
 * @tx: if the queue transmits
 */
struct khx_net_tap {
	struct khx_net_backend backend;
	struct socket *sock;
	struct khx_poll poll;
	union {
		struct khx_net_tap_rx rx;
		struct khx_net_tap_tx tx;
	};
};

static inline struct khx_net_tap *khx_net_tap_of(struct khx_net_backend *be)
{
	return container_of(be, struct khx_net_tap, backend);
}

/*
 * Transmit
 */

/* Hand the batch over. What a tap that is gone refuses is lost. */
static void khx_net_tap_flush(struct khx_net_tap *tap)
{
	struct khx_net_tap_tx *tx = &tap->tx;
	struct tun_msg_ctl ctl = {
		.type	= TUN_MSG_PTR,
		.num	= tx->n,
		.ptr	= tx->batch,
	};
	struct msghdr msg = {
		.msg_control	= &ctl,
		.msg_controllen	= sizeof(ctl),
		.msg_flags	= MSG_DONTWAIT,
	};

	if (!tx->n)
		return;
	tx->n = 0;
	if (unlikely(tap->sock->ops->sendmsg(tap->sock, &msg, 0) < 0)) {
		khx_net_frag_give_back(&tx->frag, ctl.num);
		tap->backend.queue->vq.stats.drops += ctl.num;
	}
}

/*
 * Does the checksum lie within the frame? If it does, then hdr_len has to
 * cover it, which not all drivers see to.
 */
static bool khx_net_tap_check_csum(const struct khx_virtqueue *vq,
				   struct virtio_net_hdr *hdr, u32 len)
{
	u32 end = khx16_to_cpu(vq, hdr->csum_start) +
		  khx16_to_cpu(vq, hdr->csum_offset) + sizeof(__sum16);

	if (end > len)
		return false;
	if (end > khx16_to_cpu(vq, hdr->hdr_len))
		hdr->hdr_len = cpu_to_khx16(vq, end);
	return true;
}

/*
 * The buffer is a page of ours with room for all of the chain: the look-up of
 * the object that copy_from_user() would make under hardened usercopy is left
 * out, as in copy_page_from_iter().
 */
static bool khx_net_tap_copy(void *to, const struct khx_chain *chain)
{
	const struct iovec *iov = chain->iov, *end = iov + chain->nr_out;

	do {
		if (_copy_from_user(to, iov->iov_base, iov->iov_len))
			return false;
		to += iov->iov_len;
	} while (unlikely(++iov < end));
	return true;
}

static inline u32 khx_net_tap_buf_size(const struct khx_net_tap_tx *tx,
				       u32 len)
{
	return SKB_DATA_ALIGN(tx->pad + len) +
	       SKB_DATA_ALIGN(sizeof(struct skb_shared_info));
}

/*
 * Add a packet to the batch. Header and frame are copied in one go, so that
 * the frame is where it belongs; the header then moves to where tun wants it.
 *
 * The buffer: tun_xdp_hdr, headroom that ends with the header as it came,
 * frame, skb_shared_info.
 */
static int khx_net_tap_build(struct khx_net_tap *tap,
			     const struct khx_chain *chain, u32 size)
{
	const struct khx_net_queue *queue = tap->backend.queue;
	u32 hdr_len = queue->hdr_len, len = chain->len_out - hdr_len;
	struct khx_net_tap_tx *tx = &tap->tx;
	struct virtio_net_hdr *gso;
	struct tun_xdp_hdr *hdr;
	struct xdp_buff *xdp;
	void *frame;

	if (unlikely(!khx_net_frag_has_room(&tx->frag, size))) {
		khx_net_tap_flush(tap);
		/* Out of memory: a lost packet helps, a retry does not. */
		if (!khx_net_frag_refill(&tx->frag))
			return -ENOMEM;
	}

	hdr = khx_net_frag_next(&tx->frag);
	frame = (void *)hdr + tx->pad;
	if (unlikely(!khx_net_tap_copy(frame - hdr_len, chain)))
		return -EFAULT;

	hdr->buflen = size;
	gso = &hdr->gso;
	if (unlikely(queue->own_hdr))
		*gso = (struct virtio_net_hdr) {};
	else
		*gso = *(struct virtio_net_hdr *)(frame - hdr_len);
	if (gso->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    !khx_net_tap_check_csum(&queue->vq, gso, len))
		return -EINVAL;

	khx_net_frag_take(&tx->frag, size);
	xdp = &tx->batch[tx->n++];
	xdp_init_buff(xdp, size, NULL);
	xdp_prepare_buff(xdp, (void *)hdr, tx->pad, len, true);
	return 0;
}

/* One packet straight from the owner's memory: too large, or accounted. */
static int khx_net_tap_send_one(struct khx_net_tap *tap,
				const struct khx_chain *chain)
{
	const struct khx_net_queue *queue = tap->backend.queue;
	u32 skip = queue->own_hdr ? queue->hdr_len : 0;
	struct msghdr msg = { .msg_flags = MSG_DONTWAIT };
	int ret;

	khx_net_tap_flush(tap);
	iov_iter_init(&msg.msg_iter, ITER_SOURCE, chain->iov, chain->nr_out,
		      chain->len_out);
	iov_iter_advance(&msg.msg_iter, skip);
	ret = tap->sock->ops->sendmsg(tap->sock, &msg, chain->len_out - skip);
	if (likely(ret != -EAGAIN))
		return min(ret, 0);

	/* A file that cannot be waited for is not waited for. */
	if (khx_poll_start(&tap->poll, tap->backend.file))
		return -EBADFD;
	return -EAGAIN;
}

static int khx_net_tap_send_chain(struct khx_net_tap *tap,
				  const struct khx_chain *chain, bool batch)
{
	const struct khx_net_queue *queue = tap->backend.queue;
	u32 size;

	/*
	 * tun and tap refuse what is shorter than its header, but in a batch
	 * without a word, and some kernels lose the page then, or read beyond.
	 */
	if (unlikely(chain->len_out < queue->hdr_len + ETH_HLEN ||
		     chain->len_out - queue->hdr_len > KHX_NET_FRAME_MAX))
		return -EINVAL;
	if (likely(batch && chain->len_out < PAGE_SIZE)) {
		size = khx_net_tap_buf_size(&tap->tx,
					    chain->len_out - queue->hdr_len);
		/* An XDP program on the tap expects a page at most. */
		if (likely(size <= PAGE_SIZE))
			return khx_net_tap_build(tap, chain, size);
	}
	return khx_net_tap_send_one(tap, chain);
}

/* Has our packet's data a place to start that suits the tap? */
static u32 khx_net_tap_pad(const struct khx_net_tap *tap)
{
	u32 pad = NET_IP_ALIGN + NET_SKB_PAD;

	BUILD_BUG_ON(sizeof(struct tun_xdp_hdr) > NET_SKB_PAD);
	if (sock_flag(tap->sock->sk, SOCK_XDP))
		pad += XDP_PACKET_HEADROOM;
	return SKB_DATA_ALIGN(pad + tap->backend.queue->hdr_len);
}

/*
 * May packets go as a batch? They are not charged to the socket: only where
 * nothing would be. Nor does tun look at its interface then, and the host would
 * receive from one that is down: its poll() says whether it is up.
 */
static bool khx_net_tap_can_batch(const struct khx_net_tap *tap)
{
	return READ_ONCE(tap->sock->sk->sk_sndbuf) == INT_MAX &&
	       vfs_poll(tap->backend.file, NULL) & EPOLLOUT;
}

static unsigned int khx_net_tap_send(struct khx_net_backend *be,
				     const struct khx_chain *chains,
				     unsigned int n)
{
	struct khx_net_tap *tap = khx_net_tap_of(be);
	bool batch = khx_net_tap_can_batch(tap);
	unsigned int i;
	int ret;

	khx_poll_stop(&tap->poll);
	tap->tx.pad = khx_net_tap_pad(tap);

	for (i = 0; i < n; i++) {
		ret = khx_net_tap_send_chain(tap, &chains[i], batch);
		if (likely(!ret))
			continue;
		if (ret == -EAGAIN)
			break;
		if (ret == -EFAULT) {
			khx_virtqueue_fail(&be->queue->vq, ret,
					   "packet not readable");
			break;
		}
		be->queue->vq.stats.drops++;
	}
	khx_net_tap_flush(tap);
	return i;
}

/*
 * Receive
 */

static u32 khx_net_tap_packet_len(void *packet)
{
	if (unlikely(tun_is_xdp_frame(packet)))
		return tun_ptr_to_xdp(packet)->len;
	return __skb_array_len_with_tag(packet);
}

/* Be woken for packets that are not in the ring yet. */
static void khx_net_tap_listen(struct khx_net_tap *tap)
{
	if (likely(tap->poll.wqh))
		khx_poll_arm(&tap->poll);
	else
		khx_poll_start(&tap->poll, tap->backend.file);
}

static void khx_net_tap_ignore(struct khx_net_backend *be)
{
	khx_poll_disarm(&khx_net_tap_of(be)->poll);
	be->listening = false;
}

static unsigned int khx_net_tap_fill(struct khx_net_backend *be, bool wait)
{
	struct khx_net_tap *tap = khx_net_tap_of(be);
	struct khx_net_tap_rx *rx = &tap->rx;
	unsigned int i, n = be->tail - be->head;

	if (n)
		return n;

	if (wait)
		khx_net_tap_listen(tap);
	else
		khx_net_tap_ignore(be);
	n = ptr_ring_consume_batched(rx->ring, rx->packets, KHX_BATCH);
	be->listening = wait && n < KHX_BATCH;
	if (unlikely(n == KHX_BATCH))
		khx_poll_stop(&tap->poll);

	for (i = 0; i < n; i++)
		be->len[i] = khx_net_tap_packet_len(rx->packets[i]);
	be->head = 0;
	be->tail = n;
	return n;
}

static int khx_net_tap_receive(struct khx_net_backend *be,
			       struct iov_iter *to, size_t len)
{
	struct khx_net_tap *tap = khx_net_tap_of(be);
	struct khx_net_tap_rx *rx = &tap->rx;

	rx->msg.msg_control = rx->packets[be->head++];
	rx->msg.msg_iter = *to;
	return tap->sock->ops->recvmsg(tap->sock, &rx->msg, len,
				       MSG_DONTWAIT | MSG_TRUNC);
}

static void khx_net_tap_drop(struct khx_net_backend *be)
{
	tun_ptr_free(khx_net_tap_of(be)->rx.packets[be->head++]);
}

/*
 * Life
 */

static void khx_net_tap_destroy(struct khx_net_backend *be)
{
	struct khx_net_tap *tap = khx_net_tap_of(be);

	khx_poll_stop(&tap->poll);
	if (be->queue->vq.index == KHX_NET_TX)
		khx_net_frag_destroy(&tap->tx.frag);
	else if (be->head != be->tail)
		ptr_ring_unconsume(tap->rx.ring, tap->rx.packets + be->head,
				   be->tail - be->head, tun_ptr_free);
	fput(be->file);
	kvfree(tap);
}

static const struct khx_net_backend_ops khx_net_tap_ops = {
	.send		= khx_net_tap_send,
	.fill		= khx_net_tap_fill,
	.ignore		= khx_net_tap_ignore,
	.receive	= khx_net_tap_receive,
	.drop		= khx_net_tap_drop,
	.destroy	= khx_net_tap_destroy,
};

/* Ring of a file of which @sock is the socket, and hence of its kind. */
static struct ptr_ring *khx_net_tap_ring(struct file *file)
{
	struct ptr_ring *ring = tun_get_tx_ring(file);

	return IS_ERR(ring) ? tap_get_ptr_ring(file) : ring;
}

/**
 * khx_net_tap_create - a queue of a tap device as backend
 * @queue: to be served by it
 * @file: a queue of tun, macvtap or ipvtap, or anything else
 *
 * Context: Owner's task, under the virtqueue's mutex. May sleep.
 * Return: backend, with a reference to @file of its own; -ENOTSOCK if @file
 * is something else, -EINVAL if it belongs to no network interface, -ENOMEM.
 */
struct khx_net_backend *khx_net_tap_create(struct khx_net_queue *queue,
					   struct file *file)
{
	bool is_tx = queue->vq.index == KHX_NET_TX;
	struct khx_net_tap *tap;
	struct socket *sock;
	int ret;

	lockdep_assert_held(&queue->vq.mutex);

	sock = tun_get_socket(file);
	if (IS_ERR(sock))
		sock = tap_get_socket(file);
	if (IS_ERR(sock))
		return ERR_PTR(khx_device_refuse(queue->vq.dev, -ENOTSOCK,
						 "not a queue of a tap"));

	tap = kvzalloc(sizeof(*tap), GFP_KERNEL_ACCOUNT);
	if (!tap)
		return ERR_PTR(-ENOMEM);
	tap->backend.ops = &khx_net_tap_ops;
	tap->backend.queue = queue;
	tap->backend.file = get_file(file);
	tap->sock = sock;
	if (!is_tx)
		tap->rx.ring = khx_net_tap_ring(file);

	khx_poll_init(&tap->poll, &queue->vq, is_tx ? EPOLLOUT : EPOLLIN, NULL);
	ret = khx_poll_start(&tap->poll, file);
	if (ret) {
		khx_net_tap_destroy(&tap->backend);
		return ERR_PTR(khx_device_refuse(queue->vq.dev, ret,
						 "tap without interface"));
	}
	/* There is room to transmit until the socket says otherwise. */
	if (is_tx)
		khx_poll_stop(&tap->poll);
	return &tap->backend;
}
