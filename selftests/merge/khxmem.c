// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define SYSFS "/sys/kernel/khx_merge/"
#define CGROUP "/sys/fs/cgroup"

const char *khxmem_dir(const char *suffix)
{
	static char dir[256];

	snprintf(dir, sizeof(dir), "%s%s", KHXMEM_DIR, suffix ? suffix : "");
	return dir;
}

int khxmem_try_mount(const char *suffix, const char *options)
{
	const char *dir = khxmem_dir(suffix);

	mkdir(dir, 0755);
	return mount("khxmem", dir, "khxmem", 0, options) ? -errno : 0;
}

void khxmem_mount(const char *suffix, const char *options)
{
	int ret;

	if (access(SYSFS, F_OK))
		tap_skip_all("khx_merge is not loaded");
	ret = khxmem_try_mount(suffix, options);
	if (ret)
		tap_bail("mount -o %s: %s", options ? options : "",
			 strerror(-ret));
}

void khxmem_umount(const char *suffix)
{
	if (umount(khxmem_dir(suffix)))
		tap_bail("umount: %s", strerror(errno));
}

int khxmem_file(const char *suffix, unsigned long pages)
{
	int fd = open(khxmem_dir(suffix), O_TMPFILE | O_RDWR, 0600);

	if (fd < 0 || ftruncate(fd, pages * PAGE))
		tap_bail("new file: %s", strerror(errno));
	return fd;
}

void *khxmem_map(int fd, unsigned long pages)
{
	void *map = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd, 0);

	if (map == MAP_FAILED)
		tap_bail("mmap: %s", strerror(errno));
	return map;
}

void page_fill(void *page, uint64_t value)
{
	volatile uint64_t *word = page;
	size_t i;

	for (i = 0; i < WORDS; i++)
		word[i] = value ? value * 0x9e3779b97f4a7c15ULL + i : 0;
}

bool page_holds(const void *page, uint64_t value)
{
	const volatile uint64_t *word = page;
	size_t i;

	for (i = 0; i < WORDS; i++)
		if (word[i] != (value ? value * 0x9e3779b97f4a7c15ULL + i : 0))
			return false;
	return true;
}

unsigned long pages_wrong(const void *map, unsigned long pages,
			  uint64_t (*value)(unsigned long))
{
	unsigned long i, wrong = 0;

	for (i = 0; i < pages; i++)
		wrong += !page_holds((const char *)map + i * PAGE, value(i));
	return wrong;
}

uint64_t frame_of(const void *page)
{
	int pagemap = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0;

	*(volatile const char *)page;
	pread(pagemap, &entry, sizeof(entry), (unsigned long)page / PAGE * 8);
	close(pagemap);
	return entry & ((1ULL << 55) - 1);
}

long smaps_kib(const char *name)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	size_t length = strlen(name);
	char line[256];
	long kib = -1;

	while (file && kib < 0 && fgets(line, sizeof(line), file))
		if (!strncmp(line, name, length) && line[length] == ':')
			kib = strtol(line + length + 1, NULL, 10);
	if (file)
		fclose(file);
	return kib;
}

bool run_on(pid_t pid, int cpu)
{
	cpu_set_t set;
	int i;

	CPU_ZERO(&set);
	for (i = 0; i < CPU_SETSIZE; i++)
		if (cpu < 0 || i == cpu)
			CPU_SET(i, &set);
	return !sched_setaffinity(pid, sizeof(set), &set);
}

pid_t scanner_pid(void)
{
	FILE *pgrep = popen("pgrep -x khx_merged", "r");
	int pid = -1;

	if (!pgrep || fscanf(pgrep, "%d", &pid) != 1)
		tap_bail("no scanner");
	pclose(pgrep);
	return pid;
}

long figure(const char *name)
{
	char path[128];
	long value = -1;
	FILE *file;

	snprintf(path, sizeof(path), SYSFS "%s", name);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%ld", &value) != 1)
		tap_bail("%s: cannot be read", path);
	fclose(file);
	return value;
}

int setting(const char *name, long value)
{
	char path[128], text[32];
	int fd, len, ret = 0;

	snprintf(path, sizeof(path), SYSFS "%s", name);
	len = snprintf(text, sizeof(text), "%ld", value);
	fd = open(path, O_WRONLY);
	if (fd < 0)
		tap_bail("%s: %s", path, strerror(errno));
	if (write(fd, text, len) != len)
		ret = -errno;
	close(fd);
	return ret;
}

