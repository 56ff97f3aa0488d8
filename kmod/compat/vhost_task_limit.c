// SPDX-License-Identifier: GPL-2.0
/*
 * How many kernel threads may stand in for threads of one user. The kernel
 * counts them as nobody's, so that no limit of the user's would keep him from
 * filling up the host with them. Here they are counted, against his
 * RLIMIT_NPROC but apart from his processes. Root's are not bounded, as with
 * fork().
 */
#include <linux/errno.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

#include "compat/vhost_task_limit.h"

/* Numbers of threads, by user; no entry is zero. */
static DEFINE_XARRAY(khx_vhost_task_users);

/* Guards them: they are read and changed in one step. */
static DEFINE_MUTEX(khx_vhost_task_users_mutex);

static unsigned long khx_vhost_task_count(kuid_t uid)
{
	lockdep_assert_held(&khx_vhost_task_users_mutex);
	return xa_to_value(xa_load(&khx_vhost_task_users, __kuid_val(uid)));
}

/**
 * khx_vhost_task_charge - one more thread
 * @uid: whose
 * @limit: how many he may have
 *
 * Context: Process context. May sleep.
 * Return: 0, -EAGAIN when he has that many, or -ENOMEM.
 */
int khx_vhost_task_charge(kuid_t uid, unsigned long limit)
{
	unsigned long n;
	int ret = -EAGAIN;

	mutex_lock(&khx_vhost_task_users_mutex);
	n = khx_vhost_task_count(uid);
	if (n < limit || uid_eq(uid, GLOBAL_ROOT_UID))
		ret = xa_err(xa_store(&khx_vhost_task_users, __kuid_val(uid),
				      xa_mk_value(n + 1), GFP_KERNEL));
	mutex_unlock(&khx_vhost_task_users_mutex);
	return ret;
}

/* One thread less. Context: Process context. May sleep. */
void khx_vhost_task_uncharge(kuid_t uid)
{
	unsigned long n;

	mutex_lock(&khx_vhost_task_users_mutex);
	n = khx_vhost_task_count(uid);
	/* Replacing an entry allocates nothing. */
	if (n > 1)
		xa_store(&khx_vhost_task_users, __kuid_val(uid),
			 xa_mk_value(n - 1), GFP_KERNEL);
	else
		xa_erase(&khx_vhost_task_users, __kuid_val(uid));
	mutex_unlock(&khx_vhost_task_users_mutex);
}
