// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>

#include "request.h"
#include "tap.h"

int request_run(struct ctl *ctl, const struct request *request)
{
	struct nlmsghdr *nlh = ctl_request(ctl, request->cmd,
					   request->dump ? NLM_F_DUMP : 0);
	const struct attr *attr = request->attrs;

	for (int i = 0; i < 3 && attr[i].type; i++)
		mnl_attr_put(nlh, attr[i].type, attr[i].len,
			     attr[i].text ? (const void *)attr[i].text :
					    &attr[i].value);
	return ctl_run(ctl, nlh, NULL, NULL);
}

void requests_test(struct ctl *ctl, const struct request *requests,
		   unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		tap_is(request_run(ctl, &requests[i]), requests[i].wanted,
		       "%s", requests[i].name);
		if (requests[i].wanted && requests[i].wanted != -EOPNOTSUPP &&
		    !ctl->extack[0])
			tap_ok(false, "%s: no word why", requests[i].name);
	}
}

int requests_powerless(const char *family, const struct request *requests,
		       unsigned int nr)
{
	static struct ctl ctl;
	int ret, wrong = 0;

	ctl_open_family(&ctl, family);
	for (unsigned int i = 0; i < nr; i++) {
		ret = request_run(&ctl, &requests[i]);
		/* The kernel looks at the attributes first. */
		if (ret == requests[i].wanted && (ret || !requests[i].root))
			continue;
		if (ret == -EPERM && requests[i].root)
			continue;
		tap_diag("%s: %d", requests[i].name, ret);
		wrong = 1;
	}
	return wrong;
}

void request_random(struct ctl *ctl, unsigned int cmd_max,
		    unsigned int attr_max, unsigned int *seed)
{
	uint8_t junk[64];
	struct nlmsghdr *nlh;
	int attrs = rand_r(seed) % 6;

	nlh = ctl_request(ctl, rand_r(seed) % (cmd_max + 3),
			  rand_r(seed) % 2 ? NLM_F_DUMP : 0);
	while (attrs--) {
		uint16_t flags = rand_r(seed) % 4 ? 0 : NLA_F_NESTED;
		uint16_t type = rand_r(seed) % (attr_max + 3);
		uint16_t len = rand_r(seed) % 2 ? 4 :
						  rand_r(seed) % sizeof(junk);

		for (unsigned int i = 0; i < sizeof(junk); i++)
			junk[i] = rand_r(seed) % 3 ? 0 : rand_r(seed);
		mnl_attr_put(nlh, flags | type, len, junk);
	}
	ctl_run(ctl, nlh, NULL, NULL);
}
