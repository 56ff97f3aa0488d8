// SPDX-License-Identifier: GPL-2.0
/* khx merge: guest memory, what merging saves of it, and how it is done. */
#include <errno.h>
#include <linux/khx_merge.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "khx.h"
#include "nl.h"
#include "out.h"
#include "parse.h"

/* Promised to guests, in percent of the host's memory, before it is too much. */
#define MERGE_WARN_PERCENT	150

static const char *const merge_events[] = {
	[KHX_MERGE_CMD_PASS] = "merge-pass",
	[KHX_MERGE_CMD_GUARD] = "merge-guard",
	[KHX_MERGE_CMD_LIMIT] = "merge-limit",
};

static const char *const merge_states[] = {
	[KHX_MERGE_STATE_STOPPED] = "stopped",
	[KHX_MERGE_STATE_RUNNING] = "running",
	[KHX_MERGE_STATE_GUARDED] = "guarded",
};

/* Members of rows, by attribute: those that are pages, then settings. */
static const char *const merge_stat_keys[] = {
	"private", "huge", "merged", "zeroed", "shared", "unshared", "histories",
	"looks", "merges", "cow_breaks", "busy", "changed",
};

static const struct {
	const char *word, *key;
} merge_settings[] = {
	{ "run", "run" },
	{ "pages-to-scan", "pages_to_scan" },
	{ "sleep-ms", "sleep_ms" },
	{ "cpu-limit", "cpu_limit" },
	{ "max-page-sharing", "max_page_sharing" },
	{ "use-zero-pages", "use_zero_pages" },
	{ "merge-across-nodes", "merge_across_nodes" },
	{ "profit-guard", "profit_guard" },
};

#define ARRAY_SIZE(array) (sizeof(array) / sizeof(*(array)))

static uint64_t merge_page_size(void)
{
	return sysconf(_SC_PAGESIZE);
}

static void merge_add_stats(struct json_object *row,
			    const struct nlattr *const *attrs)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(merge_stat_keys); i++) {
		const struct nlattr *attr = attrs[KHX_MERGE_A_STAT_PRIVATE + i];

		if (attr)
			out_u64(row, merge_stat_keys[i], mnl_attr_get_u64(attr));
	}
}

static void merge_add_settings(struct json_object *row,
			       const struct nlattr *const *attrs)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(merge_settings); i++) {
		const struct nlattr *attr = attrs[KHX_MERGE_A_SET_RUN + i];

		if (attr)
			out_u64(row, merge_settings[i].key,
				mnl_attr_get_u32(attr));
	}
}

static void merge_add_u64(struct json_object *row, const char *key,
			  const struct nlattr *attr)
{
	if (attr)
		out_u64(row, key, mnl_attr_get_u64(attr));
}

static void merge_add_mib(struct json_object *row, const char *key, uint64_t bytes)
{
	out_u64(row, key, bytes >> 20);
}

/* What all, a domain or a file saves; of a file, a copy's own frame is not taken off. */
static void merge_add_saved(struct json_object *row)
{
	uint64_t merged = out_get_u64(row, "merged");
	uint64_t shared = out_get_u64(row, "shared");
	uint64_t saved = merged > shared ? merged - shared : 0;

	saved += out_get_u64(row, "zeroed");
	merge_add_mib(row, "saved_mib", saved * merge_page_size());
}

/* The host and its promises: what there is, what it could come to. */
static void merge_add_host(struct json_object *row,
			   const struct nlattr *const *attrs)
{
	uint64_t host = sysconf(_SC_PHYS_PAGES) * merge_page_size();
	uint64_t promised = 0;

	if (attrs[KHX_MERGE_A_PROMISED])
		promised = mnl_attr_get_u64(attrs[KHX_MERGE_A_PROMISED]);
	merge_add_mib(row, "host_mib", host);
	merge_add_mib(row, "promised_mib", promised);
	merge_add_mib(row, "in_use_mib",
		      (out_get_u64(row, "private") + out_get_u64(row, "shared")) *
		      merge_page_size());
	merge_add_saved(row);
	if (host)
		out_u64(row, "overcommit_percent", promised / host * 100 + promised % host * 100 / host);
}

/* What the scanner does, and how that pays. */
static void merge_add_scanner(struct json_object *row,
			      const struct nlattr *const *attrs)
{
	uint32_t state;

	if (attrs[KHX_MERGE_A_STATE]) {
		state = mnl_attr_get_u32(attrs[KHX_MERGE_A_STATE]);
		out_str(row, "state", state < ARRAY_SIZE(merge_states) ?
			merge_states[state] : "unknown");
	}
	merge_add_u64(row, "full_scans", attrs[KHX_MERGE_A_FULL_SCANS]);
	merge_add_u64(row, "cpu_ns", attrs[KHX_MERGE_A_CPU_NS]);
	merge_add_u64(row, "metadata", attrs[KHX_MERGE_A_METADATA]);
	if (attrs[KHX_MERGE_A_PROFIT])
		json_object_object_add(row, "profit", json_object_new_int64(
			(int64_t)mnl_attr_get_u64(attrs[KHX_MERGE_A_PROFIT])));
	merge_add_stats(row, attrs);
}

