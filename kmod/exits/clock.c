// SPDX-License-Identifier: GPL-2.0
#include <linux/time64.h>

#include "clock.h"

DEFINE_STATIC_KEY_TRUE(khx_exits_clock_is_tsc);
u64 khx_exits_clock_mult __read_mostly = 1ULL << KHX_EXITS_CLOCK_SHIFT;

/*
 * local_clock() would be right everywhere, but costs some forty instructions
 * more a reading. The kernel knows whether the TSCs of this machine agree.
 */
void khx_exits_clock_init(void)
{
	if (check_tsc_unstable() || !tsc_khz) {
		khx_exits_clock_mult = 1ULL << KHX_EXITS_CLOCK_SHIFT;
		static_branch_disable(&khx_exits_clock_is_tsc);
		return;
	}
	khx_exits_clock_mult = div_u64((u64)NSEC_PER_MSEC <<
				       KHX_EXITS_CLOCK_SHIFT, tsc_khz);
	static_branch_enable(&khx_exits_clock_is_tsc);
}
