// SPDX-License-Identifier: GPL-2.0
/*
 * fail-nth PATH RUNS: the kernel lets one allocation, or one access to user memory,
 * fail, and another one in the next run: all that there are in a run where none
 * does, or RUNS of them, as far apart from each other as can be and from time to
 * time others. First those of the owner, from opening the device to closing it;
 * then those of the worker, in serving a request.
 *
 * Nothing of it may harm the host: the kernel's log and its scan for leaks say
 * whether it did. Whatever was refused or stopped, has to work the next time.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define NEVER	1000000	/* more than there are in a run */

enum { GOES_ON = 0, REFUSED = 1, NOTHING_FAILED = 2, STUCK = 3 };

static const char *path;
static unsigned int runs_max;

/* What a run has not counted down. */
static unsigned int *left;

static void write_number(const char *file, unsigned int n)
{
	int fd = open(file, O_WRONLY);

	if (fd < 0 || dprintf(fd, "%u", n) < 0)
		tap_bail("%s", file);
	close(fd);
}

/* What is left to be counted down, 0: it has come to pass. */
static unsigned int read_number(const char *file)
{
	char text[16] = "";
	int fd = open(file, O_RDONLY);

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		tap_bail("%s", file);
	close(fd);
	return atoi(text);
}

static void set_up(const char *kind, const char *setting, unsigned int value)
{
	char file[128];

	snprintf(file, sizeof(file), "/sys/kernel/debug/%s/%s", kind, setting);
	write_number(file, value);
}

/* Only what our tasks do is to fail, silently, whether it could wait or not. */
static void set_up_faults(void)
{
	static const char *const kinds[] = {
		"failslab", "fail_page_alloc", "fail_usercopy",
	};
	unsigned int i;

	for (i = 0; i < 3; i++)
		set_up(kinds[i], "verbose", 0);
	set_up("failslab", "ignore-gfp-wait", 0);
	set_up("fail_page_alloc", "ignore-gfp-wait", 0);
	set_up("fail_page_alloc", "min-order", 0);
}

static int do_flush(struct disk *disk)
{
	return disk_rw(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
}

static int run_owner(unsigned int n)
{
	struct disk_options options = {};
	const char *file = "/proc/thread-self/fail-nth";
	struct disk disk;

	write_number(file, n);
	disk_open(&disk, path, &options);
	if (do_flush(&disk))
		return STUCK;
	disk_halt(&disk);
	close(disk.fd);
	*left = read_number(file);
	return *left ? NOTHING_FAILED : GOES_ON;
}

/* The file with the count of the worker that serves us. */
static void find_worker(char *file, size_t size)
{
	char wanted[32], name[32];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	FILE *comm;

	snprintf(wanted, sizeof(wanted), "khx-%d\n", getpid());
	while ((entry = readdir(dir))) {
		snprintf(file, size, "/proc/%.16s/comm", entry->d_name);
		comm = fopen(file, "r");
		if (!comm)
			continue;
		*name = 0;
		if (fgets(name, sizeof(name), comm) && !strcmp(name, wanted)) {
			snprintf(file, size, "/proc/%.16s/fail-nth",
				 entry->d_name);
			fclose(comm);
			closedir(dir);
			return;
		}
		fclose(comm);
	}
	tap_bail("no worker");
}

/*
 * One request with an injected fault; then the ring anew. Where not even a status
 * could be written the queue has stopped for good, and said so.
 */
static int do_faulty(struct disk *disk, unsigned int n)
{
	struct disk_request req = { .type = VIRTIO_BLK_T_IN, .len = 32768 };
	char file[64];
	bool failed;

	find_worker(file, sizeof(file));
	req.data = disk->memory + DISK_DATA;
	if (disk_submit(disk, 0, &req))
		return STUCK;
	write_number(file, n);
	disk_kick(disk, 0);
	disk_reap(disk, 0, 300);
	*left = read_number(file);
	write_number(file, 0);
	if (*left)
		return *req.status ? STUCK : NOTHING_FAILED;

	disk_halt(disk);
	disk_run(disk);
	disk_kick(disk, 0);
	failed = disk_has_failed(disk, 0, 0);
	if (!req.done && !disk_reap(disk, 0, failed ? 300 : 20000) && !failed)
		return STUCK;
	return GOES_ON;
}

/* And another disk on another ring. */
static int run_worker(unsigned int n)
{
	struct disk_options options = {};
	struct disk disk;
	int ret;

	disk_open(&disk, path, &options);
	ret = do_faulty(&disk, n);
	disk_close(&disk);
	if (ret == STUCK)
		return ret;
	disk_open(&disk, path, &options);
	if (do_flush(&disk))
		return STUCK;
	disk_close(&disk);
	return ret;
}

static int run_child(int (*run)(unsigned int n), unsigned int n)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		/* What it has to say when it gives up is no result of ours. */
		if (!freopen("/dev/null", "w", stdout))
			_exit(STUCK);
		_exit(run(n));
	}
	if (waitpid(pid, &status, 0) != pid)
		tap_bail("waitpid");
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static unsigned int count_places(int (*run)(unsigned int n))
{
	if (run_child(run, NEVER) != NOTHING_FAILED)
		tap_bail("a run in which nothing fails does");
	return NEVER - *left;
}

static void run_all(const char *who, int (*run)(unsigned int n))
{
	unsigned int places = count_places(run), step = 1 + places / runs_max;
	unsigned int n, refused = 0, strange = 0, nothing = 0;
	int ret;

	for (n = 1 + rand() % step; n <= places; n += step) {
		ret = run_child(run, n);
		refused += ret == REFUSED;
		nothing += ret == NOTHING_FAILED;
		if (ret == STUCK || ret < 0) {
			tap_diag("%s, %u: %d", who, n, ret);
			strange++;
		}
	}
	tap_diag("%s: %u places, of which each %uth, %u refused, %u not met", who,
		 places, step, refused, nothing);
	tap_ok(places > 5 && nothing < places / step / 2,
	       "%s: all places that can fail", who);
	tap_is(strange, 0, "%s: fails or goes on, and nothing else", who);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		tap_bail("usage: fail-nth PATH RUNS");
	path = argv[1];
	runs_max = atoi(argv[2]);
	if (access("/proc/self/fail-nth", W_OK))
		tap_skip_all("this kernel injects no faults");
	left = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (left == MAP_FAILED)
		tap_bail("no memory");
	srand(time(NULL));
	set_up_faults();
	tap_plan(5);
	run_all("owner", run_owner);
	run_all("worker", run_worker);
	tap_is(run_owner(0), GOES_ON, "a disk works as ever");
	return tap_exit();
}
