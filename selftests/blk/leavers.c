// SPDX-License-Identifier: GPL-2.0
/*
 * leavers PATH: who owned a disk ends, or calls execve(), and others still have the
 * device and the memory. They are served no more, as nobody would be charged; and who
 * ends is not kept from it by a thread that began while all others were told to end.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define ROUNDS		5
#define FLUSHES		60
#define READ_LEN	(1u << 20)

/* For all processes; its descriptors are of those that had them. */
static struct shared {
	struct disk disk;
	pid_t heir;
	volatile bool busy;	/* the heir is, and on the first CPU */
} *shared;
static struct disk *disk;
static const char *path;

static void own(void)
{
	disk_open(disk, path, &(struct disk_options){});
	/* Whoever comes by execve() has the device, too. */
	if (fcntl(disk->fd, F_SETFD, 0))
		tap_bail("fcntl");
}

static long blocks(void)
{
	struct stat st;

	if (fstat(disk->memfd, &st))
		tap_bail("fstat");
	return st.st_blocks;
}

/* Is a read into memory that is not there yet done? -1 if it cannot be asked for. */
static int reads(uint32_t at)
{
	struct disk_request req = {
		.type = VIRTIO_BLK_T_IN, .len = READ_LEN,
		.data = disk->memory + DISK_DATA + at,
	};
	int done;

	if (disk_submit(disk, 0, &req))
		return -1;
	disk_kick(disk, 0);
	done = disk_reap(disk, 0, at ? 1000 : 20000);
	return done && !*req.status;
}

/* Waits until its parent is no more, and is served then? Its exit status says so. */
static void heir(int gone)
{
	long before;
	char byte;

	if (read(gone, &byte, 1))
		_exit(100);
	before = blocks();
	/* Header, rings and the like may be new. */
	_exit(reads(READ_LEN) || blocks() - before > 64);
}

/*
 * An owner that ends, or lives on as another program, with an heir that has all it
 * had. Returns the heir's status.
 */
static int inherit(bool exec)
{
	int gone[2], status;
	pid_t owner, child;

	if (pipe2(gone, O_CLOEXEC))
		tap_bail("pipe");
	owner = fork();
	if (!owner) {
		own();
		if (reads(0) != 1)
			_exit(100);
		child = fork();
		if (!child) {
			close(gone[1]);
			heir(gone[0]);
		}
		shared->heir = child;
		if (exec)
			execl("/bin/true", "true", NULL);
		_exit(0);
	}
	close(gone[0]);
	/* Another program has closed its end when all threads are gone. */
	if (exec)
		close(gone[1]);
	if (waitpid(owner, &status, 0) != owner || status)
		tap_bail("the owner: %x", status);
	if (!exec)
		close(gone[1]);
	/* As a child's of a child that is gone: see main(). */
	if (waitpid(shared->heir, &status, 0) != shared->heir)
		tap_bail("no heir");
	return status;
}

/* This process's threads, from the second one on, as far as there is room for them. */
static unsigned int list_threads(pid_t *tids, unsigned int room)
{
	DIR *dir = opendir("/proc/self/task");
	unsigned int n = 0;
	struct dirent *entry;
	pid_t tid;

	while (dir && n < room && (entry = readdir(dir))) {
		tid = atoi(entry->d_name);
		if (tid && tid != getpid())
			tids[n++] = tid;
	}
	if (dir)
		closedir(dir);
	return n;
}

static void run_on(pid_t tid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(tid, sizeof(set), &set);
}

/*
 * Where workers are threads of ours: those that wait in the worker's place get next to
 * no CPU beside who else is on the first one, so that they have work left when
 * they are told to end.
 */
static void starve_threads(void)
{
	static const struct sched_param param;
	unsigned int i, n;
	pid_t tids[16];

	n = list_threads(tids, 16);
	if (n < 2)
		return;
	run_on(0, 1);
	run_on(tids[0], 1);
	for (i = 1; i < n; i++) {
		run_on(tids[i], 0);
		sched_setscheduler(tids[i], SCHED_IDLE, &param);
	}
}

static void spin(unsigned int ms)
{
	struct timespec begin, now;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - begin.tv_sec) * 1000 +
		 (now.tv_nsec - begin.tv_nsec) / 1000000 < ms);
}

/* Has all that its parent has; is on the first CPU for a while, and then waits. */
static pid_t have_heir(void)
{
	static const struct sched_param param = { .sched_priority = 1 };
	pid_t pid;

	shared->busy = false;
	pid = fork();
	if (pid) {
		while (!shared->busy)
			usleep(100);
		return pid;
	}
	run_on(0, 0);
	sched_setscheduler(0, SCHED_FIFO, &param);
	shared->busy = true;
	spin(400);
	for (;;)
		pause();
}

/* Ask for many flushes, and be back before they are done. */
static void flush_a_lot(void)
{
	static struct disk_request reqs[1 + FLUSHES];
	unsigned int i;

	for (i = 0; i <= FLUSHES; i++)
		reqs[i] = (struct disk_request){ .type = VIRTIO_BLK_T_FLUSH };
	/* The first one, for the threads to be there. */
	if (disk_do(disk, 0, &reqs[0]))
		tap_bail("no flush");
	starve_threads();
	shared->heir = have_heir();
	for (i = 1; i <= FLUSHES; i++)
		if (disk_submit(disk, 0, &reqs[i]))
			tap_bail("no room in the ring");
	disk_kick(disk, 0);
	usleep(5000);
}

static void end_heir(void)
{
	kill(shared->heir, SIGKILL);
	waitpid(shared->heir, NULL, 0);
}

/* Does one that ends come to its end, though another one has the device? */
static bool ends(void)
{
	unsigned int ms = 10000;
	pid_t pid = fork();
	bool ended = false;
	int status = 0;

	if (!pid) {
		own();
		flush_a_lot();
		_exit(0);
	}
	for (; ms && !ended; ms--) {
		ended = waitpid(pid, &status, WNOHANG) == pid;
		if (!ended)
			usleep(1000);
	}
	end_heir();
	if (!ended)
		waitpid(pid, &status, 0);
	/* Else it did not come so far. */
	if (status)
		tap_bail("the owner: %x", status);
	return ended;
}

int main(int argc, char **argv)
{
	unsigned int i, stuck = 0;

	if (argc != 2)
		tap_bail("usage: leavers PATH");
	path = argv[1];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	/* Heirs come back to us. */
	if (shared == MAP_FAILED || prctl(PR_SET_CHILD_SUBREAPER, 1))
		tap_bail("no memory");
	disk = &shared->disk;
	tap_plan(3);
	tap_is(inherit(false), 0, "who has ended has nobody served");
	tap_is(inherit(true), 0, "nor has who is another program now");
	for (i = 0; i < ROUNDS; i++)
		stuck += !ends();
	tap_is(stuck, 0, "of %u that end, how many do not", ROUNDS);
	return tap_exit();
}
