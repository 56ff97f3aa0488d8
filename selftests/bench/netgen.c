// SPDX-License-Identifier: GPL-2.0
/*
 * netgen: load for /dev/vhost-net and /dev/khx-net alike, without a guest.
 *
 * The process is guest and sender in one: it owns the rings and their memory,
 * and a tap. It transmits packets that the stack drops at once, or sends
 * packets into the tap and takes them out of the receive ring, in a closed
 * loop, so that none is lost. One line of JSON comes out for each round.
 *
 * On one processor a packet sent into the tap wakes the device's worker, which
 * runs at once: each packet costs a wakeup. With -w the worker only runs when
 * this process sleeps, and finds as many packets as the ring has buffers.
 *
 * With "none" for a device the rings exist and nobody serves them: we put
 * what the device would have written there while the clock stands, and the
 * tap holds all packets of a round. That is what this process costs by itself.
 *
 * The send buffer of the tap is left alone: mainline batches only with an
 * unlimited one.
 *
 * Under QEMU's -icount shift=0 on one processor the clock counts
 * instructions, all of them: the figure is instructions per packet.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "netload.h"

static void usage(void)
{
	fprintf(stderr,
		"usage: netgen [-d DEVICE] [-m tx|rx] [-p] [-E] [-i] [-M] [-w] [-Q PAIRS]\n"
		"       [-q RING] [-b BATCH] [-s SIZE] [-B BUFFER] [-n PACKETS] [-r ROUNDS]\n"
		"  -d none: our own part  -p packed ring  -E no event index  -i indirect\n"
		"  -M not mergeable  -w the workers run only when nothing else does\n");
	exit(2);
}

static bool options_ok(const struct netload_options *opt)
{
	return opt->pairs && opt->pairs <= NETLOAD_PAIRS_MAX &&
	       opt->num && opt->num <= NETLOAD_RING_MAX &&
	       opt->batch && opt->batch <= NETLOAD_BATCH_MAX &&
	       opt->size >= NETLOAD_SIZE_MIN &&
	       opt->size <= NETLOAD_SIZE_MAX &&
	       !(opt->packets % opt->pairs);
}

/* Options that take a number: its place, or NULL. */
static unsigned int *number(struct netload_options *opt, int c)
{
	switch (c) {
	case 'Q':
		return &opt->pairs;
	case 'q':
		return &opt->num;
	case 'b':
		return &opt->batch;
	case 's':
		return &opt->size;
	case 'B':
		return &opt->buf_size;
	case 'n':
		return &opt->packets;
	case 'r':
		return &opt->rounds;
	default:
		return NULL;
	}
}

static bool set_option(struct netload_options *opt, int c, const char *text)
{
	switch (c) {
	case 'd':
		opt->device = strcmp(text, "none") ? text : NULL;
		return true;
	case 'm':
		opt->rx = !strcmp(text, "rx");
		return opt->rx || !strcmp(text, "tx");
	case 'p':
		opt->packed = true;
		return true;
	case 'E':
		opt->event_idx = false;
		return true;
	case 'i':
		opt->indirect = true;
		return true;
	case 'M':
		opt->mergeable = false;
		return true;
	case 'w':
		opt->idle_worker = true;
		return true;
	default:
		return false;
	}
}

static struct netload_options parse(int argc, char **argv)
{
	struct netload_options opt = {
		.device = "/dev/khx-net", .event_idx = true, .mergeable = true,
		.pairs = 1, .num = 256, .batch = 64, .size = 60,
		.packets = 100000, .rounds = 4,
	};
	int c;

	while ((c = getopt(argc, argv, "d:m:pEiMwQ:q:b:s:B:n:r:")) != -1) {
		if (number(&opt, c))
			*number(&opt, c) = atoi(optarg);
		else if (!set_option(&opt, c, optarg))
			usage();
	}
	if (!options_ok(&opt))
		usage();
	return opt;
}

static void report(const struct netload *load, unsigned int round, uint64_t ns)
{
	const struct netload_options *opt = &load->opt;
	unsigned long kicks = 0, signals = 0;
	unsigned int i;

	for (i = 0; i < opt->pairs; i++) {
		kicks += load->pairs[i].queue->kicks;
		signals += load->pairs[i].queue->signals;
	}
	printf("{\"device\": \"%s\", \"ring\": \"%s\", \"mode\": \"%s\", \"size\": %u, \"pairs\": %u, \"round\": %u, \"packets\": %u, \"ns_per_packet\": %.1f, \"kicks\": %lu, \"signals\": %lu}\n",
	       opt->device ?: "none", opt->packed ? "packed" : "split",
	       opt->rx ? "rx" : "tx", opt->size, opt->pairs, round,
	       opt->packets, (double)ns / opt->packets, kicks, signals);
	fflush(stdout);
}

/* A round counts only if every packet went through the tap, and none else. */
static bool all_arrived(const struct netload *load, long before)
{
	const char *counter = load->opt.rx ? "tx_packets" : "rx_packets";
	long want = load->opt.packets, got;

	if (!load->opt.device)
		want = load->opt.rx ? want : 0;
	got = tapdev_counter(&load->tap, counter) - before;
	if (got == want && !tapdev_counter(&load->tap, "tx_dropped"))
		return true;
	fprintf(stderr, "%ld packets of %ld at the tap, or some dropped\n",
		got, want);
	return false;
}

int main(int argc, char **argv)
{
	static struct netload load;
	struct netload_options opt;
	unsigned int round;
	const char *counter;
	uint64_t ns;
	long before;

	opt = parse(argc, argv);
	netload_open(&load, &opt);
	counter = opt.rx ? "tx_packets" : "rx_packets";
	for (round = 0; round < opt.rounds; round++) {
		before = tapdev_counter(&load.tap, counter);
		ns = netload_run(&load);
		report(&load, round, ns);
		if (!all_arrived(&load, before))
			return 1;
	}
	return 0;
}