static struct json_object *merge_row(unsigned int cmd,
				     const struct nlattr *const *attrs)
{
	struct json_object *row = json_object_new_object();

	(void)cmd;
	merge_add_scanner(row, attrs);
	merge_add_host(row, attrs);
	merge_add_settings(row, attrs);
	return row;
}

static struct json_object *merge_event_row(unsigned int cmd,
					   const struct nlattr *const *attrs)
{
	struct json_object *row;

	if (cmd >= ARRAY_SIZE(merge_events) || !merge_events[cmd])
		return NULL;
	row = json_object_new_object();
	out_str(row, "event", merge_events[cmd]);
	merge_add_scanner(row, attrs);
	if (attrs[KHX_MERGE_A_DOMAIN_ID])
		out_u64(row, "domain_id",
			mnl_attr_get_u32(attrs[KHX_MERGE_A_DOMAIN_ID]));
	if (attrs[KHX_MERGE_A_SIZE])
		merge_add_mib(row, "size_mib",
			      mnl_attr_get_u64(attrs[KHX_MERGE_A_SIZE]));
	return row;
}

static struct json_object *merge_file_row(unsigned int cmd,
					  const struct nlattr *const *attrs)
{
	struct json_object *row = json_object_new_object();

	(void)cmd;
	if (attrs[KHX_MERGE_A_DEV])
		out_u64(row, "dev", mnl_attr_get_u32(attrs[KHX_MERGE_A_DEV]));
	merge_add_u64(row, "ino", attrs[KHX_MERGE_A_INO]);
	out_str(row, "name", attrs[KHX_MERGE_A_NAME] ?
		mnl_attr_get_str(attrs[KHX_MERGE_A_NAME]) : "(unlinked)");
	if (attrs[KHX_MERGE_A_OWNER])
		out_u64(row, "owner", mnl_attr_get_u32(attrs[KHX_MERGE_A_OWNER]));
	if (attrs[KHX_MERGE_A_SIZE])
		merge_add_mib(row, "size_mib",
			      mnl_attr_get_u64(attrs[KHX_MERGE_A_SIZE]));
	if (attrs[KHX_MERGE_A_DOMAIN_ID])
		out_u64(row, "domain_id",
			mnl_attr_get_u32(attrs[KHX_MERGE_A_DOMAIN_ID]));
	if (attrs[KHX_MERGE_A_DOMAIN])
		out_str(row, "domain",
			mnl_attr_get_str(attrs[KHX_MERGE_A_DOMAIN]));
	merge_add_u64(row, "age_s", attrs[KHX_MERGE_A_AGE]);
	merge_add_stats(row, attrs);
	merge_add_saved(row);
	return row;
}

static struct json_object *merge_domain_row(unsigned int cmd,
					    const struct nlattr *const *attrs)
{
	struct json_object *row = merge_file_row(cmd, attrs);

	json_object_object_del(row, "name");
	return row;
}

static const struct out_column merge_columns[] = {
	{ "STATE", "state" },
	{ "HOST-MiB", "host_mib" },
	{ "PROMISED-MiB", "promised_mib" },
	{ "OVERCOMMIT-%", "overcommit_percent" },
	{ "IN-USE-MiB", "in_use_mib" },
	{ "SAVED-MiB", "saved_mib" },
	{ "PASSES", "full_scans" },
	{ }
};

static const struct out_column merge_stats_columns[] = {
	{ "STATE", "state" },
	{ "PRIVATE", "private" },
	{ "MERGED", "merged" },
	{ "SHARED", "shared" },
	{ "ZEROED", "zeroed" },
	{ "MERGES", "merges" },
	{ "COW-BREAKS", "cow_breaks" },
	{ "BUSY", "busy" },
	{ "LOOKS", "looks" },
	{ "CPU-NS", "cpu_ns" },
	{ "PROFIT", "profit" },
	{ }
};

static const struct out_column merge_file_columns[] = {
	{ "INO", "ino" },
	{ "NAME", "name" },
	{ "OWNER", "owner" },
	{ "DOMAIN", "domain_id" },
	{ "SIZE-MiB", "size_mib" },
	{ "PRIVATE", "private" },
	{ "MERGED", "merged" },
	{ "ZEROED", "zeroed" },
	{ "SAVED-MiB", "saved_mib" },
	{ "MERGES", "merges" },
	{ "COW-BREAKS", "cow_breaks" },
	{ }
};

