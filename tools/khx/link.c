// SPDX-License-Identifier: GPL-2.0
/*
 * khx link: tap interfaces as khx_net wants them (IFF_VNET_HDR), for who has
 * no other network set-up. Interfaces are made by the tun ioctls, all else by
 * libnl.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "khx.h"
#include "out.h"
#include "parse.h"

/* What the tun driver allows. */
#define LINK_QUEUES_MAX	256

/**
 * struct link_tap - what "add-tap" was asked for
 * @name: of the interface
 * @bridge: to put it in, or NULL
 * @queues: more than one needs another kind of tap
 * @owner: user who may open it, -1: only root
 */
struct link_tap {
	const char *name;
	const char *bridge;
	uint32_t queues;
	uint32_t owner;
};

static bool link_name_ok(const char *name)
{
	if (*name && strlen(name) < IFNAMSIZ && !strchr(name, '/'))
		return true;
	out_error("\"%s\" is no name for an interface", name);
	return false;
}

static int link_tap_persist(int fd, const struct link_tap *tap)
{
	struct ifreq ifr = {
		.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR,
	};

	if (tap->queues > 1)
		ifr.ifr_flags |= IFF_MULTI_QUEUE;
	/* Not one that is there already. */
	ifr.ifr_flags |= IFF_TUN_EXCL;
	strncpy(ifr.ifr_name, tap->name, IFNAMSIZ - 1);
	if (ioctl(fd, TUNSETIFF, &ifr))
		return -1;
	if (tap->owner != UINT32_MAX &&
	    ioctl(fd, TUNSETOWNER, (unsigned long)tap->owner))
		return -1;
	return ioctl(fd, TUNSETPERSIST, 1UL);
}

static bool link_tap_create(const struct link_tap *tap)
{
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	int err = 0;

	if (fd < 0) {
		out_error("/dev/net/tun: %s", strerror(errno));
		return false;
	}
	if (link_tap_persist(fd, tap))
		err = errno;
	close(fd);
	if (err)
		out_error("%s: %s", tap->name,
			  err == EBUSY ? "exists already" : strerror(err));
	return !err;
}

static struct nl_sock *link_connect(void)
{
	struct nl_sock *sock = nl_socket_alloc();
	int ret = sock ? nl_connect(sock, NETLINK_ROUTE) : -NLE_NOMEM;

	if (!ret)
		return sock;
	out_error("netlink: %s", nl_geterror(ret));
	nl_socket_free(sock);
	return NULL;
}

static struct rtnl_link *link_find(struct nl_sock *sock, const char *name)
{
	struct rtnl_link *link = NULL;
	int ret = rtnl_link_get_kernel(sock, 0, name, &link);

	if (ret)
		out_error("%s: %s", name, nl_geterror(ret));
	return ret ? NULL : link;
}

/* Index of the bridge, 0 for none, -1 if it cannot be found. */
static int link_bridge_index(struct nl_sock *sock, const char *name)
{
	struct rtnl_link *link;
	int index;

	if (!name)
		return 0;
	link = link_find(sock, name);
	if (!link)
		return -1;
	index = rtnl_link_get_ifindex(link);
	if (strcmp(rtnl_link_get_type(link) ?: "", "bridge")) {
		out_error("%s is not a bridge", name);
		index = -1;
	}
	rtnl_link_put(link);
	return index;
}

/* Into the bridge, and up, in one request. */
static bool link_set_up(struct nl_sock *sock, const char *name, int bridge)
{
	struct rtnl_link *link = link_find(sock, name);
	struct rtnl_link *change = rtnl_link_alloc();
	int ret = -NLE_NOMEM;

	if (link && change) {
		rtnl_link_set_flags(change, IFF_UP);
		if (bridge)
			rtnl_link_set_master(change, bridge);
		ret = rtnl_link_change(sock, link, change, 0);
		if (ret)
			out_error("%s: %s", name, nl_geterror(ret));
	}
	rtnl_link_put(change);
	rtnl_link_put(link);
	return !ret;
}

static bool link_delete(struct nl_sock *sock, const char *name)
{
	struct rtnl_link *link = link_find(sock, name);
	int ret;

	if (!link)
		return false;
	if (strcmp(rtnl_link_get_type(link) ?: "", "tun")) {
		out_error("%s is not a tap interface", name);
		rtnl_link_put(link);
		return false;
	}
	ret = rtnl_link_delete(sock, link);
	if (ret)
		out_error("%s: %s", name, nl_geterror(ret));
	rtnl_link_put(link);
	return !ret;
}

static bool link_parse_owner(const char *word, uint32_t *owner)
{
	if (!parse_u32(word, "owner", owner))
		return false;
	if (*owner != UINT32_MAX)
		return true;
	out_error("owner: %s is no user", word);
	return false;
}

static bool link_parse_queues(const char *word, uint32_t *queues)
{
	if (!parse_u32(word, "queues", queues))
		return false;
	if (*queues >= 1 && *queues <= LINK_QUEUES_MAX)
		return true;
	out_error("queues: 1 to %d", LINK_QUEUES_MAX);
	return false;
}

static bool link_parse(struct link_tap *tap, int argc, char **argv)
{
	int i;

	if (!argc) {
		out_error("link add-tap: which name?");
		return false;
	}
	tap->name = argv[0];
	if (!link_name_ok(tap->name))
		return false;
	for (i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "bridge")) {
			tap->bridge = argv[i + 1];
		} else if (!strcmp(argv[i], "owner")) {
			if (!link_parse_owner(argv[i + 1], &tap->owner))
				return false;
		} else if (!strcmp(argv[i], "queues")) {
			if (!link_parse_queues(argv[i + 1], &tap->queues))
				return false;
		} else {
			break;
		}
	}
	return !cmd_too_many(argc, argv, i);
}

static int cmd_link_add_tap(int argc, char **argv)
{
	struct link_tap tap = { .queues = 1, .owner = UINT32_MAX };
	struct nl_sock *sock;
	int bridge, ret = KHX_EXIT_FAILURE;

	if (!link_parse(&tap, argc, argv))
		return KHX_EXIT_USAGE;
	sock = link_connect();
	if (!sock)
		return KHX_EXIT_FAILURE;
	bridge = link_bridge_index(sock, tap.bridge);
	if (bridge >= 0 && link_tap_create(&tap)) {
		ret = 0;
		if (!link_set_up(sock, tap.name, bridge)) {
			link_delete(sock, tap.name);
			ret = KHX_EXIT_FAILURE;
		}
	}
	nl_socket_free(sock);
	return ret;
}

static int cmd_link_del(int argc, char **argv)
{
	struct nl_sock *sock;
	int ret;

	if (argc < 1)
		out_error("link del: which name?");
	if (argc < 1 || cmd_too_many(argc, argv, 1) || !link_name_ok(argv[0]))
		return KHX_EXIT_USAGE;
	sock = link_connect();
	if (!sock)
		return KHX_EXIT_FAILURE;
	ret = link_delete(sock, argv[0]) ? 0 : KHX_EXIT_FAILURE;
	nl_socket_free(sock);
	return ret;
}

/* There is nothing to show that `ip link` would not: no default. */
static const struct cmd link_verbs[] = {
	{ "add-tap", cmd_link_add_tap,
	  "NAME [queues N] [bridge BRIDGE] [owner UID]" },
	{ "del", cmd_link_del, "NAME" },
	{ }
};

int cmd_link(int argc, char **argv)
{
	if (!argc) {
		out_error("link: add-tap or del? See khx link help");
		return KHX_EXIT_USAGE;
	}
	return cmd_dispatch("link", link_verbs, argc, argv);
}
