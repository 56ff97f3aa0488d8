// SPDX-License-Identifier: GPL-2.0
/*
 * Every table is exact: a guest exits a known number of times for each reason,
 * and the files say so.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define CR0_NW		0x20000000
#define CR0_CD		0x40000000
#define MSR_UCODE_REV	0x8b	/* read: supported; write: ignored */

/* Code and stack are mapped, then nothing but the test is in the tables. */
static void fresh(struct guest *g)
{
	guest_do(g, RUN_CPUID, 1, (struct kvm_regs) {});
	exits_reset();
}

static void reason_is(struct guest *g, const char *name, long long wanted)
{
	tap_is(exits_figure(g, "exit_reason", name, 0), wanted,
	       "%lld exits for %s", wanted, name);
}

static void test_cpuid(struct guest *g)
{
	const char *name = reason(g, "cpuid", "CPUID");
	long long total, min, avg, max;

	fresh(g);
	guest_do(g, RUN_CPUID, 5000, (struct kvm_regs) {});
	reason_is(g, name, 5000);
	reason_is(g, reason(g, "hlt", "HLT"), 1);
	total = exits_figure(g, "exit_reason", name, 1);
	min = exits_figure(g, "exit_reason", name, 2);
	avg = exits_figure(g, "exit_reason", name, 3);
	max = exits_figure(g, "exit_reason", name, 4);
	tap_ok(min > 0 && min <= avg && avg <= max && avg == total / 5000,
	       "min %lld <= avg %lld <= max %lld, total %lld fits", min, avg,
	       max, total);
}

static void test_reset(struct guest *g)
{
	exits_reset();
	tap_is(exits_sum(g, "exit_reason", 0), 0,
	       "a reset shows at once, without another exit");
	guest_do(g, RUN_CPUID, 3, (struct kvm_regs) {});
	reason_is(g, reason(g, "cpuid", "CPUID"), 3);
}

static void test_ports(struct guest *g)
{
	fresh(g);
	guest_do(g, RUN_OUTB, 700, (struct kvm_regs) { .rdx = 0x3f8 });
	guest_do(g, RUN_INL, 300, (struct kvm_regs) { .rdx = 0xcfc });
	reason_is(g, reason(g, "io", "IO_INSTRUCTION"), 1000);
	tap_is(exits_figure(g, "ioport", "0x3f8/1 out", 0), 700,
	       "700 bytes out to 0x3f8");
	tap_is(exits_figure(g, "ioport", "0xcfc/4 in", 0), 300,
	       "300 doublewords in from 0xcfc");
	tap_is(exits_figure(g, "ioport", "other any", 0), 0,
	       "no other port");
	tap_is(exits_sum(g, "ioport", 2),
	       exits_figure(g, "exit_reason",
			    reason(g, "io", "IO_INSTRUCTION"), 1),
	       "the ports' times add up to the reason's");
}

static void test_msrs(struct guest *g)
{
	fresh(g);
	guest_do(g, RUN_RDMSR, 200, (struct kvm_regs) { .rcx = MSR_UCODE_REV });
	guest_do(g, RUN_WRMSR, 50, (struct kvm_regs) { .rcx = MSR_UCODE_REV });
	if (g->intel) {
		reason_is(g, "MSR_READ", 200);
		reason_is(g, "MSR_WRITE", 50);
	} else {
		reason_is(g, "msr", 250);
		tap_skip("one reason on SVM", "writes told apart");
	}
	tap_is(exits_figure(g, "msr", "0x8b read", 0), 200, "200 reads of 0x8b");
	tap_is(exits_figure(g, "msr", "0x8b write", 0), 50,
	       "50 writes of 0x8b");
}

static void test_hypercalls(struct guest *g)
{
	fresh(g);
	guest_do(g, RUN_HYPERCALL, 60, (struct kvm_regs) {
			.rax = 4321, .rbp = g->intel });
	reason_is(g, reason(g, "hypercall", "VMCALL"), 60);
	tap_is(exits_figure(g, "hypercall", "4321 call", 0), 60,
	       "60 calls of 4321");
}

static void test_mmio(struct guest *g)
{
	const char *key_read = "0xd0000 read", *key_write = "0xd0000 write";
	struct kvm_regs regs = { .rbx = GUEST_MMIO >> 4 };

	fresh(g);
	guest_do(g, RUN_MMIO_READ, 40, regs);
	guest_do(g, RUN_MMIO_WRITE, 30, regs);
	tap_is(exits_figure(g, "mmio", key_read, 0), 40, "40 MMIO reads");
	tap_is(exits_figure(g, "mmio", key_write, 0), 30, "30 MMIO writes");
	/* The first finds nothing there, the rest what KVM noted of that. */
	tap_is(exits_figure(g, "ept_violation", "mmio", 0), 69,
	       "69 faults for MMIO");
	tap_is(exits_figure(g, "ept_violation", "not-present:read", 0), 1,
	       "1 before KVM knew it is MMIO");
}

