// SPDX-License-Identifier: GPL-2.0
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "guest.h"
#include "tap.h"

extern const unsigned char guest_code[], guest_code_end[];
extern const unsigned char guest_interrupt[], guest_undefined[], guest_fault[];
extern const uint16_t guest_routines[];

#define PAGE	4096

uint16_t guest_routine(enum routine routine)
{
	return GUEST_CODE + guest_routines[routine];
}

void guest_need(void)
{
	if (access("/dev/kvm", F_OK) &&
	    system("modprobe -q kvm_intel 2>&- || modprobe -q kvm_amd 2>&-"))
		tap_diag("no KVM module could be loaded");
	if (access("/dev/kvm", R_OK | W_OK))
		tap_skip_all("no /dev/kvm");
	if (access(EXITS_DIR, R_OK))
		tap_skip_all("khx_exits is not loaded");
}

static bool cpu_is_intel(void)
{
	unsigned int a, b, c, d;

	__cpuid(0, a, b, c, d);
	return b == signature_INTEL_ebx;
}

static void set_vector(struct guest *g, int vector, const unsigned char *code)
{
	uint16_t *entry = (uint16_t *)(g->ram + vector * 4);

	entry[0] = GUEST_CODE + (code - guest_code);
	entry[1] = 0;
}

static void add_memory(struct guest *g)
{
	struct kvm_userspace_memory_region region = { .slot = 0 };

	g->ram = mmap(NULL, GUEST_RAM, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (g->ram == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	/* One fault a page is what some tests count. */
	madvise(g->ram, GUEST_RAM, MADV_NOHUGEPAGE);
	memcpy(g->ram + GUEST_CODE, guest_code, guest_code_end - guest_code);
	for (int vector = 0; vector < 256; vector++)
		set_vector(g, vector, guest_interrupt);
	set_vector(g, 6, guest_undefined);
	set_vector(g, 13, guest_fault);
	region.memory_size = GUEST_RAM;
	region.userspace_addr = (uintptr_t)g->ram;
	if (ioctl(g->vm, KVM_SET_USER_MEMORY_REGION, &region))
		tap_bail("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
}

/* The host's CPU, so that SVM is there for the nested test. */
static void set_cpuid(struct guest *g)
{
	struct kvm_cpuid2 *cpuid = calloc(1, sizeof(*cpuid) +
					  256 * sizeof(cpuid->entries[0]));

	cpuid->nent = 256;
	if (ioctl(g->kvm, KVM_GET_SUPPORTED_CPUID, cpuid) ||
	    ioctl(g->vcpu, KVM_SET_CPUID2, cpuid))
		tap_bail("CPUID: %s", strerror(errno));
	free(cpuid);
}

static void add_vcpu(struct guest *g, int id)
{
	g->id = id;
	g->vcpu = ioctl(g->vm, KVM_CREATE_VCPU, id);
	g->run_size = ioctl(g->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	g->run = mmap(NULL, g->run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
		      g->vcpu, 0);
	if (g->vcpu < 0 || g->run == MAP_FAILED)
		tap_bail("KVM_CREATE_VCPU: %s", strerror(errno));
	set_cpuid(g);
}

static void create_vm(struct guest *g)
{
	memset(g, 0, sizeof(*g));
	g->intel = cpu_is_intel();
	g->kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (g->kvm < 0)
		tap_bail("/dev/kvm: %s", strerror(errno));
	g->vm = ioctl(g->kvm, KVM_CREATE_VM, 0);
	if (g->vm < 0)
		tap_bail("KVM_CREATE_VM: %s", strerror(errno));
	if (g->intel)
		ioctl(g->vm, KVM_SET_TSS_ADDR, 0xfffbd000);
	add_memory(g);
	snprintf(g->dir, sizeof(g->dir), "%d-%d", getpid(), g->vm);
}

void guest_create(struct guest *g)
{
	create_vm(g);
	add_vcpu(g, 0);
}

void guest_create_irqchip(struct guest *g)
{
	create_vm(g);
	if (ioctl(g->vm, KVM_CREATE_IRQCHIP, 0))
		tap_bail("KVM_CREATE_IRQCHIP: %s", strerror(errno));
	add_vcpu(g, 0);
}

void guest_create_vcpu(struct guest *more, const struct guest *g, int id)
{
	*more = *g;
	add_vcpu(more, id);
}

void guest_destroy_vcpu(struct guest *more)
{
	munmap(more->run, more->run_size);
	close(more->vcpu);
}

void guest_destroy(struct guest *g)
{
	guest_destroy_vcpu(g);
	close(g->vm);
	close(g->kvm);
	munmap(g->ram, GUEST_RAM);
}

void guest_set_regs(struct guest *g, enum routine routine,
		    const struct kvm_regs *more)
{
	struct kvm_regs regs = *more;
	struct kvm_sregs sregs;

	ioctl(g->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(g->vcpu, KVM_SET_SREGS, &sregs))
		tap_bail("KVM_SET_SREGS: %s", strerror(errno));
	regs.rip = guest_routine(routine);
	regs.rsp = GUEST_STACK;
	regs.rflags = 2;
	if (ioctl(g->vcpu, KVM_SET_REGS, &regs))
		tap_bail("KVM_SET_REGS: %s", strerror(errno));
}

void guest_run(struct guest *g, unsigned int hlts)
{
	while (hlts) {
		if (ioctl(g->vcpu, KVM_RUN, 0)) {
			if (errno == EINTR)
				continue;
			tap_bail("KVM_RUN: %s", strerror(errno));
		}
		switch (g->run->exit_reason) {
		case KVM_EXIT_HLT:
			hlts--;
			break;
		case KVM_EXIT_IO:
		case KVM_EXIT_MMIO:
		case KVM_EXIT_INTR:
			break;
		default:
			tap_bail("guest stopped: exit %u (internal %u)",
				 g->run->exit_reason,
				 g->run->internal.suberror);
		}
	}
}

void guest_do(struct guest *g, enum routine routine, unsigned int count,
	      struct kvm_regs more)
{
	more.rsi = count;
	guest_set_regs(g, routine, &more);
	guest_run(g, routine == RUN_HLT ? count : 1);
}

static struct kvm_segment flat(uint8_t type)
{
	return (struct kvm_segment) {
		.limit = 0xffffffff, .selector = 8, .type = type, .present = 1,
		.db = 1, .s = 1, .g = 1,
	};
}

bool guest_set_paging(struct guest *g, uint32_t directory,
		      struct kvm_sregs more)
{
	struct kvm_sregs sregs;

	ioctl(g->vcpu, KVM_GET_SREGS, &sregs);
	sregs.cs = flat(0xb);
	sregs.ds = flat(3);
	sregs.es = flat(3);
	sregs.ss = flat(3);
	sregs.cr0 |= 0x80000001 | more.cr0;
	sregs.cr3 = directory;
	sregs.cr4 |= more.cr4;
	sregs.efer |= more.efer;
	return !ioctl(g->vcpu, KVM_SET_SREGS, &sregs);
}

void guest_do_paged(struct guest *g, enum routine routine, struct kvm_regs regs)
{
	regs.rip = guest_routine(routine);
	regs.rsp = GUEST_STACK;
	regs.rflags = 2;
	ioctl(g->vcpu, KVM_SET_REGS, &regs);
	guest_run(g, 1);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		tap_bail("%s: %s", path, strerror(errno));
	close(fd);
}

void exits_reset(void)
{
	write_file(EXITS_DIR "/reset", "1");
}

void guest_begin(struct guest *g)
{
	guest_need();
	guest_create(g);
	guest_do(g, RUN_CPUID, 1, (struct kvm_regs) {});
	exits_reset();
}

void exits_enable(bool enable)
{
	write_file(EXITS_DIR "/enable", enable ? "1" : "0");
}

/* The directory appears a moment after the first exit. */
static FILE *open_figures(struct guest *g, const char *file)
{
	char path[256];
	FILE *f = NULL;

	snprintf(path, sizeof(path), EXITS_DIR "/%s/vcpu%d/%s", g->dir, g->id,
		 file);
	for (int i = 0; i < 6000 && !f; i++) {
		f = fopen(path, "re");
		if (!f)
			usleep(10000);
	}
	if (!f)
		tap_bail("%s: %s", path, strerror(errno));
	return f;
}

/* Column of the rest of a line, or 0. */
static long long parse_column(const char *text, int column)
{
	char *end = (char *)text;
	long long value = 0;

	while (column-- >= 0)
		value = strtoll(end, &end, 10);
	return value;
}

long long exits_figure(struct guest *g, const char *file, const char *key,
		       int column)
{
	FILE *f = open_figures(g, file);
	size_t length = strlen(key);
	long long value = 0;
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, length) || line[length] != ' ')
			continue;
		value = parse_column(line + length, column);
		break;
	}
	fclose(f);
	return value;
}

/* For files whose rows start with one word, or two in the top-N tables. */
long long exits_sum(struct guest *g, const char *file, int column)
{
	FILE *f = open_figures(g, file);
	int words = strcmp(file, "exit_reason") &&
		    strcmp(file, "ept_violation") ? 2 : 1;
	long long sum = 0;
	char line[256];

	while (fgets(line, sizeof(line), f)) {
		char *p = line;

		if (*line == '#')
			continue;
		for (int i = 0; i < words; i++) {
			p += strspn(p, " ");
			p += strcspn(p, " ");
		}
		sum += parse_column(p, column);
	}
	fclose(f);
	return sum;
}

const char *reason(struct guest *g, const char *svm, const char *vmx)
{
	return g->intel ? vmx : svm;
}
