// SPDX-License-Identifier: GPL-2.0
/*
 * A guest that touches everything it can: the tables keep their size, heavy
 * hitters stay visible, and all adds up.
 */
#include <linux/kvm.h>
#include <stdio.h>

#include "guest.h"
#include "tap.h"

#define HEAVY_PORT	0x3f8
#define PORTS		65536

static int rows(struct guest *g, const char *file)
{
	char path[256], line[256];
	int nr = 0;
	FILE *f;

	snprintf(path, sizeof(path), EXITS_DIR "/%s/vcpu0/%s", g->dir, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		nr += *line != '#';
	if (f)
		fclose(f);
	return nr;
}

static void test_ports(struct guest *g)
{
	const char *name = reason(g, "io", "IO_INSTRUCTION");
	long long heavy;

	guest_do(g, RUN_ALL_PORTS, PORTS,
		 (struct kvm_regs) { .rdx = HEAVY_PORT });
	heavy = exits_figure(g, "ioport", "0x3f8/1 out", 0);
	tap_is(exits_figure(g, "exit_reason", name, 0), 2 * PORTS,
	       "%d exits were counted", 2 * PORTS);
	tap_ok(heavy >= PORTS && heavy <= PORTS + 1,
	       "the port used all the time is first (%lld)", heavy);
	tap_is(exits_sum(g, "ioport", 0), 2 * PORTS,
	       "rows and others add up");
	tap_ok(rows(g, "ioport") <= 25, "the table is bounded (%d rows)",
	       rows(g, "ioport"));
}

/* The ranges that processors have MSRs in, as SVM's permission map has them. */
static void test_msrs(struct guest *g)
{
	static const uint32_t ranges[] = { 0, 0xc0000000, 0xc0010000 };
	const unsigned int msrs = 0x2000;
	long long exits;

	for (int i = 0; i < 3; i++)
		guest_do(g, RUN_ALL_MSRS, msrs,
			 (struct kvm_regs) { .rcx = ranges[i] });
	exits = exits_figure(g, "exit_reason", reason(g, "msr", "MSR_READ"), 0);
	tap_ok(exits > 3 * msrs / 2, "%lld MSR exits were counted", exits);
	tap_is(exits_sum(g, "msr", 0), exits, "rows and others add up");
	tap_ok(rows(g, "msr") <= 25, "the table is bounded");
}

static void test_mmio(struct guest *g)
{
	unsigned int seed = 1;
	long long pages = 0;

	for (int i = 0; i < 2000; i++) {
		unsigned int page = seed >> 16 & 0x1f;

		seed = seed * 1103515245 + 12345;
		pages++;
		guest_do(g, RUN_MMIO_WRITE, 1, (struct kvm_regs) {
				.rbx = (GUEST_MMIO >> 4) + page * 0x100 });
	}
	tap_is(exits_sum(g, "mmio", 0), pages, "MMIO rows and others add up");
	tap_ok(rows(g, "mmio") <= 25, "the table is bounded");
}

int main(void)
{
	struct guest g;

	guest_begin(&g);
	tap_plan(9);
	test_ports(&g);
	test_msrs(&g);
	test_mmio(&g);
	guest_destroy(&g);
	return tap_exit();
}
