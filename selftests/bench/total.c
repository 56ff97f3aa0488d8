// SPDX-License-Identifier: GPL-2.0
/*
 * total.so: a plugin of QEMU's TCG that counts the instructions of a test host with
 * one processor while it runs: FILE has their number so far, 8 bytes in this
 * machine's order, and can be read at any time.
 *
 *	-plugin total.so,out=FILE
 *
 * What is done by so many instructions does not vary with what else this machine
 * does, as time does. Where QEMU could make of their number the clock (-icount),
 * that is better still; but there it does not run two Linux guests: an interrupt
 * that comes too early (see stopped() in ../vm/run) ends them all.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plugin.h"

int qemu_plugin_version = 4;

static volatile uint64_t *total;

static void on_run(unsigned int cpu, void *insns)
{
	(void)cpu;
	*total += (uintptr_t)insns;
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	(void)id;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_run, 0,
			(void *)(uintptr_t)qemu_plugin_tb_n_insns(tb));
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_plugin_info *info,
			int argc, char **argv)
{
	int fd;

	(void)info;
	if (argc != 1 || strncmp(argv[0], "out=", 4)) {
		fprintf(stderr, "total.so: needs out=FILE\n");
		return -1;
	}
	fd = open(argv[0] + 4, O_RDWR | O_CREAT | O_TRUNC, 0644);
	if (fd < 0 || ftruncate(fd, sizeof(*total))) {
		perror(argv[0] + 4);
		return -1;
	}
	total = mmap(NULL, sizeof(*total), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (total == MAP_FAILED) {
		perror("mmap");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	return 0;
}
