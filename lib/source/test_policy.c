#include "source/policy.h"
#include "source/source.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/test.h"

static char dir[256], file[300];

static int load(const char *text, struct vn_policy *p, struct vn_err *err)
{
	memset(err, 0, sizeof(*err));
	CHECK_OK(vn_fs_replace(file, text, strlen(text), 0644, err), err);
	return vn_policy_load(NULL, dir, p, err);
}

static void test_whole(void)
{
	VN_AUTO(vn_policy) p = { .path = NULL };
	struct vn_err err;
	CHECK_OK(load("# our policy\n"
		      "[class \"model\"]\n\tpath = /opt/app/models/**\n\tpath = *.bin ; two\n"
		      "[rule \"our.build-log\"]\n\tpath = \"/srv/log/**\"\n\tclass = noise\n\tonly = mtime\n"
		      "[class \"noise\"] path = /opt/app/build-info.json\n"
		      "[Rule \"our.build-log\"]\n\tPath = /var/x\n"
		      "[rebase]\n\tmode = paths\n\taccept = config\n\taccept = dependency\n\tsplit\n"
		      "\ttag = model-{git.describe}-{model.quantisation}\n"
		      "[diff]\n\tfiles = yes\n\tlayers = off\n\tclass = model\n\tpath = /opt/\n",
		      &p, &err),
		 &err);
	CHECK_STR(p.path, file);
	CHECK_EQ(p.nrules, 5);
	if (p.nrules != 5)
		return;
	CHECK_STR(p.rules[0].name, "class model");
	CHECK_STR(p.rules[0].class_name, "model");
	CHECK_STR(p.rules[0].pattern, "/opt/app/models/**");
	CHECK_STR(p.rules[1].pattern, "*.bin");
	CHECK_STR(p.rules[2].name, "our.build-log");
	CHECK_STR(p.rules[2].class_name, "noise");
	CHECK_STR(p.rules[2].pattern, "/srv/log/**");
	CHECK_EQ(p.rules[2].only, VN_ONLY_MTIME);
	CHECK_STR(p.rules[3].name, "class noise");
	CHECK_EQ(p.rules[3].only, VN_ONLY_ANY);
	CHECK_STR(p.rules[4].pattern, "/var/x");
	CHECK_STR(p.rules[4].class_name, "noise");
	CHECK_STR(p.mode, "paths");
	CHECK_STR(p.tag, "model-{git.describe}-{model.quantisation}");
	CHECK(p.split && p.diff_files && !p.diff_layers);
	CHECK_EQ(p.naccept, 2);
	CHECK(p.naccept == 2 && !strcmp(p.accept[1], "dependency"));
	CHECK(p.ndiff_classes == 1 && !strcmp(p.diff_classes[0], "model"));
	CHECK(p.ndiff_paths == 1 && !strcmp(p.diff_paths[0], "/opt/"));
}

static void test_absent(void)
{
	VN_AUTO(vn_policy) p = { .path = NULL };
	struct vn_err err = { 0 };
	remove(file);
	CHECK_OK(vn_policy_load(NULL, dir, &p, &err), &err);
	CHECK(!p.path && !p.nrules);
	CHECK_EQ(vn_policy_load(file, NULL, &p, &err), -VN_ENOTFOUND);
	CHECK_HAS(err.text, file);
	CHECK_OK(load("", &p, &err), &err);
	CHECK(p.path && !p.nrules);
}

static void test_named_file(void)
{
	VN_AUTO(vn_policy) p = { .path = NULL };
	VN_AUTO(vn_policy) q = { .path = NULL };
	struct vn_err err;
	CHECK_OK(load("[rebase]\nmode = content\n", &p, &err), &err);
	CHECK_OK(vn_policy_load(file, "/nowhere", &q, &err), &err);
	CHECK_STR(q.mode, "content");
}