bool state_is(const char *wanted)
{
	char state[32] = "";
	FILE *file = fopen(SYSFS "state", "r");

	if (file) {
		fscanf(file, "%31s", state);
		fclose(file);
	}
	return !strcmp(state, wanted);
}

double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec + now.tv_nsec / 1e9;
}

void scan_fast(void)
{
	setting("pages_to_scan", 100000);
	setting("sleep_millisecs", 0);
	setting("cpu_limit", 100);
	setting("profit_guard", 0);
	setting("run", 1);
}

void scan_stop(void)
{
	setting("run", 0);
}

static void nap(void)
{
	struct timespec ms = { .tv_nsec = 2000000 };

	nanosleep(&ms, NULL);
}

void scan_passes(unsigned int passes)
{
	long until = figure("full_scans") + passes + 1;

	if (!figure_reaches("full_scans", until, 60))
		tap_bail("the scanner does not scan");
}

/* A loaded machine is no failure: what takes its time gets it. */
#define PATIENCE 4

static bool figure_comes(const char *name, long value, unsigned int seconds,
			 bool up)
{
	time_t end = time(NULL) + seconds * PATIENCE;
	long now;

	for (;;) {
		now = figure(name);
		if (up ? now >= value : now <= value)
			return true;
		if (time(NULL) > end)
			break;
		nap();
	}
	tap_diag("%s is %ld, not %ld, after %u s", name, now, value,
		 seconds * PATIENCE);
	return false;
}

bool figure_reaches(const char *name, long value, unsigned int seconds)
{
	return figure_comes(name, value, seconds, true);
}

bool figure_falls(const char *name, long value, unsigned int seconds)
{
	return figure_comes(name, value, seconds, false);
}

void figure_must_reach(const char *name, long value, unsigned int seconds)
{
	if (!figure_reaches(name, value, seconds))
		tap_bail("%s does not reach %ld", name, value);
}

/* 64 frames of each of two nodes, and what else there always is. */
#define METADATA_AT_REST	(160 * PAGE)

long metadata_at_rest(void)
{
	if (!figure_falls("metadata_bytes", METADATA_AT_REST, 20))
		tap_bail("the scanner keeps its frames");
	return figure("metadata_bytes");
}

int write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text)) < 0 ? -1 : 0;
	close(fd);
	return ret;
}

long read_number(const char *path)
{
	FILE *file = fopen(path, "r");
	long value = -1;

	if (!file || fscanf(file, "%ld", &value) != 1)
		value = -1;
	if (file)
		fclose(file);
	return value;
}

bool group_make(void)
{
	if (access(CGROUP "/cgroup.controllers", F_OK) &&
	    mount("cgroup2", CGROUP, "cgroup2", 0, NULL))
		return false;
	write_text(CGROUP "/cgroup.subtree_control", "+memory");
	write_text(CGROUP "/cgroup.subtree_control", "+cpu");
	mkdir(GROUP, 0755);
	return !access(GROUP "/memory.max", W_OK);
}

void group_join(void)
{
	if (write_text(GROUP "/cgroup.procs", "0"))
		_exit(3);
}

void member_start(struct member *member, int fd, void (*prepare)(int fd),
		  void (*act)(int fd))
{
	int pair[2];
	char byte = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		tap_bail("socketpair: %s", strerror(errno));
	member->socket = pair[0];
	member->pid = fork();
	if (member->pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!member->pid) {
		close(pair[0]);
		group_join();
		prepare(fd);
		if (write(pair[1], &byte, 1) == 1 && read(pair[1], &byte, 1) == 1)
			act(fd);
		_exit(0);
	}
	close(pair[1]);
	if (read(pair[0], &byte, 1) != 1)
		tap_bail("the group has no member");
}

void member_act(const struct member *member)
{
	if (write(member->socket, "", 1) != 1)
		tap_bail("write: %s", strerror(errno));
}

void member_end(const struct member *member)
{
	write_text(GROUP "/memory.high", "max");
	kill(member->pid, SIGKILL);
	waitpid(member->pid, NULL, 0);
	close(member->socket);
}

bool dies_of(int signal, void (*fn)(void *), void *arg)
{
	struct rlimit no_core = { 0, 0 };
	int status;
	pid_t pid = fork();

	if (pid < 0)
		tap_bail("fork: %s", strerror(errno));
	if (!pid) {
		setrlimit(RLIMIT_CORE, &no_core);
		fn(arg);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) && WTERMSIG(status) == signal;
}
