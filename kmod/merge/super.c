// SPDX-License-Identifier: GPL-2.0
/* The file system khxmem: its mount options, superblocks and room. */
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/fs_context.h>
#include <linux/fs_parser.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/statfs.h>
#include <linux/khx_merge.h>

#include "compat/vfs.h"
#include "domain.h"
#include "inode.h"
#include "super.h"

enum {
	KHX_MERGE_OPT_SIZE,
	KHX_MERGE_OPT_DOMAIN,
	KHX_MERGE_OPT_NOMERGE,
	KHX_MERGE_OPT_STRICT,
	KHX_MERGE_OPT_HUGE,
	KHX_MERGE_OPT_MODE,
	KHX_MERGE_OPT_UID,
	KHX_MERGE_OPT_GID,
};

static const struct constant_table khx_merge_huge_names[] = {
	{ "never",	KHX_MERGE_HUGE_NEVER },
	{ "always",	KHX_MERGE_HUGE_ALWAYS },
	{}
};

static const struct fs_parameter_spec khx_merge_parameters[] = {
	fsparam_string("size",		KHX_MERGE_OPT_SIZE),
	fsparam_string("domain",	KHX_MERGE_OPT_DOMAIN),
	fsparam_flag("nomerge",		KHX_MERGE_OPT_NOMERGE),
	fsparam_flag("strict",		KHX_MERGE_OPT_STRICT),
	fsparam_enum("huge",		KHX_MERGE_OPT_HUGE, khx_merge_huge_names),
	fsparam_u32oct("mode",		KHX_MERGE_OPT_MODE),
	fsparam_u32("uid",		KHX_MERGE_OPT_UID),
	fsparam_u32("gid",		KHX_MERGE_OPT_GID),
	{}
};

/* Not memparse(): that takes what overflows for something small. */
static int khx_merge_parse_size(struct fs_context *fc,
				struct khx_merge_options *opt, const char *value)
{
	static const char suffixes[] = "kmgt";
	size_t digits = strspn(value, "0123456789");
	unsigned long long size;
	unsigned int shift = 0;
	const char *suffix;
	char *end;

	if (!digits || digits > 18)
		return invalf(fc, "khxmem: size=%s is no size", value);
	size = simple_strtoull(value, &end, 10);
	if (*end) {
		suffix = strchr(suffixes, tolower(*end));
		if (!suffix || end[1])
			return invalf(fc, "khxmem: size=%s is no size", value);
		shift = 10 * (suffix - suffixes + 1);
	}
	if (size > MAX_LFS_FILESIZE >> shift)
		return invalf(fc, "khxmem: size=%s is too large", value);
	opt->max_pages = DIV_ROUND_UP_ULL(size << shift, PAGE_SIZE);
	return 0;
}

/* Names are printed, in mount tables too: no character that would be escaped. */
static int khx_merge_parse_domain(struct fs_context *fc,
				  struct khx_merge_options *opt,
				  const char *value)
{
	size_t len = strlen(value), i;

	if (!len || len > KHX_MERGE_DOMAIN_NAME_MAX)
		return invalf(fc, "khxmem: domain= takes 1 to %d characters",
			      KHX_MERGE_DOMAIN_NAME_MAX);
	for (i = 0; i < len; i++)
		if (!isascii(value[i]) ||
		    (!isalnum(value[i]) && !strchr("-_.:@", value[i])))
			return invalf(fc, "khxmem: domain=%s: only letters, digits and -_.:@",
				      value);
	kfree(opt->name);
	opt->name = kstrdup(value, GFP_KERNEL);
	return opt->name ? 0 : -ENOMEM;
}

static int khx_merge_parse_ids(struct fs_context *fc,
			       struct khx_merge_options *opt, int which, u32 id)
{
	if (which == KHX_MERGE_OPT_UID) {
		opt->uid = make_kuid(current_user_ns(), id);
		if (!uid_valid(opt->uid))
			return invalf(fc, "khxmem: uid=%u is not valid", id);
	} else {
		opt->gid = make_kgid(current_user_ns(), id);
		if (!gid_valid(opt->gid))
			return invalf(fc, "khxmem: gid=%u is not valid", id);
	}
	return 0;
}

static int khx_merge_parse_param(struct fs_context *fc,
				 struct fs_parameter *param)
{
	struct khx_merge_options *opt = fc->fs_private;
	struct fs_parse_result result;
	int which;

	which = fs_parse(fc, khx_merge_parameters, param, &result);
	if (which < 0)
		return which;