static void test_refused(void)
{
	static const struct {
		const char *text, *says, *hint;
	} table[] = {
		{ "[rebase]\n\n  mdoe = paths\n", ", line 3: [rebase] mdoe: unknown key \"mdoe\"", "did you mean \"mode\"?" },
		{ "[rebas]\nmode = paths\n", ", line 1: [rebas]: unknown section \"rebas\"", "did you mean \"rebase\"?" },
		{ "[core]\nbare = 1\n", "unknown section \"core\"", "expected one of: class, rule, rebase, diff" },
		{ "[rebase]\nmode = pats\n", ", line 2: [rebase] mode: unknown mode \"pats\"", "did you mean \"paths\"?" },
		{ "[class \"modle\"]\npath = x\n", "unknown class \"modle\"", "did you mean \"model\"?" },
		{ "[class \"noise\"]\npaths = x\n", "[class \"noise\"] paths: unknown key", "did you mean \"path\"?" },
		{ "[class]\npath = x\n", "the section needs a name", "" },
		{ "[rebase \"x\"]\nmode = paths\n", "takes no name", "" },
		{ "[rule \"a\"]\npath = x\n[rule \"b\"]\nclass = noise\n", "the rule lacks its \"class\"", "" },
		{ "[rule \"b\"]\nclass = noise\n", "the rule lacks its \"path\"", "" },
		{ "[rule \"b\"]\nclass = noise\npath = x\nonly = size\n", "unknown word \"size\"",
		  "expected one of: mtime, content" },
		{ "[rebase]\naccept = everything\n", "unknown class \"everything\"", "expected one of: model," },
		{ "[rebase]\nmode\n", "a value is missing", "" },
		{ "[rebase]\ntag =\n", "a tag is missing", "" },
		{ "[rebase]\nsplit = maybe\n", "expected true or false", "" },
		{ "[class \"noise\"]\npath =\n", "a path pattern is missing", "" },
		{ "\n[include]\npath = /etc/passwd\n", ", line 2: [include] is not allowed", "write the included" },
		{ "[ IncludeIf \"gitdir:/\"]\npath = x\n", "[include] is not allowed", "" },
		{ "[rebase] [include]\npath = x\n", "[include] is not allowed", "" },
		{ "[rebase\nmode = paths\n", "is not a policy file", "" },
		{ "mode = paths\n", "", "" },
	};
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct vn_policy p = { .mode = (char *)(uintptr_t) "untouched" };
		struct vn_err err;
		CHECK_EQ(load(table[i].text, &p, &err), -VN_EFORMAT);
		CHECK_HAS(err.text, file);
		CHECK_HAS(err.text, table[i].says);
		CHECK_HAS(err.hint, table[i].hint);
		CHECK_STR(p.mode, "untouched");
	}
}

static void test_too_large(void)
{
	struct vn_policy p;
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) text = VN_BUF(4u << 20);
	for (int i = 0; i < 150000; i++)
		vn_buf_adds(&text, "#.......\n", &err);
	CHECK_EQ(load(vn_buf_text(&text), &p, &err), -VN_ELIMIT);
	vn_buf_clear(&text);
	vn_buf_adds(&text, "[class \"noise\"]\n", &err);
	for (int i = 0; i < 5000; i++)
		vn_buf_adds(&text, "path = x\n", &err);
	CHECK_EQ(load(vn_buf_text(&text), &p, &err), -VN_ELIMIT);
	CHECK_OK(vn_fs_replace(file, "a\0b", 3, 0644, &err), &err);
	CHECK_EQ(vn_policy_load(NULL, dir, &p, &err), -VN_EFORMAT);
}

int main(void)
{
	struct vn_err err = { 0 };
	const char *tmp = getenv("TMPDIR");
	snprintf(dir, sizeof(dir), "%s/vn-policy-XXXXXX", tmp ? tmp : "/tmp");
	CHECK_OK(vn_git_init(&err), &err);
	if (!mkdtemp(dir))
		return 1;
	snprintf(file, sizeof(file), "%s/" VN_POLICY_FILE, dir);
	RUN(test_whole);
	RUN(test_absent);
	RUN(test_named_file);
	RUN(test_refused);
	RUN(test_too_large);
	vn_fs_remove_tree(dir, &err);
	vn_git_exit();
	return vn_test_end();
}
