// SPDX-License-Identifier: GPL-2.0
/*
 * Illegal drivers: the ring, the indirect tables and the calls that a backend
 * makes all come from the fuzzer, and guest memory changes between any two
 * accesses of the core. Compiled once for each ring format (-DPACKED).
 *
 * Whatever the driver does:
 *
 *  - segments lie inside of the memory table, lengths and counts add up
 *  - no access leaves its user access section, no kernel buffer overflows
 *  - work is bounded: accesses and bytes a fetch, slots in flight
 *  - a broken ring is told once, and not looked at again
 *
 * Bytes of the input are choices, so that few of them make a ring that is
 * nearly right: see fuzz_desc(). Where the input ends, random bytes go on that
 * depend on it: short inputs, which the fuzzer likes, go deep too.
 */
#include "rig.h"

#ifdef PACKED
#define IS_PACKED	1
#else
#define IS_PACKED	0
#endif

#define NUM_MAX		64u
#define TABLE_MAX	(2 * NUM_MAX)
#define IN_FLIGHT_MAX	(2 * NUM_MAX)

#define CHOICES		2000u		/* of one run */

static struct fuzz {
	const u8 *data;
	size_t size;
	unsigned int left;		/* choices */
	struct rig rig;
	char *tables;			/* room for indirect tables */
	u64 tables_gpa;
	struct khx_chain in_flight[IN_FLIGHT_MAX];
	unsigned int nr_in_flight;
	unsigned int nr_last;		/* of them, from the last fetches */
	unsigned int slots;		/* of them all */
} f;

static u8 byte(void)
{
	if (f.left)
		f.left--;
	if (!f.size)
		return shim_random();
	f.size--;
	return *f.data++;
}

static unsigned int choose(unsigned int n)
{
	return byte() % n;
}

static u64 fuzz_gpa(void)
{
	const struct guest *guest = &f.rig.guest;
	const struct guest_region *region =
		&guest->regions[choose(guest->nr_regions)];

	switch (choose(8)) {
	case 0:
		return region->gpa;
	case 1:
		return region->gpa + region->size - choose(40);
	case 2:
		return region->gpa - choose(40);
	case 3:
		return -(u64)choose(64);
	case 4:
		return f.tables_gpa + choose(TABLE_MAX) * 16;
	default:
		return guest->data_gpa + choose(256) * 64;
	}
}

static u32 fuzz_len(void)
{
	switch (choose(8)) {
	case 0:
		return 0;
	case 1:
		return -(u32)choose(64);
	case 2:
		return 1u << choose(32);
	case 3:
	case 4:
		return 16 * choose(TABLE_MAX);
	default:
		return byte();
	}
}

/* Both formats have address and length first. */
static struct vring_desc fuzz_desc(void)
{
	const u16 chain = VRING_DESC_F_NEXT | VRING_DESC_F_WRITE |
			  VRING_DESC_F_INDIRECT;
	struct vring_desc desc = { .addr = fuzz_gpa(), .len = fuzz_len() };
	u8 flags = byte();

	desc.flags = flags & chain;
	desc.next = byte() % (2 * NUM_MAX);
	if (IS_PACKED) {
		struct vring_packed_desc packed = {
			.addr = desc.addr,
			.len = desc.len,
			.id = desc.next,
			.flags = desc.flags,
		};

		/* Mostly available, in one lap or the other. */
		if (flags & 0x18)
			packed.flags |= flags & 0x20 ? 0x8000 : 0x80;
		else
			packed.flags |= (flags & 0xc0) * 0x80;
		memcpy(&desc, &packed, sizeof(desc));
	}
	return desc;
}

static void fuzz_ring(void)
{
	struct vring_layout *at = &f.rig.ring.at;
	struct vring_avail *avail = at->avail;
	struct vring_desc desc = fuzz_desc();

	switch (choose(IS_PACKED ? 3 : 5)) {
	case 0:
		memcpy(at->desc + choose(at->num) * 16, &desc, 16);
		break;
	case 1:
		memcpy(f.tables + choose(TABLE_MAX) * 16, &desc, 16);
		break;
	case 2:
		memset(at->avail + choose(4), byte(), 1);
		break;
	case 3:
		avail->ring[choose(at->num + 1)] = byte() % (NUM_MAX + 2);
		break;
	case 4:
		avail->idx = f.rig.vq.next_avail +
			     (choose(50) ? choose(4) : byte() << 8);
		break;
	}
}

/* The driver on another CPU. */
static void hook(const void *ptr, size_t len, bool write)
{
	if (f.left && !choose(4))
		fuzz_ring();
}