static void test_hlt(struct guest *g)
{
	fresh(g);
	guest_do(g, RUN_HLT, 90, (struct kvm_regs) {});
	reason_is(g, reason(g, "hlt", "HLT"), 90);
}

/* As often as wanted, or once more for each time the host cut in. */
static void count_is(struct guest *g, const char *file, const char *key,
		     long long wanted, const char *what)
{
	long long got = exits_figure(g, file, key, 0);
	long long cut = exits_figure(g, "exit_reason",
				     reason(g, "interrupt",
					    "EXTERNAL_INTERRUPT"), 0);

	tap_ok(got >= wanted && got <= wanted + cut,
	       "%s: %lld times (%lld exits for the host's interrupts)", what,
	       got, cut);
}

/*
 * KVM looks at reads and writes of a CR0 that is not what it gives the processor
 * (SVM: no caching), and at writes that change bits of interest to it (VMX).
 */
static void test_registers(struct guest *g)
{
	fresh(g);
	guest_do(g, RUN_CR0, 25, (struct kvm_regs) {
			.rcx = g->intel ? CR0_CD | CR0_NW : 0 });
	if (g->intel)
		tap_skip("never intercepted on VMX", "reads of CR0");
	else
		tap_is(exits_figure(g, "register", "cr0 read", 0), 25,
		       "25 reads of CR0");
	tap_is(exits_figure(g, "register", "cr0 write", 0), 25,
	       "25 writes of CR0");
}

/* After each exit KVM wants to see the next access, which is then repeated. */
static void test_debug_registers(struct guest *g)
{
	fresh(g);
	guest_do(g, RUN_DR3, 15, (struct kvm_regs) {});
	count_is(g, "register", "dr3 read", 15, "DR3 is read");
	count_is(g, "register", "dr3 write", 15, "DR3 is written");
}

static void test_faults(struct guest *g)
{
	struct kvm_userspace_memory_region region = {
		.memory_size = GUEST_RAM,
		.userspace_addr = (uintptr_t)g->ram,
		.flags = KVM_MEM_LOG_DIRTY_PAGES,
	};
	struct kvm_regs regs = { .rbx = GUEST_PAGES >> 4 };
	struct kvm_regs exec = { .rbx = (GUEST_PAGES + 0x60000) >> 4 };

	for (int page = 0; page < 8; page++)	/* far return */
		g->ram[GUEST_PAGES + 0x60000 + page * 0x8000] = 0xcb;

	fresh(g);
	guest_do(g, RUN_READ_PAGES, 50, regs);
	tap_is(exits_figure(g, "ept_violation", "not-present:read", 0), 50,
	       "50 pages read for the first time");
	guest_do(g, RUN_WRITE_PAGES, 80, regs);
	tap_is(exits_figure(g, "ept_violation", "permission:write", 0), 50,
	       "50 pages written after they were read");
	/* Breaking COW of the zero page takes KVM's mapping away: once more. */
	tap_is(exits_figure(g, "ept_violation", "not-present:write", 0), 80,
	       "these once more, and 30 pages written for the first time");
	guest_do(g, RUN_EXEC_PAGES, 8, exec);
	tap_is(exits_figure(g, "ept_violation", "not-present:exec", 0), 8,
	       "8 pages executed for the first time");

	ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region);
	fresh(g);
	guest_do(g, RUN_WRITE_PAGES, 80, regs);
	tap_is(exits_figure(g, "ept_violation", "permission:write", 0), 80,
	       "80 pages written for the first time since dirty logging");
	region.flags = 0;
	ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region);
}

static void interrupt(struct guest *g, unsigned int times)
{
	struct kvm_interrupt irq = { .irq = 0x31 };

	guest_set_regs(g, RUN_INTERRUPTS, &(struct kvm_regs) { .rsi = times });
	guest_run(g, 1);
	for (unsigned int i = 0; i < times; i++) {
		ioctl(g->vcpu, KVM_INTERRUPT, &irq);
		guest_run(g, 1);
	}
}

/* What KVM has counted since it made the VM. */
static long long kvm_injections(struct guest *g)
{
	char path[256], line[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/kernel/debug/kvm/%s/irq_injections",
		 g->dir);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		tap_bail("%s: %s", path, strerror(errno));
	fclose(f);
	return atoll(line);
}

/*
 * What userspace injects counts as being injected again; and so it is if the
 * guest is left, or not even entered, before the delivery. KVM knows how often.
 */
static void injected(struct guest *g, long long before, long long wanted,
		     const char *what)
{
	long long injections = kvm_injections(g) - before;

	tap_ok(injections >= wanted &&
	       exits_figure(g, "interrupt", "49 reinject", 0) == injections,
	       "%s: %lld times, %lld by KVM's own count", what,
	       exits_figure(g, "interrupt", "49 reinject", 0), injections);
}

static void test_interrupts(struct guest *g)
{
	long long before;

	/* A delivery that faults, on the vector or the stack, is repeated. */
	interrupt(g, 1);
	fresh(g);
	before = kvm_injections(g);
	interrupt(g, 20);
	injected(g, before, 20, "vector 49 is injected");
}

