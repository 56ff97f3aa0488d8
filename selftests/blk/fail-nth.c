// SPDX-License-Identifier: GPL-2.0
/*
 * fail-nth PATH: the kernel lets one allocation, or one access to user memory,
 * fail: the first one, in the next run the second, and so on, until a run has had
 * no more of them. First those of the owner, from opening the device to closing
 * it; then those of the worker, in serving a request.
 *
 * Nothing of it may harm the host: the kernel's log and its scan for leaks say
 * whether it did. Whatever was refused or stopped, has to work the next time.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "disk.h"
#include "tap.h"

#define RUNS_MAX	5000

enum { GOES_ON = 0, REFUSED = 1, NOTHING_FAILED = 2, STUCK = 3 };

static const char *path;

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
	return read_number(file) ? NOTHING_FAILED : GOES_ON;
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
	struct vhost_vring_file error = { 0, eventfd(0, EFD_NONBLOCK) };
	uint64_t errors = 0;
	unsigned int left;
	char file[64];

	if (ioctl(disk->fd, VHOST_SET_VRING_ERR, &error))
		return STUCK;
	find_worker(file, sizeof(file));
	req.data = disk->memory + DISK_DATA;
	if (disk_submit(disk, 0, &req))
		return STUCK;
	write_number(file, n);
	disk_kick(disk, 0);
	disk_reap(disk, 0, 300);
	left = read_number(file);
	write_number(file, 0);
	if (left)
		return *req.status ? STUCK : NOTHING_FAILED;

	disk_halt(disk);
	disk_run(disk);
	disk_kick(disk, 0);
	if (read(error.fd, &errors, sizeof(errors)) < 0)
		errors = 0;
	close(error.fd);
	if (!req.done && !disk_reap(disk, 0, errors ? 300 : 20000) && !errors)
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

static void run_all(const char *who, int (*run)(unsigned int n))
{
	unsigned int n, refused = 0, strange = 0;
	int ret;

	for (n = 1; n < RUNS_MAX; n++) {
		ret = run_child(run, n);
		if (ret == NOTHING_FAILED)
			break;
		refused += ret == REFUSED;
		if (ret != GOES_ON && ret != REFUSED) {
			tap_diag("%s, %u: %d", who, n, ret);
			strange++;
		}
	}
	tap_diag("%s: %u faults, %u of them refused", who, n - 1, refused);
	tap_ok(n > 10 && n < RUNS_MAX, "%s: all places that can fail", who);
	tap_is(strange, 0, "%s: fails or goes on, and nothing else", who);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		tap_bail("usage: fail-nth PATH");
	path = argv[1];
	if (access("/proc/self/fail-nth", W_OK))
		tap_skip_all("this kernel injects no faults");
	set_up_faults();
	tap_plan(5);
	run_all("owner", run_owner);
	run_all("worker", run_worker);
	tap_is(run_owner(0), GOES_ON, "a disk works as ever");
	return tap_exit();
}
