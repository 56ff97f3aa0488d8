// SPDX-License-Identifier: GPL-2.0
/* Mount options: what is taken, what is refused, what is shown. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

static const char * const bad[] = {
	"size=", "size=x", "size=1Q", "size=-1", "size=99999999999999999999t",
	"domain=", "domain=a b", "domain=a/b", "huge=", "huge=sometimes",
	"mode=9", "mode=17777", "uid=x", "uid=4294967295", "gid=4294967295",
	"nomerge=1", "strict=yes", "colour=red", "size",
	"domain=0123456789012345678901234567890123456789012345678901234567890123",
};

static const char * const good[] = {
	NULL, "size=0", "size=4G", "size=1m", "domain=tenant-1",
	"domain=012345678901234567890123456789012345678901234567890123456789012",
	"nomerge", "strict", "huge=never", "huge=always", "mode=1777", "uid=12,gid=34",
	"size=1g,domain=a,strict,mode=700,uid=1,gid=1,huge=never",
};

/* The options the kernel shows for the mount at KHXMEM_DIR. */
static const char *shown(void)
{
	static char options[512];
	char dir[256], type[64], line[1024];
	FILE *mounts = fopen("/proc/self/mounts", "r");

	options[0] = '\0';
	while (mounts && fgets(line, sizeof(line), mounts)) {
		char found[512];

		if (sscanf(line, "%*s %255s %63s %511s", dir, type, found) == 3 &&
		    !strcmp(dir, KHXMEM_DIR))
			strcpy(options, found);
	}
	if (mounts)
		fclose(mounts);
	return options;
}

/* What the kernel says of "NAME=VALUE" or "NAME" has the name in it. */
static bool is_named(const char *option)
{
	char name[128], message[256] = "", *value;
	int fs = fsopen("khxmem", 0);
	ssize_t len;

	strcpy(name, option);
	value = strchr(name, '=');
	if (value)
		*value++ = '\0';
	fsconfig(fs, value ? FSCONFIG_SET_STRING : FSCONFIG_SET_FLAG, name,
		 value, 0);
	len = read(fs, message, sizeof(message) - 1);
	close(fs);
	return len > 0 && strstr(message, name);
}

static void check_refused(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		int ret = khxmem_try_mount(NULL, bad[i]);

		tap_ok(ret == -EINVAL && is_named(bad[i]),
		       "-o %s is refused, by name", bad[i]);
		if (!ret)
			khxmem_umount(NULL);
	}
}

/* Not by mount(2): what it refuses goes into the kernel's log as it is. */
static void check_ascii(void)
{
	int fs = fsopen("khxmem", 0);

	tap_ok(fsconfig(fs, FSCONFIG_SET_STRING, "domain", "caf\xe9", 0) &&
	       errno == EINVAL, "a domain's name is ASCII");
	close(fs);
}

static void check_taken(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(good) / sizeof(*good); i++) {
		int ret = khxmem_try_mount(NULL, good[i]);

		if (tap_is(ret, 0, "-o %s is taken", good[i] ? good[i] : ""))
			khxmem_umount(NULL);
	}
}

static void check_effect(void)
{
	struct statfs fs;
	struct stat st;

	khxmem_mount(NULL, "size=8m,domain=d1,mode=1750,uid=7,gid=8");
	statfs(KHXMEM_DIR, &fs);
	tap_is(fs.f_blocks * fs.f_bsize, 8 << 20, "statfs shows the size");
	stat(KHXMEM_DIR, &st);
	tap_ok(st.st_uid == 7 && st.st_gid == 8, "the root has its owner");
	tap_is(st.st_mode & 07777, 01750, "the root has its mode");
	tap_ok(strstr(shown(), "size=8192k") && strstr(shown(), "domain=d1"),
	       "the options are shown");
}

static int remount(const char *options)
{
	return mount("khxmem", KHXMEM_DIR, "khxmem", MS_REMOUNT, options) ?
		-errno : 0;
}

static void check_remount(void)
{
	struct statfs fs;

	tap_is(remount("size=16m,domain=d1"), 0, "the size can be changed");
	statfs(KHXMEM_DIR, &fs);
	tap_is(fs.f_blocks * fs.f_bsize, 16 << 20, "statfs shows the new size");
	tap_is(remount("domain=d2"), -EINVAL, "the domain cannot be changed");
	tap_is(remount("nomerge"), -EINVAL, "nomerge cannot be set later");
	tap_is(remount("strict"), -EINVAL, "strict cannot be set later");
	tap_is(remount("mode=0700"), -EINVAL, "the root's mode cannot be set later");
	tap_is(remount("uid=9"), -EINVAL, "nor its owner");
	tap_is(remount("huge=always"), -EINVAL, "huge=always cannot be set later");
	tap_is(remount("size=8m,mode=1750,uid=7,gid=8"), 0,
	       "what is in force may be repeated");
	khxmem_umount(NULL);
}

/* Root of a user namespace of its own has every capability there. */
static void check_privilege(void)
{
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setresuid(65534, 65534, 65534) ||
		    unshare(CLONE_NEWUSER | CLONE_NEWNS))
			_exit(2);
		_exit(khxmem_try_mount(NULL, NULL) != -EPERM);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		tap_skip("no user namespaces", "they may not mount it");
	else
		tap_ok(!status, "root of a user namespace may not mount it");
}

int main(void)
{
	khxmem_mount(NULL, NULL);
	khxmem_umount(NULL);
	tap_plan(sizeof(bad) / sizeof(*bad) + sizeof(good) / sizeof(*good) + 15);
	check_refused();
	check_ascii();
	check_taken();
	check_effect();
	check_remount();
	check_privilege();
	return tap_exit();
}
