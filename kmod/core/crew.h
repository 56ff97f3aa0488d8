/* SPDX-License-Identifier: GPL-2.0 */
#ifndef KHX_CORE_CREW_H
#define KHX_CORE_CREW_H

#include <linux/list.h>
#include <linux/types.h>

struct khx_worker;
struct mm_struct;

/**
 * struct khx_crew - workers that several devices of one owner share
 * @node: in the list of all crews, unless it is not published yet, or was replaced
 * @mm: whose they are; the devices hold it
 * @users: devices
 * @nworkers: entries of @workers, fixed
 * @workers: never change
 */
struct khx_crew {
	struct list_head node;
	struct mm_struct *mm;
	unsigned int users;
	unsigned int nworkers;
	struct khx_worker *workers[];
};

struct khx_crew *khx_crew_join(struct mm_struct *mm, unsigned int nworkers,
			       const struct khx_crew *mine);
struct khx_crew *khx_crew_create(struct mm_struct *mm,
				 struct khx_worker *const *workers,
				 unsigned int nworkers);
int khx_crew_publish(struct khx_crew *crew, struct khx_crew *mine);
void khx_crew_leave(struct khx_crew *crew);

#endif /* KHX_CORE_CREW_H */
