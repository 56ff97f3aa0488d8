// SPDX-License-Identifier: GPL-2.0
/* forever: a guest that exits until it is killed; for lifetime.sh. */
#include <sys/ioctl.h>

#include "guest.h"

int main(void)
{
	struct guest g;

	guest_create(&g);
	guest_set_regs(&g, RUN_FOREVER, &(struct kvm_regs) {});
	for (;;)
		ioctl(g.vcpu, KVM_RUN, 0);
}