static void segment_check(const struct khx_chain *chain, unsigned int i)
{
	const struct guest *guest = &f.rig.guest;
	const struct iovec *iov = &chain->iov[i];
	u64 last = chain->gpa[i] + iov->iov_len - 1;

	if (!iov->iov_len || iov->iov_len > U32_MAX)
		shim_die("segment of %zu bytes", iov->iov_len);
	if (guest_hva(guest, chain->gpa[i]) != iov->iov_base ||
	    guest_hva(guest, last) != iov->iov_base + iov->iov_len - 1)
		shim_die("segment outside of the memory table");
}

static void chain_check(const struct khx_chain *chain)
{
	const struct khx_scratch *scratch = f.rig.vq.scratch;
	unsigned int i, n = chain->nr_out + chain->nr_in;
	u64 out = 0, in = 0;

	if (n > UIO_MAXIOV || chain->iov < scratch->iov ||
	    chain->iov + n > scratch->iov + KHX_IOV_MAX ||
	    chain->gpa - scratch->gpa != chain->iov - scratch->iov)
		shim_die("segments outside of the scratch");
	for (i = 0; i < n; i++) {
		segment_check(chain, i);
		*(i < chain->nr_out ? &out : &in) += chain->iov[i].iov_len;
	}
	if (out != chain->len_out || in != chain->len_in)
		shim_die("lengths do not add up");
	if (!chain->nr_slots || chain->written ||
	    (!IS_PACKED && chain->id >= f.rig.vq.num))
		shim_die("bad chain");
}

/* For what a chain may take, see KHX_FETCH_DESCS and khx_table_entry(). */
static void work_check(u64 accesses, u64 bytes)
{
	const u64 descs = KHX_FETCH_DESCS + NUM_MAX + UIO_MAXIOV;

	if (accesses > 6 * KHX_BATCH + 4 * descs)
		shim_die("%llu accesses in one fetch", accesses);
	if (bytes > descs * KHX_TABLE_WINDOW * sizeof(struct vring_desc))
		shim_die("%llu bytes copied in one fetch", bytes);
}

static void fuzz_fetch(bool more)
{
	struct khx_virtqueue *vq = &f.rig.vq;
	struct khx_chain *chains = &f.in_flight[f.nr_in_flight];
	unsigned int max = min_t(unsigned int, 1 + choose(KHX_BATCH),
				 IN_FLIGHT_MAX - f.nr_in_flight);
	u64 accesses = shim.nr_accesses, bytes = shim.bytes_copied;
	u64 errors = f.rig.error.count;
	bool faulty = vq->fault;
	int i, n;

	if (!max)
		return;
	n = more ? khx_virtqueue_fetch_more(vq, chains, max) :
		   khx_virtqueue_fetch(vq, chains, max);
	accesses = shim.nr_accesses - accesses;
	work_check(accesses, shim.bytes_copied - bytes);
	errors = f.rig.error.count - errors;
	if (faulty && (accesses || errors || n != -EIO))
		shim_die("a faulty queue is looked at");
	if (!faulty && errors != !!vq->fault)
		shim_die("%llu errors told, %d fetched", errors, n);
	if (n < 0 && !vq->fault && n != -ENOBUFS)
		shim_die("error %d without a fault", n);
	if (n > (int)max)
		shim_die("%d chains fetched, %u asked for", n, max);

	if (!more)
		f.nr_last = 0;
	for (i = 0; i < n; i++) {
		chain_check(&chains[i]);
		f.slots += chains[i].nr_slots;
		f.nr_in_flight++;
		f.nr_last++;
	}
	if (f.slots > vq->num)
		shim_die("%u slots in flight, the ring has %u", f.slots,
			 vq->num);
}

static void fuzz_rewind(void)
{
	unsigned int i, n = choose(f.nr_last + 1);

	f.nr_in_flight -= n;
	f.nr_last -= n;
	khx_virtqueue_rewind(&f.rig.vq, &f.in_flight[f.nr_in_flight], n);
	for (i = 0; i < n; i++)
		f.slots -= f.in_flight[f.nr_in_flight + i].nr_slots;
}

static void fuzz_complete(void)
{
	struct khx_virtqueue *vq = &f.rig.vq;
	unsigned int i, n = choose(min(f.nr_in_flight, KHX_BATCH + 0u) + 1);
	struct khx_chain *chains = f.in_flight;

	for (i = 0; i < n; i++) {
		chains[i].written = choose(2) ? chains[i].len_in :
				    byte() % (chains[i].len_in + 1ull);
		/* Only the last fetch's segments are still there. */
		if (f.nr_in_flight - i > f.nr_last)
			chains[i].written = 0;
		f.slots -= chains[i].nr_slots;
	}
	khx_virtqueue_complete(vq, chains, n);
	f.nr_in_flight -= n;
	f.nr_last = min(f.nr_last, f.nr_in_flight);
	memmove(chains, chains + n, f.nr_in_flight * sizeof(*chains));
}

