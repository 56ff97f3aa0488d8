// SPDX-License-Identifier: GPL-2.0
/* khx-vhost-user: disks of khx_blk for every vhost-user-blk front end. */
#include <errno.h>
#include <getopt.h>
#include <linux/khx_version.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "disk.h"
#include "log.h"
#include "sandbox.h"
#include "session.h"

#define MAX_DISKS	64
#define FIRST_INHERITED	3	/* as systemd passes sockets */

static const char usage[] =
"Usage: khx-vhost-user [--socket PATH] --blk FILE|BLOCKDEV [OPTIONS] ...\n"
"Serve virtio-blk disks in the kernel, to vhost-user-blk front ends.\n"
"\n"
"For each disk, in any order; --blk or --socket again begins the next one:\n"
"  --blk PATH          file or block device with the contents\n"
"  --socket PATH       UNIX socket to listen on; without it, the next one of\n"
"                      those that systemd passed\n"
"  --readonly          refuse all writes\n"
"  --queues N          virtqueues, 1 to 64 (default: the processors, up to 16)\n"
"  --queue-size N      largest virtqueue, 2 to 32768 (default 1024)\n"
"  --serial STRING     serial number, up to 20 characters\n"
"  --direct on|off     bypass the page cache of a file (default off)\n"
"  --cache writeback|writethrough\n"
"                      how the disk begins; a guest may change it (default\n"
"                      writeback)\n"
"  --force             also if somebody else has the file open for writing\n"
"\n"
"For all of them:\n"
"  --user NAME         run as NAME once everything is open\n"
"  --help, --version\n";

static struct disk disks[MAX_DISKS];
static unsigned int ndisks;
static const char *user;

/* Held until the process is what it is meant to be. */
static pthread_mutex_t ready = PTHREAD_MUTEX_INITIALIZER;

static unsigned int parse_number(const char *option, const char *text,
				 unsigned int min, unsigned int max)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || end == text || *text == '-' || value < min ||
	    value > max)
		die("--%s: '%s' is not a number from %u to %u", option, text,
		    min, max);
	return value;
}

static bool parse_switch(const char *option, const char *text, const char *yes,
			 const char *no)
{
	if (strcmp(text, yes) && strcmp(text, no))
		die("--%s: '%s' is neither %s nor %s", option, text, yes, no);
	return !strcmp(text, yes);
}

static struct disk *next_disk(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct disk *disk = &disks[ndisks];

	if (ndisks++ == MAX_DISKS)
		die("more than %u disks", MAX_DISKS);
	disk->queues = cpus > 16 ? 16 : cpus > 0 ? cpus : 1;
	disk->queue_size = KHX_BLK_DEPTH;
	return disk;
}

/* The disk that an option is about. */
static struct disk *current_disk(int option)
{
	struct disk *disk = ndisks ? &disks[ndisks - 1] : next_disk();

	if ((option == 'b' && disk->path) ||
	    (option == 's' && disk->socket_path))
		return next_disk();
	return disk;
}

static void parse_disk_option(struct disk *disk, int option, const char *name)
{
	switch (option) {
	case 'b':
		disk->path = optarg;
		break;
	case 's':
		disk->socket_path = optarg;
		break;
	case 'r':
		disk->readonly = true;
		break;
	case 'f':
		disk->force = true;
		break;
	case 'q':
		disk->queues = parse_number(name, optarg, 1, KHX_BLK_QUEUES);
		break;
	case 'z':
		disk->queue_size = parse_number(name, optarg, 2, 32768);
		break;
	case 'n':
		if (strlen(optarg) > KHX_BLK_SERIAL)
			die("--serial: more than %u characters",
			    KHX_BLK_SERIAL);
		disk->serial = optarg;
		break;
	case 'd':
		disk->direct = parse_switch(name, optarg, "on", "off");
		break;
	case 'c':
		disk->always_writethrough = parse_switch(name, optarg, "writethrough",
						  "writeback");
		break;
	}
}

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "blk", required_argument, NULL, 'b' },
		{ "socket", required_argument, NULL, 's' },
		{ "readonly", no_argument, NULL, 'r' },
		{ "queues", required_argument, NULL, 'q' },
		{ "queue-size", required_argument, NULL, 'z' },
		{ "serial", required_argument, NULL, 'n' },
		{ "direct", required_argument, NULL, 'd' },
		{ "cache", required_argument, NULL, 'c' },
		{ "force", no_argument, NULL, 'f' },
		{ "user", required_argument, NULL, 'u' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ }
	};
	int c, which;

	while ((c = getopt_long(argc, argv, "", options, &which)) != -1) {
		if (c == 'h') {
			fputs(usage, stdout);
			exit(0);
		} else if (c == 'V') {
			puts("khx-vhost-user " KHX_VERSION);
			exit(0);
		} else if (c == 'u') {
			user = optarg;
		} else if (c == '?') {
			exit(2);
		} else {
			parse_disk_option(current_disk(c), c,
					  options[which].name);
		}
	}
	if (optind < argc)
		die("what is '%s'? (--help)", argv[optind]);
	if (!ndisks)
		die("no --blk (--help)");
}

/* How many sockets systemd passed, as sd_listen_fds() would find them. */
static unsigned int inherited_sockets(void)
{
	const char *pid = getenv("LISTEN_PID"), *n = getenv("LISTEN_FDS");

	if (!pid || !n || atol(pid) != getpid())
		return 0;
	return parse_number("LISTEN_FDS", n, 0, MAX_DISKS);
}

static void open_disks(void)
{
	unsigned int i, used = 0, inherited = inherited_sockets();

	for (i = 0; i < ndisks; i++) {
		struct disk *disk = &disks[i];

		if (!disk->path)
			die("%s: which --blk?", disk->socket_path ?: "a disk");
		if (!disk->socket_path && used == inherited)
			die("%s: no --socket, and none from systemd",
			    disk->path);
		disk_open(disk);
		disk_listen(disk, FIRST_INHERITED + used);
		if (!disk->socket_path)
			used++;
	}
}

/* What other processes have used up is no reason to end all disks. */
static void accept_failed(void)
{
	switch (errno) {
	case EINTR:
	case ECONNABORTED:
		break;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		log_error("accept: %s, trying again", strerror(errno));
		sleep(1);
		break;
	default:
		die("accept: %s", strerror(errno));
	}
}

static void *disk_thread(void *arg)
{
	struct disk *disk = arg;
	int socket;

	log_name = disk->path;
	pthread_mutex_lock(&ready);
	pthread_mutex_unlock(&ready);
	for (;;) {
		socket = accept4(disk->listener, NULL, NULL, SOCK_CLOEXEC);
		if (socket >= 0)
			session_run(disk, socket);
		else
			accept_failed();
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	unsigned int i;
	int ret;

	parse_options(argc, argv);
	signal(SIGPIPE, SIG_IGN);
	open_disks();
	sandbox_drop_privileges(user);

	pthread_mutex_lock(&ready);
	for (i = 1; i < ndisks; i++) {
		ret = pthread_create(&thread, NULL, disk_thread, &disks[i]);
		if (ret)
			die("thread: %s", strerror(ret));
	}
	sandbox_filter_system_calls();
	pthread_mutex_unlock(&ready);
	disk_thread(&disks[0]);
}
