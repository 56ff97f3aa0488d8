// SPDX-License-Identifier: GPL-2.0
/*
 * Memory of two nodes: pages are where the policy wants them, merged copies on the
 * node of those that share them, unless merge_across_nodes is 1.
 */
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "khxmem.h"
#include "tap.h"

#define PAGES	32UL

/* Of the page at @addr, which is read for it. */
static int node_of(const void *addr)
{
	int node = -1;

	*(volatile const char *)addr;
	if (syscall(SYS_get_mempolicy, &node, NULL, 0, addr,
		    MPOL_F_NODE | MPOL_F_ADDR))
		return -errno;
	return node;
}

static void bind_to(void *addr, unsigned long pages, int node)
{
	unsigned long mask = 1UL << node;

	if (syscall(SYS_mbind, addr, pages * PAGE, MPOL_BIND, &mask,
		    8 * sizeof(mask), 0))
		tap_bail("mbind: node %d", node);
}

/* For what this task allocates on nobody's behalf; -1 for any. */
static void prefer_node(int node)
{
	unsigned long mask = node < 0 ? 0 : 1UL << node;

	if (syscall(SYS_set_mempolicy, node < 0 ? MPOL_DEFAULT : MPOL_BIND,
		    node < 0 ? NULL : &mask, node < 0 ? 0 : 8 * sizeof(mask)))
		tap_bail("set_mempolicy: node %d", node);
}

static unsigned long not_on(const char *map, unsigned long pages, int node)
{
	unsigned long i, n = 0;

	for (i = 0; i < pages; i++)
		n += node_of(map + i * PAGE) != node;
	return n;
}

static void fill(char *map)
{
	unsigned long i;

	for (i = 0; i < PAGES; i++)
		page_fill(map + i * PAGE, 7);
}

/* Half of the pages on either node, all equal. */
static void check_within_nodes(char *map)
{
	bind_to(map, PAGES / 2, 0);
	bind_to(map + PAGES / 2 * PAGE, PAGES / 2, 1);
	fill(map);
	tap_is(not_on(map, PAGES / 2, 0), 0, "pages are where mbind wants them");
	tap_is(not_on(map + PAGES / 2 * PAGE, PAGES / 2, 1), 0,
	       "on the other node too");
	tap_is(setting("merge_across_nodes", 0), 0, "merge_across_nodes=0");
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", PAGES - 2, 20), "they merge");
	scan_passes(3);
	scan_stop();
	tap_is(figure("pages_shared"), 2, "into one copy a node");
	tap_is(not_on(map, PAGES / 2, 0), 0, "which is on that node");
	tap_is(not_on(map + PAGES / 2 * PAGE, PAGES / 2, 1), 0,
	       "on the other too");
	tap_is(setting("merge_across_nodes", 1), -EBUSY,
	       "the setting cannot change while pages are merged");
}

static void check_across_nodes(char *map)
{
	unsigned long i;

	prefer_node(1);
	tap_is(setting("run", 2), 0, "unmerged");
	prefer_node(-1);
	tap_is(not_on(map, PAGES / 2, 0) +
	       not_on(map + PAGES / 2 * PAGE, PAGES / 2, 1), 0,
	       "on the node of its copy, not of who asks");
	tap_is(setting("merge_across_nodes", 1), 0, "it can");
	scan_fast();
	tap_ok(figure_reaches("pages_sharing", PAGES - 1, 20),
	       "then pages of both nodes share one copy");
	scan_stop();
	fill(map);
	tap_is(not_on(map, PAGES / 2, 0) +
	       not_on(map + PAGES / 2 * PAGE, PAGES / 2, 1), 0,
	       "what is written is on its own node again");
	for (i = 0; i < PAGES; i++)
		if (!page_holds(map + i * PAGE, 7))
			break;
	tap_is(i, PAGES, "and right");
}

int main(void)
{
	char *map;
	int fd;

	khxmem_mount(NULL, NULL);
	if (access("/sys/devices/system/node/node1", F_OK)) {
		khxmem_umount(NULL);
		tap_skip_all("one node only (numa=fake=2 makes two)");
	}
	tap_plan(8 + 6);
	fd = khxmem_file(NULL, PAGES);
	map = khxmem_map(fd, PAGES);
	check_within_nodes(map);
	check_across_nodes(map);
	munmap(map, PAGES * PAGE);
	close(fd);
	khxmem_umount(NULL);
	return tap_exit();
}
