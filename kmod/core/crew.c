// SPDX-License-Identifier: GPL-2.0
/*
 * Crews: workers that all devices of one owner share, if they are told to
 * (KHX_MODE_SHARED). The first device brings the crew, the last one ends it.
 */
#include <linux/err.h>
#include <linux/mutex.h>
#include <linux/slab.h>

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

static struct khx_crew *khx_crew_create(struct mm_struct *mm,
					struct khx_worker *from,
					unsigned int nworkers)
{
	struct khx_worker *worker;
	struct khx_crew *crew;

	crew = kzalloc(struct_size(crew, workers, nworkers), GFP_KERNEL);
	if (!crew)
		return ERR_PTR(-ENOMEM);
	crew->mm = mm;
	crew->users = 1;
	while (crew->nworkers < nworkers) {
		worker = khx_worker_spawn(from, crew->nworkers);
		if (IS_ERR(worker)) {
			khx_crew_free(crew);
			return ERR_CAST(worker);
		}
		crew->workers[crew->nworkers++] = worker;
	}
	return crew;
}

/* Returns the crew with one more user, NULL if there is none. */
static struct khx_crew *khx_crew_find(struct mm_struct *mm,
				      unsigned int nworkers)
{
	struct khx_crew *crew;

	list_for_each_entry(crew, &khx_crews, node) {
		if (crew->mm != mm)
			continue;
		if (nworkers && nworkers != crew->nworkers)
			return ERR_PTR(-EBUSY);
		crew->users++;
		return crew;
	}
	return NULL;
}

/**
 * khx_crew_join - share the workers of an owner
 * @mm: the owner's
 * @from: one of his workers, to make others if there is no crew yet
 * @nworkers: how many, 0: as many as there are, or one
 *
 * Context: Process context. May sleep as khx_worker_spawn().
 * Return: the crew; an ERR_PTR of -EBUSY when it has another number of
 * workers, or as khx_worker_spawn().
 */
struct khx_crew *khx_crew_join(struct mm_struct *mm, struct khx_worker *from,
			       unsigned int nworkers)
{
	struct khx_crew *crew, *mine;

	mutex_lock(&khx_crews_mutex);
	crew = khx_crew_find(mm, nworkers);
	mutex_unlock(&khx_crews_mutex);
	if (crew)
		return crew;

	mine = khx_crew_create(mm, from, nworkers ?: 1);
	if (IS_ERR(mine))
		return mine;

	/* Another device may have been faster. */
	mutex_lock(&khx_crews_mutex);
	crew = khx_crew_find(mm, nworkers);
	if (!crew)
		list_add(&mine->node, &khx_crews);
	mutex_unlock(&khx_crews_mutex);
	if (!crew)
		return mine;
	khx_crew_free(mine);
	return crew;
}

/* Is it more than one device's? */
bool khx_crew_is_shared(const struct khx_crew *crew)
{
	return READ_ONCE(crew->users) > 1;
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
