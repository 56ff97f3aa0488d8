// SPDX-License-Identifier: GPL-2.0
/* /sys/kernel/khx_merge: KSM's files under KSM's names, and a few more. */
#include <linux/kobject.h>
#include <linux/mm.h>
#include <linux/sysfs.h>

#include "control.h"
#include "domain.h"
#include "sysfs.h"

static struct kobject *khx_merge_kobj;

struct khx_merge_setting_attr {
	struct kobj_attribute attr;
	enum khx_merge_setting which;
};

static ssize_t khx_merge_setting_show(struct kobject *kobj,
				      struct kobj_attribute *attr, char *buf)
{
	struct khx_merge_setting_attr *setting =
		container_of(attr, struct khx_merge_setting_attr, attr);

	return sysfs_emit(buf, "%u\n", khx_merge_control_get(setting->which));
}

static ssize_t khx_merge_setting_store(struct kobject *kobj,
				       struct kobj_attribute *attr,
				       const char *buf, size_t count)
{
	struct khx_merge_setting_attr *setting =
		container_of(attr, struct khx_merge_setting_attr, attr);
	unsigned int value;
	int ret;

	ret = kstrtouint(buf, 10, &value) ?:
	      khx_merge_control_set(setting->which, value);
	if (ret == -ERANGE || ret == -EINVAL)
		pr_info_ratelimited("khx_merge: %s\n",
				    khx_merge_settings[setting->which].range);
	return ret ?: count;
}

#define KHX_MERGE_SETTING(_name, _which)				\
static struct khx_merge_setting_attr khx_merge_attr_##_name = {	\
	.attr = __ATTR(_name, 0644, khx_merge_setting_show,		\
		       khx_merge_setting_store),			\
	.which = _which,						\
}

KHX_MERGE_SETTING(run, KHX_MERGE_SET_RUN);
KHX_MERGE_SETTING(pages_to_scan, KHX_MERGE_SET_PAGES_TO_SCAN);
KHX_MERGE_SETTING(sleep_millisecs, KHX_MERGE_SET_SLEEP_MSECS);
KHX_MERGE_SETTING(cpu_limit, KHX_MERGE_SET_CPU_LIMIT);
KHX_MERGE_SETTING(max_page_sharing, KHX_MERGE_SET_MAX_PAGE_SHARING);
KHX_MERGE_SETTING(use_zero_pages, KHX_MERGE_SET_USE_ZERO_PAGES);
KHX_MERGE_SETTING(merge_across_nodes, KHX_MERGE_SET_ACROSS_NODES);
KHX_MERGE_SETTING(profit_guard, KHX_MERGE_SET_PROFIT_GUARD);

/* A figure is a function of the totals. */
struct khx_merge_figure_attr {
	struct kobj_attribute attr;
	long (*get)(const unsigned long *totals);
};

static ssize_t khx_merge_figure_show(struct kobject *kobj,
				     struct kobj_attribute *attr, char *buf)
{
	struct khx_merge_figure_attr *figure =
		container_of(attr, struct khx_merge_figure_attr, attr);
	unsigned long totals[KHX_MERGE_NR_STATS];

	khx_merge_domain_totals(totals);
	return sysfs_emit(buf, "%ld\n", figure->get(totals));
}

#define KHX_MERGE_FIGURE(_name, _expr)					\
static long khx_merge_get_##_name(const unsigned long *totals)		\
{									\
	return _expr;							\
}									\
static struct khx_merge_figure_attr khx_merge_attr_##_name = {		\
	.attr = __ATTR(_name, 0444, khx_merge_figure_show, NULL),	\
	.get = khx_merge_get_##_name,					\
}

/* The counters are read one after another: differences may be off for a moment. */
static long khx_merge_difference(unsigned long a, unsigned long b)
{
	return a > b ? a - b : 0;
}

KHX_MERGE_FIGURE(pages_shared, totals[KHX_MERGE_STAT_SHARED]);
KHX_MERGE_FIGURE(pages_sharing, khx_merge_difference(totals[KHX_MERGE_STAT_MERGED],
						     totals[KHX_MERGE_STAT_SHARED]));
