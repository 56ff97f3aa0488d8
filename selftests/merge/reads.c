// SPDX-License-Identifier: GPL-2.0
/*
 * What read(2) copies while the page merges: its frame must not become another's
 * before the copy is done. Another file's pages come and go all the time, in whatever
 * frames have just become free.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define PAGES	64UL
#define CHURNED	256UL
#define SECONDS	4

static int fd;
static char *map;
static atomic_bool stop;
static atomic_ulong reads, wrong;
static pthread_rwlock_t lock;	/* for writing: what the pages hold changes */
static unsigned long rounds;

/* Two and two are equal, and new each time: no earlier merge keeps them waiting. */
static uint64_t value_of(unsigned long i)
{
	return 1 + rounds * PAGES + i / 2;
}

static void punch(int file, unsigned long pages)
{
	if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      pages * PAGE))
		tap_bail("fallocate: %s", strerror(errno));
}

static void *reader_thread(void *arg)
{
	unsigned int seed = 1;
	char page[PAGE];

	(void)arg;
	while (!stop) {
		unsigned long i = rand_r(&seed) % PAGES;

		pthread_rwlock_rdlock(&lock);
		wrong += pread(fd, page, PAGE, i * PAGE) != PAGE ||
			 !page_holds(page, value_of(i));
		pthread_rwlock_unlock(&lock);
		reads++;
	}
	return NULL;
}

static void *churn_thread(void *arg)
{
	int file = khxmem_file(NULL, CHURNED);
	char *own = khxmem_map(file, CHURNED);
	uint64_t value = 0;
	unsigned long i;

	(void)arg;
	while (!stop) {
		for (i = 0; i < CHURNED; i++)
			*(uint64_t *)(own + i * PAGE) = ++value;
		punch(file, CHURNED);
		usleep(1000);	/* the scanner is nice, and has work, too */
	}
	munmap(own, CHURNED * PAGE);
	close(file);
	return NULL;
}

static void write_and_merge(void)
{
	unsigned long i;

	pthread_rwlock_wrlock(&lock);
	rounds++;
	punch(fd, PAGES);
	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, value_of(i));
	pthread_rwlock_unlock(&lock);
	if (!figure_reaches("pages_sharing", PAGES / 2, 60))
		tap_bail("pages do not merge");
}

static void run_all(void)
{
	double end = seconds_now() + SECONDS;
	pthread_t reader, churn;

	write_and_merge();
	pthread_create(&reader, NULL, reader_thread, NULL);
	pthread_create(&churn, NULL, churn_thread, NULL);
	do
		write_and_merge();
	while (seconds_now() < end || rounds < 20);
	stop = true;
	pthread_join(reader, NULL);
	pthread_join(churn, NULL);
}

int main(void)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr,
				      PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(&lock, &attr);
	khxmem_mount(NULL, NULL);
	tap_plan(1);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	scan_fast();
	run_all();
	scan_stop();
	tap_is(wrong, 0, "what is read while pages merge is right (%lu reads, %lu times %lu merges)",
	       reads, rounds, PAGES);
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
	return tap_exit();
}
