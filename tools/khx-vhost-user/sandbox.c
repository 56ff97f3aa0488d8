// SPDX-License-Identifier: GPL-2.0
/*
 * What is left to this process once everything is open: talk to front ends,
 * map their memory, and ask things of the files it has.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cap-ng.h>
#include <seccomp.h>

#include <linux/khx_blk.h>

#include "log.h"
#include "sandbox.h"

static void become(const char *user)
{
	struct passwd *pw = getpwnam(user);

	if (!pw)
		die("no user %s", user);
	if (setgroups(0, NULL) || setgid(pw->pw_gid) || setuid(pw->pw_uid))
		die("cannot become %s: %s", user, strerror(errno));
}

void sandbox_drop_privileges(const char *user)
{
	if (user)
		become(user);
	capng_clear(CAPNG_SELECT_ALL);
	if (capng_apply(CAPNG_SELECT_CAPS))
		die("cannot drop capabilities");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("PR_SET_NO_NEW_PRIVS: %s", strerror(errno));
}

static const int allowed_calls[] = {
	/* Front ends. */
	SCMP_SYS(accept4), SCMP_SYS(recvmsg), SCMP_SYS(recvfrom),
	SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll),
	SCMP_SYS(close), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
	/* Memory. */
	SCMP_SYS(munmap), SCMP_SYS(brk), SCMP_SYS(madvise),
	/* In-flight areas. */
	SCMP_SYS(memfd_create), SCMP_SYS(ftruncate), SCMP_SYS(pread64),
	SCMP_SYS(pwrite64),
	/* Events, messages on stderr. */
	SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(writev),
	/* Threads and signals, and how to end. */
	SCMP_SYS(futex), SCMP_SYS(set_robust_list), SCMP_SYS(rseq),
	SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(restart_syscall), SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep), SCMP_SYS(clock_gettime),
	SCMP_SYS(gettid), SCMP_SYS(getpid),
	SCMP_SYS(tgkill), SCMP_SYS(exit), SCMP_SYS(exit_group),
};

static const unsigned int allowed_ioctls[] = {
	VHOST_GET_FEATURES, VHOST_SET_FEATURES, VHOST_SET_OWNER,
	VHOST_RESET_OWNER, VHOST_SET_MEM_TABLE, VHOST_SET_LOG_BASE,
	VHOST_SET_VRING_NUM, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_BASE,
	VHOST_GET_VRING_BASE, VHOST_SET_VRING_KICK, VHOST_SET_VRING_CALL,
	VHOST_SET_VRING_ERR, KHX_BLK_SET_BACKEND, KHX_BLK_GET_CONFIG,
	KHX_BLK_SET_WCE, KHX_BLK_SET_CONFIG_EVENT, KHX_BLK_RUN_VRING,
	KHX_BLK_SET_BASES,
};

static int allow(scmp_filter_ctx ctx)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < sizeof(allowed_calls) / sizeof(*allowed_calls); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, allowed_calls[i],
					0);
	for (i = 0; i < sizeof(allowed_ioctls) / sizeof(*allowed_ioctls); i++)
		ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl),
					1, SCMP_A1(SCMP_CMP_EQ,
						   allowed_ioctls[i]));
	/* Nothing is ever made executable. */
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	ret |= seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
				SCMP_A2(SCMP_CMP_MASKED_EQ, 4, 0));
	return ret;
}

void sandbox_filter_system_calls(void)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);

	/* All threads, those that wait for us too. */
	if (!ctx || seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1) ||
	    allow(ctx) || seccomp_load(ctx))
		die("cannot install a system call filter");
	seccomp_release(ctx);
}
