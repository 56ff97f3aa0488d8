/* SPDX-License-Identifier: GPL-2.0 */
/* What /dev/khx-gup does for the test gup; each open file has one pin at most. */
#ifndef KHX_GUP_H
#define KHX_GUP_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define KHX_GUP_DEVICE	"khx-gup"
#define KHX_GUP_PAGES	128

/**
 * struct khx_gup_storm - writes through references to the caller's pages
 * @addr: of KHX_GUP_PAGES pages, whose words at @offset are all 0
 * @offset: of a word of 4 bytes in each page
 * @increments: how many; one changes the word of some page from 0 to 1, or back
 * @seed: which pages, and in which order
 * @lost: out: how often a word was not what the last increment had made it
 * @holds: out: what each word was made
 */
struct khx_gup_storm {
	__u64 addr;
	__u32 offset;
	__u32 increments;
	__u32 seed;
	__u32 lost;
	__u8 holds[KHX_GUP_PAGES];
};

#define KHX_GUP_STORM	_IOWR('g', 1, struct khx_gup_storm)

/* A long-term pin for reading of the page at this address, and its first word. */
#define KHX_GUP_PIN	_IOW('g', 2, __u64)
#define KHX_GUP_READ	_IOR('g', 3, __u64)
#define KHX_GUP_UNPIN	_IO('g', 4)

#endif