/* What an owner does about a broken ring. */
static void fuzz_repair(void)
{
	bool was_faulty = f.rig.vq.fault;
	u32 base;

	mutex_unlock(&f.rig.vq.mutex);
	if (choose(2)) {
		rig_swap_memory(&f.rig);
	} else {
		base = f.rig.vq.ops->get_base(&f.rig.vq);
		if (!rig_restart(&f.rig) && !was_faulty && f.slots == 0 &&
		    f.rig.vq.ops->get_base(&f.rig.vq) != base)
			shim_die("a restart moves the ring");
		f.slots = 0;
		f.nr_in_flight = 0;
		f.nr_last = 0;
	}
	mutex_lock(&f.rig.vq.mutex);
}

static void fuzz_step(void)
{
	struct khx_virtqueue *vq = &f.rig.vq;

	/* A backend asks for little of a queue that is stopped. */
	if (vq->fault && choose(4)) {
		fuzz_repair();
		return;
	}
	switch (choose(12)) {
	case 0:
		if (khx_virtqueue_is_running(vq))
			khx_virtqueue_enable_notify(vq);
		break;
	case 1:
		if (khx_virtqueue_is_running(vq))
			khx_virtqueue_disable_notify(vq);
		break;
	case 2:
		khx_virtqueue_is_empty(vq);
		break;
	case 3:
		fuzz_rewind();
		break;
	case 4:
	case 5:
		fuzz_complete();
		break;
	case 6:
		fuzz_repair();
		break;
	case 7:
		fuzz_fetch(true);
		break;
	case 8:
	case 9:
		fuzz_fetch(false);
		break;
	default:
		fuzz_ring();
		break;
	}
}

static void fuzz_setup(struct rig_setup *setup)
{
	u8 bits = byte();

	*setup = (struct rig_setup) {
		.num = 1 + choose(NUM_MAX),
		.nr_cuts = 1 + choose(6),
		.ring_pieces = 1,
		.gpa_base = 0x10000,
		.features = bits & 1 ? BIT_ULL(VIRTIO_RING_F_EVENT_IDX) : 0,
		.log = bits & 2,
	};
	if (bits & 0x1c)
		setup->features |= BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC);
	if (setup->log)
		setup->features |= BIT_ULL(VHOST_F_LOG_ALL);
	if (bits & 0x20)
		setup->features |= BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY);
	if (IS_PACKED)
		setup->features |= BIT_ULL(VIRTIO_F_RING_PACKED);
	if (IS_PACKED || bits & 0x40)
		setup->features |= BIT_ULL(VIRTIO_F_VERSION_1);
	if (IS_PACKED) {
		setup->base = bits & 0x80 ? 0x8000 :
			      (byte() % setup->num) * 0x10001u + 0x80008000u;
		setup->driver_base = bits & 0x80 ? VRING_PACKED_BASE :
						   setup->base;
	} else {
		setup->num = 1u << choose(7);
		setup->base = bits & 0x80 ? 0 : byte() << 8 | byte();
		setup->driver_base = setup->base;
	}
}

static const struct khx_device_ops device_ops = { .name = "fuzz" };

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	struct rig_setup setup;
	unsigned int i;

	memset(&f, 0, sizeof(f));
	f.data = data;
	f.size = size;
	f.left = CHOICES;
	shim.random = size;
	for (i = 0; i < size; i++)
		shim.random = shim.random * 31 + data[i];
	shim.may_fault = true;
	shim.hook = NULL;
	fuzz_setup(&setup);
	if (rig_create(&f.rig, &setup, &device_ops))
		shim_die("setup fails");
	guest_fill(&f.rig.guest, f.rig.guest.data_gpa, 0, GUEST_DATA_SIZE);
	f.tables = f.rig.guest.regions[0].hva;
	f.tables_gpa = f.rig.guest.regions[0].gpa;
	if (f.rig.guest.regions[0].size < TABLE_MAX * 16)
		goto out;

	for (i = choose(NUM_MAX); i; i--)
		fuzz_ring();
	shim.hook = hook;
	mutex_lock(&f.rig.vq.mutex);
	while (f.left)
		fuzz_step();
	mutex_unlock(&f.rig.vq.mutex);
	shim.hook = NULL;
out:
	rig_destroy(&f.rig);
	return 0;
}
