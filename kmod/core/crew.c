// SPDX-License-Identifier: GPL-2.0
/*
 * Crews: workers that all devices of one owner share, if they are told to
 * (KHX_MODE_SHARED). The first device brings the crew, the last one ends it.
 */
#include <linux/err.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "core/crew.h"
#include "core/worker.h"

static LIST_HEAD(khx_crews);

/* Guards the list and the numbers of users. Nobody waits for a worker here. */
static DEFINE_MUTEX(khx_crews_mutex);

static void khx_crew_free(struct khx_crew *crew)
{
	unsigned int i;

	for (i = 0; i < crew->nworkers; i++)
		khx_worker_destroy(crew->workers[i]);
	kfree(crew);
}

static struct khx_crew *khx_crew_of(struct mm_struct *mm)
{
	struct khx_crew *crew;

	lockdep_assert_held(&khx_crews_mutex);
	list_for_each_entry(crew, &khx_crews, node)
		if (crew->mm == mm)
			return crew;
	return NULL;
}

/**
 * khx_crew_join - share the workers of an owner, if he has some to share
 * @mm: the owner's
 * @nworkers: how many there should be, 0: any number
 * @mine: the crew of the device that asks, or NULL
 *
 * Return: the crew; NULL when there is none, or only @mine, which is nobody
 * else's and of another number; or an ERR_PTR of -EBUSY when others share another
 * number of workers.
 */
struct khx_crew *khx_crew_join(struct mm_struct *mm, unsigned int nworkers,
			       const struct khx_crew *mine)
{
	struct khx_crew *crew;

	mutex_lock(&khx_crews_mutex);
	crew = khx_crew_of(mm);
	if (crew && (!nworkers || nworkers == crew->nworkers))
		crew->users++;
	else if (crew)
		crew = crew == mine && crew->users == 1 ? NULL :
							  ERR_PTR(-EBUSY);
	mutex_unlock(&khx_crews_mutex);
	return crew;
}

/**
 * khx_crew_create - a crew that others do not find yet
 * @mm: the owner's
 * @workers: to be shared; the crew's own from here on
 * @nworkers: how many
 *
 * Return: the crew, NULL when there is no memory.
 */
struct khx_crew *khx_crew_create(struct mm_struct *mm,
				 struct khx_worker *const *workers,
				 unsigned int nworkers)
{
	struct khx_crew *crew;

	crew = kzalloc(struct_size(crew, workers, nworkers), GFP_KERNEL);
	if (!crew)
		return NULL;
	INIT_LIST_HEAD(&crew->node);
	crew->mm = mm;
	crew->users = 1;
	crew->nworkers = nworkers;
	memcpy(crew->workers, workers, nworkers * sizeof(workers[0]));
	return crew;
}

/**
 * khx_crew_publish - let others join
 * @crew: joined or created
 * @mine: the crew of the device that it is for, or NULL
 *
 * A crew that is new takes the place of @mine, which its last user has yet to leave.
 *
 * Return: 0; -EEXIST when another device was faster, whose crew is to be joined
 * then; -EBUSY when others share @mine by now.
 */
int khx_crew_publish(struct khx_crew *crew, struct khx_crew *mine)
{
	struct khx_crew *there;
	int ret = 0;

	mutex_lock(&khx_crews_mutex);
	there = khx_crew_of(crew->mm);
	if (!there)
		list_add(&crew->node, &khx_crews);
	else if (there == mine && mine != crew && mine->users == 1)
		list_replace_init(&mine->node, &crew->node);
	else if (there != crew)
		ret = there == mine ? -EBUSY : -EEXIST;
	mutex_unlock(&khx_crews_mutex);
	return ret;
}

/**
 * khx_crew_leave - share no longer
 * @crew: of a device that none of its workers serves or can find any more
 *
 * Context: Process context, without any mutex that a work takes. May sleep.
 */
void khx_crew_leave(struct khx_crew *crew)
{
	bool last;

	mutex_lock(&khx_crews_mutex);
	last = !--crew->users;
	if (last)
		list_del(&crew->node);
	mutex_unlock(&khx_crews_mutex);
	if (last)
		khx_crew_free(crew);
}
