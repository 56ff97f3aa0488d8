// SPDX-License-Identifier: GPL-2.0
/*
 * Halts and interrupts that KVM itself serves, which it does if it has the
 * interrupt controllers: the guest halts a known number of times, and each time
 * its thread is asleep before an interrupt wakes it.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

#define HALTS		100
#define VECTORS		0x30	/* of the interrupt controller */
#define LINE		1

/* What the one who wakes the vCPU's thread knows of it. */
struct sleeper {
	struct guest *guest;
	pid_t tid;
	unsigned int halts;	/* to be woken from */
	atomic_uint told;	/* a halt comes next */
};

static void set_vectors(struct guest *g)
{
	struct kvm_irqchip chip = {
		.chip_id = KVM_IRQCHIP_PIC_MASTER,
		.chip.pic = { .irq_base = VECTORS, .auto_eoi = 1 },
	};

	if (ioctl(g->vm, KVM_SET_IRQCHIP, &chip))
		tap_bail("KVM_SET_IRQCHIP: %s", strerror(errno));
}

static void set_line(struct guest *g, int level)
{
	struct kvm_irq_level line = { .irq = LINE, .level = level };

	if (ioctl(g->vm, KVM_IRQ_LINE, &line))
		tap_bail("KVM_IRQ_LINE: %s", strerror(errno));
}

/* Its state is the word behind the name, which is in parentheses. */
static bool is_asleep(pid_t tid)
{
	char path[64], line[256] = "";
	const char *state;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "re");
	if (!f || !fgets(line, sizeof(line), f))
		tap_bail("%s: %s", path, strerror(errno));
	fclose(f);
	state = strrchr(line, ')');
	return state && state[2] == 'S';
}

static void *wake(void *arg)
{
	struct sleeper *s = arg;

	for (unsigned int i = 1; i <= s->halts; i++) {
		while (atomic_load(&s->told) < i || !is_asleep(s->tid))
			usleep(100);
		set_line(s->guest, 1);
		set_line(s->guest, 0);
	}
	return NULL;
}

/* Until the guest's next OUT. */
static void run_to_port(struct guest *g)
{
	while (ioctl(g->vcpu, KVM_RUN, 0))
		if (errno != EINTR)
			tap_bail("KVM_RUN: %s", strerror(errno));
	if (g->run->exit_reason != KVM_EXIT_IO)
		tap_bail("guest stopped: exit %u", g->run->exit_reason);
}

/* The guest says before each halt, and in the end, how far it is. */
static void halt(struct guest *g, unsigned int halts)
{
	struct sleeper s = {
		.guest = g, .tid = syscall(SYS_gettid), .halts = halts,
	};
	pthread_t waker;

	guest_set_regs(g, RUN_HALTS, &(struct kvm_regs) { .rsi = halts });
	pthread_create(&waker, NULL, wake, &s);
	for (unsigned int i = 0; i <= halts; i++) {
		run_to_port(g);
		atomic_store(&s.told, i + 1);
	}
	pthread_join(waker, NULL);
}

int main(void)
{
	struct guest g;

	guest_need();
	guest_create_irqchip(&g);
	set_vectors(&g);
	tap_plan(6);
	/* A delivery that faults, on the vector or the stack, is repeated. */
	halt(&g, 1);
	exits_reset();
	halt(&g, HALTS);
	tap_is(exits_figure(&g, "exit_reason", reason(&g, "hlt", "HLT"), 0),
	       HALTS, "%d halts", HALTS);
	tap_is(exits_figure(&g, "halt", "blocked", 0), HALTS,
	       "in all of them the thread slept");
	tap_is(exits_figure(&g, "halt", "polled", 0), 0, "in none it polled");
	tap_is(exits_figure(&g, "halt", "invalid", 0), 0,
	       "all were woken for a reason");
	tap_is(exits_figure(&g, "interrupt", "49 inject", 0), HALTS,
	       "%d interrupts injected", HALTS);
	tap_ok(exits_figure(&g, "halt", "blocked", 1) <=
	       exits_figure(&g, "exit_reason", reason(&g, "hlt", "HLT"), 1),
	       "sleep is part of the time of the halts");
	guest_destroy(&g);
	return tap_exit();
}