/*
 * A thread runs two vCPUs in turn. What KVM injects before it enters the one is
 * not the other's, which that thread ran last.
 */
static void test_two_vcpus(struct guest *g)
{
	struct kvm_interrupt irq = { .irq = 0x31 };
	struct guest other;
	long long before;

	guest_create_vcpu(&other, g, 1);
	guest_do(&other, RUN_CPUID, 1, (struct kvm_regs) {});
	/* As above: a delivery that faults is repeated. */
	interrupt(g, 1);
	guest_set_regs(g, RUN_INTERRUPTS, &(struct kvm_regs) { .rsi = 10 });
	guest_run(g, 1);
	exits_reset();
	before = kvm_injections(g);
	for (int i = 0; i < 10; i++) {
		guest_do(&other, RUN_CPUID, 1, (struct kvm_regs) {});
		ioctl(g->vcpu, KVM_INTERRUPT, &irq);
		guest_run(g, 1);
	}
	injected(g, before, 10, "interrupts belong to the vCPU they are for");
	tap_is(exits_sum(&other, "interrupt", 0), 0,
	       "and not to the one that its thread ran before");
	guest_destroy_vcpu(&other);
}

static int run_ten(void *guest)
{
	guest_do(guest, RUN_OUTB, 10, (struct kvm_regs) { .rdx = 0x3f8 });
	return 0;
}

/*
 * Processes that share their memory may run the same vCPU: KVM does not mind, and
 * it has one record. The other one runs while this one waits.
 */
static void test_two_processes(struct guest *g)
{
	static unsigned char stack[65536] __attribute__((aligned(16)));
	int pid, status, failed = 0;

	fresh(g);
	for (int i = 0; i < 10; i++) {
		run_ten(g);
		pid = clone(run_ten, stack + sizeof(stack),
			    CLONE_VM | CLONE_FILES | CLONE_VFORK | SIGCHLD, g);
		if (waitpid(pid, &status, 0) != pid || status)
			failed++;
	}
	tap_is(failed, 0, "two processes run a vCPU in turn");
	tap_is(exits_figure(g, "ioport", "0x3f8/1 out", 0), 200,
	       "the exits of both are counted");
}

/*
 * Paging with tables nobody has touched: the processor's walk faults once for
 * the page directory and once for each of its eight tables. They are 32 KiB
 * apart, as KVM maps the neighbours of a page that faults.
 */
static void test_walk(void)
{
	struct guest g;

	guest_create(&g);
	fresh(&g);
	for (uint32_t i = 0; i < 8; i++) {
		uint32_t table = GUEST_PAGES + i * 0x8000;

		((uint32_t *)(g.ram + GUEST_TABLES))[i] = table | 3;
		*(uint32_t *)(g.ram + table) = GUEST_CODE | 3;
		*(uint32_t *)(g.ram + table + 4) = GUEST_CODE | 3;
	}
	guest_set_paging(&g, GUEST_TABLES, (struct kvm_sregs) {});
	guest_do_paged(&g, RUN_WALK,
		       (struct kvm_regs) { .rsi = 7, .rbx = 0x400000 });
	tap_is(exits_figure(&g, "ept_violation", "page-walk", 0), 9,
	       "9 faults of the page walk");
	guest_destroy(&g);
}

static void test_enable(struct guest *g)
{
	const char *name = reason(g, "cpuid", "CPUID");

	fresh(g);
	guest_do(g, RUN_CPUID, 10, (struct kvm_regs) {});
	exits_enable(false);
	guest_do(g, RUN_CPUID, 1000, (struct kvm_regs) {});
	tap_is(exits_figure(g, "exit_reason", name, 0), 10,
	       "nothing is counted while disabled");
	usleep(300000);
	exits_enable(true);
	guest_do(g, RUN_CPUID, 10, (struct kvm_regs) {});
	tap_is(exits_figure(g, "exit_reason", name, 0), 20,
	       "counting goes on when enabled again");
	tap_ok(exits_figure(g, "exit_reason", reason(g, "hlt", "HLT"), 4) <
	       300000000, "the time in between belongs to no exit");
}

static void test_all(struct guest *g)
{
	test_ports(g);
	test_msrs(g);
	test_hypercalls(g);
	test_mmio(g);
	test_hlt(g);
	test_registers(g);
	test_debug_registers(g);
	test_faults(g);
	test_interrupts(g);
	test_enable(g);
	test_two_vcpus(g);
	test_two_processes(g);
	test_walk();
}

/* `counts brief` is for tests that only want to know whether counting works. */
int main(int argc, char **argv)
{
	bool brief = argc > 1 && !strcmp(argv[1], "brief");
	struct guest g;

	guest_need();
	guest_create(&g);
	tap_plan(brief ? 5 : 39);
	test_cpuid(&g);
	test_reset(&g);
	if (!brief)
		test_all(&g);
	guest_destroy(&g);
	return tap_exit();
}
