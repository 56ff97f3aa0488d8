/* SPDX-License-Identifier: GPL-2.0 */
/* What the tests of khx_merge share: mounts, files of known pages, figures. */
#ifndef KHXMEM_H
#define KHXMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		4096UL
#define WORDS		(PAGE / sizeof(uint64_t))
#define KHXMEM_DIR	"/tmp/khxmem-test"

/*
 * Mounts with @options (NULL for none) at KHXMEM_DIR, or at KHXMEM_DIR followed
 * by @suffix. The first one returns 0 or -errno, the second ends the test.
 */
int khxmem_try_mount(const char *suffix, const char *options);
void khxmem_mount(const char *suffix, const char *options);
void khxmem_umount(const char *suffix);
/* Where; valid until the next call. */
const char *khxmem_dir(const char *suffix);

/* A file of @pages pages, already unlinked; ends the test on failure. */
int khxmem_file(const char *suffix, unsigned long pages);
/* A shared mapping of it, for reading and writing. */
void *khxmem_map(int fd, unsigned long pages);

/* Fills the page with what depends on @value only; 0 fills it with zeros. */
void page_fill(void *page, uint64_t value);
bool page_holds(const void *page, uint64_t value);
/* How many of @pages do not hold what @value(index) says. */
unsigned long pages_wrong(const void *map, unsigned long pages,
			  uint64_t (*value)(unsigned long));

/* Where the page lies, which is read for that. */
uint64_t frame_of(const void *page);

/* A line of this process's smaps_rollup, "Rss" for one, in KiB; -1 without. */
long smaps_kib(const char *name);

/* On the monotonic clock. */
double seconds_now(void);

/* On processor @cpu only, or on any for -1; false if that cannot be. */
bool run_on(pid_t pid, int cpu);

/* The thread khx_merged. */
pid_t scanner_pid(void);

/* Files of /sys/kernel/khx_merge. */
long figure(const char *name);
int setting(const char *name, long value);
bool state_is(const char *wanted);
/* metadata_bytes, when the frames for copies have been given back. */
long metadata_at_rest(void);
/* Scans at full speed, or stops. */
void scan_fast(void);
void scan_stop(void);
/* Waits until @passes whole passes have begun and ended after now. */
void scan_passes(unsigned int passes);
/* Waits until the figure is at least, or at most, that; false after @seconds. */
#define MUST_CHECK __attribute__((warn_unused_result))
MUST_CHECK bool figure_reaches(const char *name, long value,
			       unsigned int seconds);
MUST_CHECK bool figure_falls(const char *name, long value,
			     unsigned int seconds);
/* Where nothing can be told without: ends the test if it does not. */
void figure_must_reach(const char *name, long value, unsigned int seconds);

/* A cgroup for memory, to be removed by rmdir(); false where there are none. */
#define GROUP		"/sys/fs/cgroup/khx-merge-test"
bool group_make(void);
/* This thread joins it. */
void group_join(void);

/*
 * A process in the cgroup: it has prepared something with @fd, and waits until it is
 * told to act. Its end takes the group's memory.high away, too.
 */
struct member {
	pid_t pid;
	int socket;
};

void member_start(struct member *member, int fd, void (*prepare)(int fd),
		  void (*act)(int fd));
void member_act(const struct member *member);
void member_end(const struct member *member);
int write_text(const char *path, const char *text);
long read_number(const char *path);

/* Runs @fn in a child; true if it ended with the signal. */
bool dies_of(int signal, void (*fn)(void *), void *arg);

#endif