	switch (which) {
	case KHX_MERGE_OPT_SIZE:
		return khx_merge_parse_size(fc, opt, param->string);
	case KHX_MERGE_OPT_DOMAIN:
		return khx_merge_parse_domain(fc, opt, param->string);
	case KHX_MERGE_OPT_NOMERGE:
		opt->nomerge = true;
		break;
	case KHX_MERGE_OPT_STRICT:
		opt->strict = true;
		break;
	case KHX_MERGE_OPT_HUGE:
		if (result.uint_32 == KHX_MERGE_HUGE_ALWAYS &&
		    !IS_ENABLED(CONFIG_TRANSPARENT_HUGEPAGE))
			return invalf(fc, "khxmem: huge=always: no transparent huge pages");
		opt->huge = result.uint_32;
		break;
	case KHX_MERGE_OPT_MODE:
		if (result.uint_32 & ~07777)
			return invalf(fc, "khxmem: mode=%o is not valid",
				      result.uint_32);
		opt->mode = result.uint_32;
		break;
	default:
		return khx_merge_parse_ids(fc, opt, which, result.uint_32);
	}
	return 0;
}

/* Below what is used the size may go: files then shrink, or stay as they are. */
bool khx_merge_super_charge(struct khx_merge_super *super, unsigned long n)
{
	unsigned long max = READ_ONCE(super->opt.max_pages);
	long used = atomic_long_read(&super->used);

	/* Who asks for too much must not make others' few pages fail. */
	do {
		if (max && used + n > max)
			return false;
	} while (!atomic_long_try_cmpxchg(&super->used, &used, used + n));
	return true;
}

void khx_merge_super_take(struct khx_merge_super *super, unsigned long n)
{
	atomic_long_add(n, &super->used);
}

void khx_merge_super_uncharge(struct khx_merge_super *super, unsigned long n)
{
	atomic_long_sub(n, &super->used);
}

static int khx_merge_super_statfs(struct dentry *dentry, struct kstatfs *buf)
{
	struct khx_merge_super *super = dentry->d_sb->s_fs_info;
	unsigned long max = READ_ONCE(super->opt.max_pages) ?: totalram_pages();
	unsigned long used = atomic_long_read(&super->used);

	buf->f_type = KHX_MERGE_SUPER_MAGIC;
	buf->f_bsize = PAGE_SIZE;
	buf->f_namelen = NAME_MAX;
	buf->f_blocks = max;
	buf->f_bfree = max > used ? max - used : 0;
	buf->f_bavail = buf->f_bfree;
	buf->f_fsid = u64_to_fsid(huge_encode_dev(dentry->d_sb->s_dev));
	return 0;
}

static int khx_merge_super_show_options(struct seq_file *m, struct dentry *root)
{
	struct khx_merge_super *super = root->d_sb->s_fs_info;
	const struct khx_merge_options *opt = &super->opt;
	unsigned long max = READ_ONCE(opt->max_pages);

	if (max)
		seq_printf(m, ",size=%lluk", (u64)max << (PAGE_SHIFT - 10));
	if (opt->name)
		seq_printf(m, ",domain=%s", opt->name);
	if (opt->nomerge)
		seq_puts(m, ",nomerge");
	if (opt->strict)
		seq_puts(m, ",strict");
	if (opt->huge == KHX_MERGE_HUGE_ALWAYS)
		seq_puts(m, ",huge=always");
	seq_printf(m, ",mode=%03o", opt->mode);
	if (!uid_eq(opt->uid, GLOBAL_ROOT_UID))
		seq_printf(m, ",uid=%u",
			   from_kuid_munged(current_user_ns(), opt->uid));
	if (!gid_eq(opt->gid, GLOBAL_ROOT_GID))
		seq_printf(m, ",gid=%u",
			   from_kgid_munged(current_user_ns(), opt->gid));
	return 0;
}

static const struct super_operations khx_merge_super_operations = {
	.alloc_inode	= khx_merge_inode_alloc,
	.free_inode	= khx_merge_inode_free,
	.evict_inode	= khx_merge_inode_evict,
	.drop_inode	= generic_delete_inode,
	.statfs		= khx_merge_super_statfs,
	.show_options	= khx_merge_super_show_options,
};