static const struct out_column merge_settings_columns[] = {
	{ "RUN", "run" },
	{ "PAGES-TO-SCAN", "pages_to_scan" },
	{ "SLEEP-MS", "sleep_ms" },
	{ "CPU-LIMIT", "cpu_limit" },
	{ "MAX-PAGE-SHARING", "max_page_sharing" },
	{ "USE-ZERO-PAGES", "use_zero_pages" },
	{ "MERGE-ACROSS-NODES", "merge_across_nodes" },
	{ "PROFIT-GUARD", "profit_guard" },
	{ }
};

static const struct out_column merge_domain_columns[] = {
	{ "DOMAIN", "domain_id" },
	{ "NAME", "domain" },
	{ "PRIVATE", "private" },
	{ "MERGED", "merged" },
	{ "SHARED", "shared" },
	{ "ZEROED", "zeroed" },
	{ "SAVED-MiB", "saved_mib" },
	{ "COW-BREAKS", "cow_breaks" },
	{ }
};

/* Prints the rows, or the family's error; returns the exit status. */
static int merge_finish(struct nl *nl, int err, struct json_object *rows,
			const struct out_column *columns)
{
	if (err) {
		out_error("merge: %s", nl_error(nl));
	} else {
		out_rows(rows, columns);
		json_object_put(rows);
	}
	nl_close(nl);
	return err ? KHX_EXIT_FAILURE : 0;
}

static int merge_dump(unsigned int cmd, nl_row_fn row,
		      const struct out_column *columns)
{
	struct nl *nl = nl_open(KHX_MERGE_GENL_NAME, "khx_merge");
	struct json_object *rows = NULL;
	int err;

	if (!nl)
		return KHX_EXIT_FAILURE;
	err = nl_dump(nl, nl_request(nl, cmd), KHX_MERGE_A_MAX, row, &rows);
	return merge_finish(nl, err, rows, columns);
}

/* Only the rows of the file that @st is of. */
static struct json_object *merge_rows_of(struct json_object *rows,
					 const struct stat *st)
{
	uint64_t dev = (minor(st->st_dev) & 0xff) | major(st->st_dev) << 8 |
		       (minor(st->st_dev) & ~0xffU) << 12;
	struct json_object *found = json_object_new_array();
	size_t i;

	for (i = 0; i < json_object_array_length(rows); i++) {
		struct json_object *row = json_object_array_get_idx(rows, i);

		if (out_get_u64(row, "ino") == st->st_ino &&
		    out_get_u64(row, "dev") == dev)
			json_object_array_add(found, json_object_get(row));
	}
	json_object_put(rows);
	return found;
}

static int merge_show_file(const char *path)
{
	struct json_object *rows = NULL;
	struct stat st;
	struct nl *nl;
	int err;

	if (stat(path, &st)) {
		out_error("%s: %s", path, strerror(errno));
		return KHX_EXIT_FAILURE;
	}
	nl = nl_open(KHX_MERGE_GENL_NAME, "khx_merge");
	if (!nl)
		return KHX_EXIT_FAILURE;
	err = nl_dump(nl, nl_request(nl, KHX_MERGE_CMD_FILE_GET),
		      KHX_MERGE_A_MAX, merge_file_row, &rows);
	if (!err) {
		rows = merge_rows_of(rows, &st);
		if (!json_object_array_length(rows)) {
			out_error("%s is no file of khxmem", path);
			nl_close(nl);
			return KHX_EXIT_FAILURE;
		}
	}
	return merge_finish(nl, err, rows, merge_file_columns);
}

static void merge_warn(struct json_object *row, uint32_t limit)
{
	uint64_t percent = out_get_u64(row, "overcommit_percent");

	if (percent > limit)
		out_error("merge: warning: guests are promised %llu %% of the host's memory",
			  (unsigned long long)percent);
	if (!strcmp(out_get_str(row, "state"), "guarded"))
		out_error("merge: warning: slowed, merging costs more than it saves");
}

static int merge_show_all(uint32_t warn_percent, const struct out_column *columns)
{
	struct nl *nl = nl_open(KHX_MERGE_GENL_NAME, "khx_merge");
	struct json_object *rows = NULL;
	int err;

	if (!nl)
		return KHX_EXIT_FAILURE;
	err = nl_get(nl, nl_request(nl, KHX_MERGE_CMD_GET), KHX_MERGE_A_MAX,
		     merge_row, &rows);
	if (!err && json_object_array_length(rows))
		merge_warn(json_object_array_get_idx(rows, 0), warn_percent);
	return merge_finish(nl, err, rows, columns);
}

