// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/ptrace.h>

#include "hold.h"

#define HOLD_NS		300000000
#define ROUNDS		4000	/* as far as the verifier goes in a moment */
#define STACK		256	/* what a round does: it looks who has called */

#define INSN(c, d, s, o, i) \
	((struct bpf_insn){ .code = (c), .dst_reg = (d), .src_reg = (s), \
			    .off = (o), .imm = (i) })
#define MOV(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define SET(d, i)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define ADD(d, i)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define SUB(d, s)	INSN(BPF_ALU64 | BPF_SUB | BPF_X, d, s, 0, 0)
#define LOAD(d, s, o)	INSN(BPF_LDX | BPF_MEM | BPF_DW, d, s, o, 0)
#define COUNT(d, s, o)	INSN(BPF_STX | BPF_ATOMIC | BPF_DW, d, s, o, BPF_ADD)
#define JUMP(op, d, i, o) INSN(BPF_JMP | (op) | BPF_K, d, 0, o, i)
#define CALL(f)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

static int bpf(int command, union bpf_attr *attr)
{
	int ret = syscall(SYS_bpf, command, attr, sizeof(*attr));

	return ret < 0 ? -errno : ret;
}

static int make_map(struct hold *hold)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4,
		.value_size = 16, .max_entries = 1,
		.map_flags = BPF_F_MMAPABLE,
	};
	void *map;

	hold->map = bpf(BPF_MAP_CREATE, &attr);
	if (hold->map < 0)
		return hold->map;
	map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, hold->map, 0);
	if (map == MAP_FAILED)
		return -errno;
	hold->counts = map;
	return 0;
}

static int load_program(struct hold *hold, int value)
{
	const struct bpf_insn program[] = {
		MOV(6, 1),
		LOAD(2, 6, offsetof(struct pt_regs, rax)),
		JUMP(BPF_JNE, 2, value, 21),
		INSN(BPF_LD | BPF_DW | BPF_IMM, 7, BPF_PSEUDO_MAP_VALUE, 0,
		     hold->map),
		INSN(0, 0, 0, 0, 0),
		SET(1, 1),
		COUNT(7, 1, 0),
		CALL(BPF_FUNC_ktime_get_ns),
		MOV(8, 0),
		SET(9, 0),
		/* A round. */
		MOV(1, 6),
		MOV(2, 10),
		ADD(2, -STACK),
		SET(3, STACK),
		SET(4, 0),
		CALL(BPF_FUNC_get_stack),
		CALL(BPF_FUNC_ktime_get_ns),
		SUB(0, 8),
		JUMP(BPF_JGT, 0, HOLD_NS, 2),
		ADD(9, 1),
		JUMP(BPF_JLT, 9, ROUNDS, -11),
		SET(1, 1),
		COUNT(7, 1, 8),
		SET(0, 0),
		SET(0, 0),
		EXIT,
	};
	union bpf_attr attr = {
		.prog_type = BPF_PROG_TYPE_KPROBE,
		.insn_cnt = sizeof(program) / sizeof(*program),
		.insns = (uintptr_t)program,
		.license = (uintptr_t)"GPL",
	};

	hold->program = bpf(BPF_PROG_LOAD, &attr);
	return hold->program < 0 ? hold->program : 0;
}

static int attach(struct hold *hold, const char *function)
{
	struct perf_event_attr attr = {
		.size = sizeof(attr),
		.config = 1,	/* where it returns */
		.kprobe_func = (uintptr_t)function,
	};
	FILE *file = fopen("/sys/bus/event_source/devices/kprobe/type", "r");
	int ret;

	if (!file)
		return -ENOENT;
	ret = fscanf(file, "%u", &attr.type);
	fclose(file);
	if (ret != 1)
		return -EINVAL;
	/* Of any process, on all processors in spite of what it says. */
	hold->event = syscall(SYS_perf_event_open, &attr, -1, 0, -1,
			      PERF_FLAG_FD_CLOEXEC);
	if (hold->event < 0 ||
	    ioctl(hold->event, PERF_EVENT_IOC_SET_BPF, hold->program) ||
	    ioctl(hold->event, PERF_EVENT_IOC_ENABLE, 0))
		return -errno;
	return 0;
}

int hold_start(struct hold *hold, const char *function, int value)
{
	int ret;

	*hold = (struct hold){ -1, -1, -1, NULL };
	ret = make_map(hold);
	if (!ret)
		ret = load_program(hold, value);
	if (!ret)
		ret = attach(hold, function);
	if (ret)
		hold_stop(hold);
	return ret;
}

void hold_stop(struct hold *hold)
{
	if (hold->event >= 0)
		close(hold->event);
	if (hold->program >= 0)
		close(hold->program);
	if (hold->counts)
		munmap((void *)hold->counts, 4096);
	if (hold->map >= 0)
		close(hold->map);
}