KHX_MERGE_FIGURE(pages_unshared, totals[KHX_MERGE_STAT_UNSHARED]);
KHX_MERGE_FIGURE(pages_volatile,
		 khx_merge_difference(totals[KHX_MERGE_STAT_PRIVATE],
				      totals[KHX_MERGE_STAT_UNSHARED]));
KHX_MERGE_FIGURE(huge_pages, totals[KHX_MERGE_STAT_HUGE]);
KHX_MERGE_FIGURE(zero_pages, totals[KHX_MERGE_STAT_ZEROED]);
KHX_MERGE_FIGURE(general_profit, khx_merge_control_profit(totals));
KHX_MERGE_FIGURE(metadata_bytes, khx_merge_control_metadata(totals));
KHX_MERGE_FIGURE(pages_scanned, totals[KHX_MERGE_STAT_LOOKS]);
KHX_MERGE_FIGURE(pages_merged, totals[KHX_MERGE_STAT_MERGES]);
KHX_MERGE_FIGURE(cow_breaks, totals[KHX_MERGE_STAT_BREAKS]);
KHX_MERGE_FIGURE(pages_busy, totals[KHX_MERGE_STAT_BUSY]);

static ssize_t full_scans_show(struct kobject *kobj, struct kobj_attribute *attr,
			       char *buf)
{
	return sysfs_emit(buf, "%lu\n", khx_merge_control_full_scans());
}
static struct kobj_attribute khx_merge_attr_full_scans = __ATTR_RO(full_scans);

static ssize_t cpu_ns_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%llu\n", khx_merge_control_cpu());
}
static struct kobj_attribute khx_merge_attr_cpu_ns = __ATTR_RO(cpu_ns);

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr,
			  char *buf)
{
	static const char * const names[] = {
		[KHX_MERGE_STATE_STOPPED] = "stopped",
		[KHX_MERGE_STATE_RUNNING] = "running",
		[KHX_MERGE_STATE_GUARDED] = "guarded",
	};

	return sysfs_emit(buf, "%s\n", names[khx_merge_control_state()]);
}
static struct kobj_attribute khx_merge_attr_state = __ATTR_RO(state);

static struct attribute *khx_merge_attrs[] = {
	&khx_merge_attr_run.attr.attr,
	&khx_merge_attr_pages_to_scan.attr.attr,
	&khx_merge_attr_sleep_millisecs.attr.attr,
	&khx_merge_attr_cpu_limit.attr.attr,
	&khx_merge_attr_max_page_sharing.attr.attr,
	&khx_merge_attr_use_zero_pages.attr.attr,
	&khx_merge_attr_merge_across_nodes.attr.attr,
	&khx_merge_attr_profit_guard.attr.attr,
	&khx_merge_attr_pages_shared.attr.attr,
	&khx_merge_attr_pages_sharing.attr.attr,
	&khx_merge_attr_pages_unshared.attr.attr,
	&khx_merge_attr_pages_volatile.attr.attr,
	&khx_merge_attr_huge_pages.attr.attr,
	&khx_merge_attr_zero_pages.attr.attr,
	&khx_merge_attr_general_profit.attr.attr,
	&khx_merge_attr_metadata_bytes.attr.attr,
	&khx_merge_attr_pages_scanned.attr.attr,
	&khx_merge_attr_pages_merged.attr.attr,
	&khx_merge_attr_cow_breaks.attr.attr,
	&khx_merge_attr_pages_busy.attr.attr,
	&khx_merge_attr_full_scans.attr,
	&khx_merge_attr_cpu_ns.attr,
	&khx_merge_attr_state.attr,
	NULL
};

static const struct attribute_group khx_merge_group = {
	.attrs = khx_merge_attrs,
};

int khx_merge_sysfs_init(void)
{
	int ret;

	khx_merge_kobj = kobject_create_and_add("khx_merge", kernel_kobj);
	if (!khx_merge_kobj)
		return -ENOMEM;
	ret = sysfs_create_group(khx_merge_kobj, &khx_merge_group);
	if (ret)
		kobject_put(khx_merge_kobj);
	return ret;
}

void khx_merge_sysfs_exit(void)
{
	kobject_put(khx_merge_kobj);
}
