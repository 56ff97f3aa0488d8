// SPDX-License-Identifier: GPL-2.0
/*
 * insns.so: a plugin of QEMU's TCG that counts the instructions of a test host
 * by function, all of them, also where interrupts are off and no sample can be
 * taken; and it adds none.
 *
 *	-plugin insns.so,mark=ADDRESS,count=N,symbols=FILE,out=PREFIX
 *
 * Counting begins and ends each time the instruction at ADDRESS is run: the
 * first time, the third and so on it begins, the others it ends. What was counted
 * the K-th time goes to PREFIX.K: instructions and calls for one of N operations,
 * for each function of FILE, which is a /proc/kallsyms (of a kernel without
 * KASLR) and is read when QEMU ends. What is in no kernel is "user".
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS		32
#define BUCKETS		(1u << 18)
#define KERNEL		(1ull << 63)

#include "plugin.h"

int qemu_plugin_version = 4;

/* A run of instructions that is translated, and entered, as a whole. */
struct block {
	struct block *next;
	uint64_t address;
	unsigned int insns;
	uint64_t runs[WINDOWS];
};

struct function {
	uint64_t address;
	char name[64];
	double insns;
	double calls;
};

static struct block *blocks[BUCKETS];
static struct function *functions;
static size_t nfunctions;

static uint64_t mark;
static double count = 1;
static char *symbols, *out;
static unsigned int marks;	/* odd: counting */

static void on_run(unsigned int cpu, void *data)
{
	struct block *block = data;

	(void)cpu;
	if (block->address == mark)
		marks++;
	if (marks % 2 && marks / 2 < WINDOWS)
		block->runs[marks / 2]++;
}

static struct block *get_block(uint64_t address, unsigned int insns)
{
	unsigned int bucket = (address * 0x9e3779b97f4a7c15ull + insns) >> 46;
	struct block *block;

	for (block = blocks[bucket]; block; block = block->next)
		if (block->address == address && block->insns == insns)
			return block;
	block = calloc(1, sizeof(*block));
	block->address = address;
	block->insns = insns;
	block->next = blocks[bucket];
	blocks[bucket] = block;
	return block;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_run, 0,
			get_block(qemu_plugin_tb_vaddr(tb),
				  qemu_plugin_tb_n_insns(tb)));
}

static void add_function(uint64_t address, const char *name, const char *module)
{
	struct function *f = realloc(functions, (nfunctions + 1) * sizeof(*f));

	if (!f)
		abort();
	functions = f;
	f += nfunctions++;
	memset(f, 0, sizeof(*f));
	f->address = address;
	snprintf(f->name, sizeof(f->name), "%s %s", name, module);
}

static int by_address(const void *a, const void *b)
{
	const struct function *fa = a, *fb = b;

	return fa->address < fb->address ? -1 : fa->address > fb->address;
}

static int by_insns(const void *a, const void *b)
{
	const struct function *fa = a, *fb = b;

	return fa->insns > fb->insns ? -1 : fa->insns < fb->insns;
}

static bool read_symbols(void)
{
	char line[512], name[256], module[64], type;
	FILE *file = fopen(symbols, "r");
	unsigned long long address;
	int n;

	if (!file)
		return false;
	add_function(0, "user", "");
	while (fgets(line, sizeof(line), file)) {
		n = sscanf(line, "%llx %c %255s %63s", &address, &type, name,
			   module);
		if (n >= 3 && strchr("tTwW", type))
			add_function(address, name, n > 3 ? module : "");
	}
	fclose(file);
	qsort(functions, nfunctions, sizeof(*functions), by_address);
	return true;
}

static struct function *find_function(uint64_t address)
{
	size_t low = 0, high = nfunctions;

	if (address < KERNEL)
		return &functions[0];
	while (high - low > 1) {
		size_t middle = (low + high) / 2;

		if (functions[middle].address <= address)
			low = middle;
		else
			high = middle;
	}
	return &functions[low];
}

static void add_up(unsigned int window)
{
	struct function *f;
	struct block *block;
	unsigned int i;

	for (i = 0; i < nfunctions; i++)
		functions[i].insns = functions[i].calls = 0;
	for (i = 0; i < BUCKETS; i++) {
		for (block = blocks[i]; block; block = block->next) {
			f = find_function(block->address);
			f->insns += block->insns * block->runs[window] / count;
			if (block->address == f->address)
				f->calls += block->runs[window] / count;
		}
	}
}

static void print(unsigned int window)
{
	struct function *sorted = malloc(nfunctions * sizeof(*sorted));
	char path[4096];
	FILE *file;
	size_t i;

	add_up(window);
	memcpy(sorted, functions, nfunctions * sizeof(*sorted));
	qsort(sorted, nfunctions, sizeof(*sorted), by_insns);
	snprintf(path, sizeof(path), "%s.%u", out, window + 1);
	file = fopen(path, "w");
	for (i = 0; file && i < nfunctions && sorted[i].insns >= 0.05; i++)
		fprintf(file, "%8.1f %6.2f  %s\n", sorted[i].insns,
			sorted[i].calls, sorted[i].name);
	if (file)
		fclose(file);
	free(sorted);
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
	unsigned int i;

	(void)id;
	(void)data;
	if (!read_symbols())
		return;
	for (i = 0; i < marks / 2 && i < WINDOWS; i++)
		print(i);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_plugin_info *info,
			int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (!strncmp(argv[i], "mark=", 5))
			mark = strtoull(argv[i] + 5, NULL, 0);
		else if (!strncmp(argv[i], "count=", 6))
			count = atof(argv[i] + 6);
		else if (!strncmp(argv[i], "symbols=", 8))
			symbols = strdup(argv[i] + 8);
		else if (!strncmp(argv[i], "out=", 4))
			out = strdup(argv[i] + 4);
	}
	if (!mark || !symbols || !out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