/* On failure the core calls kill_sb, which undoes whatever was reached. */
static int khx_merge_super_fill(struct super_block *sb, struct fs_context *fc)
{
	struct khx_merge_options *opt = fc->fs_private;
	struct khx_merge_super *super;
	struct inode *root;

	super = kzalloc(sizeof(*super), GFP_KERNEL);
	if (!super)
		return -ENOMEM;
	super->opt = *opt;
	opt->name = NULL;	/* moved */
	ratelimit_state_init(&super->full_events, HZ, 1);
	/* What is left out is no line of the kernel log either. */
	ratelimit_set_flags(&super->full_events, RATELIMIT_MSG_ON_RELEASE);
	sb->s_fs_info = super;
	super->domain = khx_merge_domain_get(super->opt.name);
	if (IS_ERR(super->domain))
		return PTR_ERR(super->domain);

	/* Whole pages, so that rounding an offset up cannot overflow. */
	sb->s_maxbytes = MAX_LFS_FILESIZE & PAGE_MASK;
	sb->s_blocksize = PAGE_SIZE;
	sb->s_blocksize_bits = PAGE_SHIFT;
	sb->s_magic = KHX_MERGE_SUPER_MAGIC;
	sb->s_op = &khx_merge_super_operations;
	sb->s_time_gran = 1;

	root = khx_merge_inode_create(sb, NULL, super->opt.mode | S_IFDIR, 0);
	if (root) {
		root->i_uid = super->opt.uid;
		root->i_gid = super->opt.gid;
	}
	sb->s_root = d_make_root(root);
	return sb->s_root ? 0 : -ENOMEM;
}

static int khx_merge_super_get_tree(struct fs_context *fc)
{
	return get_tree_nodev(fc, khx_merge_super_fill);
}

static bool khx_merge_super_same_domain(const struct khx_merge_options *a,
					const struct khx_merge_options *b)
{
	if (!a->name || !b->name)
		return a->name == b->name;
	return !strcmp(a->name, b->name);
}

/*
 * Mappings were made, and pages merged, by the options of the mount; only its
 * size can change. mount(8) repeats those in force, which is no change.
 */
static int khx_merge_super_reconfigure(struct fs_context *fc)
{
	struct khx_merge_super *super = fc->root->d_sb->s_fs_info;
	struct khx_merge_options *opt = fc->fs_private;

	if (!khx_merge_super_same_domain(opt, &super->opt))
		return invalf(fc, "khxmem: domain= cannot change");
	if (opt->nomerge != super->opt.nomerge)
		return invalf(fc, "khxmem: nomerge cannot change");
	if (opt->strict != super->opt.strict)
		return invalf(fc, "khxmem: strict cannot change");
	if (opt->huge != super->opt.huge)
		return invalf(fc, "khxmem: huge= cannot change");
	if (opt->mode != super->opt.mode || !uid_eq(opt->uid, super->opt.uid) ||
	    !gid_eq(opt->gid, super->opt.gid))
		return invalf(fc, "khxmem: mode=, uid= and gid= cannot change");
	WRITE_ONCE(super->opt.max_pages, opt->max_pages);
	return 0;
}

static void khx_merge_super_free_context(struct fs_context *fc)
{
	struct khx_merge_options *opt = fc->fs_private;

	if (opt)
		kfree(opt->name);
	kfree(opt);
}

static const struct fs_context_operations khx_merge_context_operations = {
	.free		= khx_merge_super_free_context,
	.parse_param	= khx_merge_parse_param,
	.get_tree	= khx_merge_super_get_tree,
	.reconfigure	= khx_merge_super_reconfigure,
};

/* A remount starts from what is in force. */
static int khx_merge_super_init_context(struct fs_context *fc)
{
	struct khx_merge_options *opt = kzalloc(sizeof(*opt), GFP_KERNEL);

	if (!opt)
		return -ENOMEM;
	opt->mode = 0755;
	opt->uid = GLOBAL_ROOT_UID;
	opt->gid = GLOBAL_ROOT_GID;

	if (fc->purpose == FS_CONTEXT_FOR_RECONFIGURE) {
		struct khx_merge_super *super = fc->root->d_sb->s_fs_info;

		*opt = super->opt;
		opt->name = kstrdup(super->opt.name, GFP_KERNEL);
		if (super->opt.name && !opt->name) {
			kfree(opt);
			return -ENOMEM;
		}
	}
	fc->fs_private = opt;
	fc->ops = &khx_merge_context_operations;
	return 0;
}

static void khx_merge_super_kill(struct super_block *sb)
{
	struct khx_merge_super *super = sb->s_fs_info;

	kill_litter_super(sb);
	if (!super)
		return;
	WARN_ON_ONCE(atomic_long_read(&super->used));
	if (!IS_ERR_OR_NULL(super->domain))
		khx_merge_domain_put(super->domain);
	kfree(super->opt.name);
	kfree_rcu(super, rcu);
}

static struct file_system_type khx_merge_fs_type = {
	.owner			= THIS_MODULE,
	.name			= KHX_MERGE_FS_NAME,
	.init_fs_context	= khx_merge_super_init_context,
	.parameters		= khx_merge_parameters,
	.kill_sb		= khx_merge_super_kill,
};
MODULE_ALIAS_FS(KHX_MERGE_FS_NAME);

int khx_merge_super_init(void)
{
	return register_filesystem(&khx_merge_fs_type);
}

void khx_merge_super_exit(void)
{
	unregister_filesystem(&khx_merge_fs_type);
}