static int cmd_merge_show(int argc, char **argv)
{
	const struct out_column *columns = cmd_options.stats ?
					   merge_stats_columns : merge_columns;
	uint32_t warn_percent = MERGE_WARN_PERCENT;

	if (argc == 2 && !strcmp(argv[0], "warn")) {
		if (!parse_u32(argv[1], "warn", &warn_percent))
			return KHX_EXIT_USAGE;
		return merge_show_all(warn_percent, columns);
	}
	if (argc == 1 && !strcmp(argv[0], "settings"))
		return merge_show_all(warn_percent, merge_settings_columns);
	if (cmd_too_many(argc, argv, 1))
		return KHX_EXIT_USAGE;
	return argc ? merge_show_file(argv[0]) :
		      merge_show_all(warn_percent, columns);
}

static int cmd_merge_files(int argc, char **argv)
{
	if (cmd_too_many(argc, argv, 0))
		return KHX_EXIT_USAGE;
	return merge_dump(KHX_MERGE_CMD_FILE_GET, merge_file_row,
			  merge_file_columns);
}

static int cmd_merge_domains(int argc, char **argv)
{
	if (cmd_too_many(argc, argv, 0))
		return KHX_EXIT_USAGE;
	return merge_dump(KHX_MERGE_CMD_DOMAIN_GET, merge_domain_row,
			  merge_domain_columns);
}

/* What no setting can be, the kernel refuses: it knows the range, and says it. */
static bool merge_parse_value(const char *number, const char *word, uint32_t *value)
{
	bool negative = *number == '-';
	uint64_t wide;

	if (!parse_u64(number + negative, word, &wide))
		return false;
	*value = negative || wide > UINT32_MAX ? UINT32_MAX : wide;
	return true;
}

/* "WORD N" becomes an attribute; says what is wrong otherwise. */
static bool merge_put_setting(struct nlmsghdr *request, const char *word,
			      const char *number)
{
	uint32_t value;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(merge_settings); i++) {
		if (strcmp(word, merge_settings[i].word))
			continue;
		if (!number) {
			out_error("%s: a number must follow", word);
			return false;
		}
		if (!merge_parse_value(number, word, &value))
			return false;
		mnl_attr_put_u32(request, KHX_MERGE_A_SET_RUN + i, value);
		return true;
	}
	out_error("merge set: unknown setting \"%s\"", word);
	return false;
}

static int cmd_merge_set(int argc, char **argv)
{
	struct nlmsghdr *request;
	struct nl *nl;
	int i, ret = 0;

	if (!argc) {
		out_error("merge set: what?");
		return KHX_EXIT_USAGE;
	}
	nl = nl_open(KHX_MERGE_GENL_NAME, "khx_merge");
	if (!nl)
		return KHX_EXIT_FAILURE;
	request = nl_request(nl, KHX_MERGE_CMD_SET);
	for (i = 0; i < argc && !ret; i += 2)
		if (!merge_put_setting(request, argv[i],
				       i + 1 < argc ? argv[i + 1] : NULL))
			ret = KHX_EXIT_USAGE;
	if (!ret && nl_run(nl, request)) {
		out_error("merge set: %s", nl_error(nl));
		ret = KHX_EXIT_FAILURE;
	}
	nl_close(nl);
	return ret;
}

void merge_events_source(struct nl_source *source)
{
	*source = (struct nl_source){
		.nl = nl_try_open(KHX_MERGE_GENL_NAME),
		.group = KHX_MERGE_GENL_EVENTS,
		.attr_max = KHX_MERGE_A_MAX,
		.row = merge_event_row,
	};
}

static int cmd_merge_monitor(int argc, char **argv)
{
	struct nl *nl;

	if (cmd_too_many(argc, argv, 0))
		return KHX_EXIT_USAGE;
	nl = nl_open(KHX_MERGE_GENL_NAME, "khx_merge");
	if (!nl)
		return KHX_EXIT_FAILURE;
	nl_listen(nl, KHX_MERGE_GENL_EVENTS, KHX_MERGE_A_MAX, merge_event_row,
		  out_event);
	out_error("merge monitor: %s", nl_error(nl));
	nl_close(nl);
	return KHX_EXIT_FAILURE;
}

static const struct cmd merge_verbs[] = {
	{ "show", cmd_merge_show, "[FILE | settings | warn PERCENT]" },
	{ "files", cmd_merge_files, "" },
	{ "domains", cmd_merge_domains, "" },
	{ "set", cmd_merge_set,
	  "[run 0|1|2] [pages-to-scan N] [sleep-ms N] [cpu-limit PERCENT]\n"
	  "                [max-page-sharing N] [use-zero-pages 0|1] [merge-across-nodes 0|1]\n"
	  "                [profit-guard 0|1]" },
	{ "monitor", cmd_merge_monitor, "" },
	{ }
};

int cmd_merge(int argc, char **argv)
{
	return cmd_dispatch("merge", merge_verbs, argc, argv);
}
