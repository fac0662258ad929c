#include "diff/rules.h"
#include "source/policy.h"
#include "util/test.h"

/* One path at least for each built-in rule. */
static const struct {
	const char *path, *rule;
	enum vn_class class_;
} paths[] = {
	{ "var/azureml-app/azureml-models/iris/7/model.pkl", "azureml-model", VN_CLASS_MODEL },
	{ "azureml-models/iris/7", "azureml-model", VN_CLASS_MODEL },
	{ "var/azureml-app/model_config_map.json", "azureml-model-map", VN_CLASS_MODEL },
	{ "var/azureml-app/main.py", "azureml-driver", VN_CLASS_SCORE },
	{ "var/cache/apt/pkgcache.bin", "apt-cache", VN_CLASS_NOISE },
	{ "var/lib/apt/lists/x", "apt-lists", VN_CLASS_NOISE },
	{ "var/lib/apt/periodic/x", "apt-lists", VN_CLASS_NOISE },
	{ "var/lib/dpkg/status-old", "dpkg-backup", VN_CLASS_NOISE },
	{ "var/backups/a/b", "dpkg-backup", VN_CLASS_NOISE },
	{ "var/lib/dpkg/lock-frontend", "dpkg-lock", VN_CLASS_NOISE },
	{ "var/lib/dpkg/triggers/Lock", "dpkg-lock", VN_CLASS_NOISE },
	{ "var/cache/debconf/config.dat", "debconf-cache", VN_CLASS_NOISE },
	{ "var/cache/ldconfig/aux-cache", "ldconfig-cache", VN_CLASS_NOISE },
	{ "var/cache/man/index.db", "man-cache", VN_CLASS_NOISE },
	{ "var/cache/fontconfig/x", "font-cache", VN_CLASS_NOISE },
	{ "var/log/dpkg.log", "logs", VN_CLASS_NOISE },
	{ "var/azureml-logs/x", "logs", VN_CLASS_NOISE },
	{ "root/.npm/_logs/x", "logs", VN_CLASS_NOISE },
	{ "opt/conda/conda-meta/history", "conda-history", VN_CLASS_NOISE },
	{ "opt/conda/pkgs/urls", "conda-cache", VN_CLASS_NOISE },
	{ "opt/miniconda3/pkgs/urls", "conda-cache", VN_CLASS_NOISE },
	{ "opt/anaconda3/pkgs/urls", "conda-cache", VN_CLASS_NOISE },
	{ "root/.conda/environments.txt", "conda-cache", VN_CLASS_NOISE },
	{ "root/.cache/pip/http/x", "pip-cache", VN_CLASS_NOISE },
	{ "var/cache/apk/x", "apk-cache", VN_CLASS_NOISE },
	{ "etc/apk/cache/x", "apk-cache", VN_CLASS_NOISE },
	{ "var/cache/yum/x", "yum-cache", VN_CLASS_NOISE },
	{ "var/cache/dnf/x", "yum-cache", VN_CLASS_NOISE },
	{ "var/lib/dnf/history.sqlite", "yum-cache", VN_CLASS_NOISE },
	{ "var/lib/yum/history/x", "yum-cache", VN_CLASS_NOISE },
	{ "var/lib/rpm/__db.001", "rpm-state", VN_CLASS_NOISE },
	{ "var/lib/rpm/.rpm.lock", "rpm-state", VN_CLASS_NOISE },
	{ "usr/lib/sysimage/rpm/rpmdb.sqlite-shm", "rpm-state", VN_CLASS_NOISE },
	{ "tmp/x", "temporary-files", VN_CLASS_NOISE },
	{ "var/tmp/x", "temporary-files", VN_CLASS_NOISE },
	{ "run/x", "temporary-files", VN_CLASS_NOISE },
	{ "etc/machine-id", "machine-id", VN_CLASS_NOISE },
	{ "var/lib/dbus/machine-id", "machine-id", VN_CLASS_NOISE },
	{ "etc/resolv.conf", "build-host", VN_CLASS_NOISE },
	{ "etc/hosts", "build-host", VN_CLASS_NOISE },
	{ "etc/hostname", "build-host", VN_CLASS_NOISE },
	{ ".dockerenv", "build-host", VN_CLASS_NOISE },
	{ "root/.bash_history", "shell-history", VN_CLASS_NOISE },
	{ "root/.wget-hsts", "shell-history", VN_CLASS_NOISE },
	{ "var/lib/dpkg/status", "package-database", VN_CLASS_DEPENDENCY },
	{ "var/lib/apt/extended_states", "package-database", VN_CLASS_DEPENDENCY },
	{ "lib/apk/db/installed", "package-database", VN_CLASS_DEPENDENCY },
	{ "usr/lib/apk/db/installed", "package-database", VN_CLASS_DEPENDENCY },
	{ "etc/apk/world", "package-database", VN_CLASS_DEPENDENCY },
	{ "var/lib/rpm/rpmdb.sqlite", "package-database", VN_CLASS_DEPENDENCY },
	{ "opt/conda/conda-meta/numpy-1.json", "package-database", VN_CLASS_DEPENDENCY },
	{ "app/venv/lib/python3.11/site-packages/numpy/x.py", "python-packages", VN_CLASS_DEPENDENCY },
	{ "usr/lib/python3/dist-packages/yaml/x.py", "python-packages", VN_CLASS_DEPENDENCY },
	{ "usr/lib/python3.11/os.py", "python-packages", VN_CLASS_DEPENDENCY },
	{ "app/node_modules/x/index.js", "node-packages", VN_CLASS_DEPENDENCY },
	{ "opt/conda/bin/python", "conda-packages", VN_CLASS_DEPENDENCY },
	{ "azureml-envs/x/bin/y", "conda-packages", VN_CLASS_DEPENDENCY },
	{ "opt/miniconda3/bin/y", "conda-packages", VN_CLASS_DEPENDENCY },
	{ "usr/lib/x86_64-linux-gnu/libm.so", "system-files", VN_CLASS_DEPENDENCY },
	{ "usr/bin/env", "system-files", VN_CLASS_DEPENDENCY },
	{ "lib64/ld.so", "system-files", VN_CLASS_DEPENDENCY },
	{ "bin/sh", "system-files", VN_CLASS_DEPENDENCY },
	{ "etc/alternatives/awk", "system-files", VN_CLASS_DEPENDENCY },
	{ "etc/ld.so.cache", "system-files", VN_CLASS_DEPENDENCY },
	{ "etc/ssl/certs/ca.pem", "system-files", VN_CLASS_DEPENDENCY },
	{ "usr/share/doc/x", "system-files", VN_CLASS_DEPENDENCY },
	{ "app/score.py", "score-script", VN_CLASS_SCORE },
	{ "app/iris_score.py", "score-script", VN_CLASS_SCORE },
	{ "scoring.py", "score-script", VN_CLASS_SCORE },
	{ "etc/passwd", "system-settings", VN_CLASS_CONFIG },
	{ "app/conf.yaml", "settings", VN_CLASS_CONFIG },
	{ "app/x.yml", "settings", VN_CLASS_CONFIG },
	{ "app/x.toml", "settings", VN_CLASS_CONFIG },
	{ "app/x.ini", "settings", VN_CLASS_CONFIG },
	{ "app/x.cfg", "settings", VN_CLASS_CONFIG },
	{ "app/x.conf", "settings", VN_CLASS_CONFIG },
	{ "app/.env", "settings", VN_CLASS_CONFIG },
	{ "app/data.bin", "other", VN_CLASS_OTHER },
	{ "", "other", VN_CLASS_OTHER },
	/* near, and not it */
	{ "app/var/log/x", "other", VN_CLASS_OTHER },
	{ "var/lib/dpkg/info/x-old.list", "package-database", VN_CLASS_DEPENDENCY },
	{ "etc/hosts.allow", "system-settings", VN_CLASS_CONFIG },
	{ "logs/var/cache/apt/x", "other", VN_CLASS_OTHER },
	{ "tmp", "other", VN_CLASS_OTHER },
};

static void test_built_in(void)
{
	struct vn_rules rules = { { NULL }, NULL, 0, 0 };
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		const struct vn_rule *rule = vn_rules_match(&rules, paths[i].path, VN_FIELD_CONTENT, false);
		CHECK_STR(rule->name, paths[i].rule);
		CHECK_EQ(rule->class_, paths[i].class_);
	}
}

static void test_format(void)
{
	struct vn_rules rules = { { NULL }, NULL, 0, 0 };
	CHECK_STR(vn_rules_match(&rules, "app/data.bin", 0, true)->name, "model-format");
	CHECK_STR(vn_rules_match(&rules, "usr/lib/python3/x.pkl", 0, true)->name, "python-packages");
	CHECK(vn_rules_may_name(&rules, "app/data.bin", true));
	CHECK(!vn_rules_may_name(&rules, "app/data.bin", false));
	CHECK(vn_rules_may_name(&rules, "azureml-models/x/1/y", false));
}

static void test_users_come_first(void)
{
	static const struct {
		const char *name, *class_name, *pattern;
		enum vn_policy_only only;
	} written[] = {
		{ "ours", "noise", "/srv/log/", VN_ONLY_ANY },
		{ "stamps", "noise", "/app/**", VN_ONLY_MTIME },
		{ "texts", "metadata", "/app/doc/**", VN_ONLY_CONTENT },
		{ "class model", "model", "/var/log/model/**", VN_ONLY_ANY },
		{ "late", "config", "/app/doc/late", VN_ONLY_ANY },
	};
	struct vn_policy_rule list[5];
	char texts[5][3][24], what[] = "what";
	for (int i = 0; i < 5; i++) {
		snprintf(texts[i][0], 24, "%s", written[i].name);
		snprintf(texts[i][1], 24, "%s", written[i].class_name);
		snprintf(texts[i][2], 24, "%s", written[i].pattern);
		list[i] = (struct vn_policy_rule){ texts[i][0], texts[i][1], texts[i][2], written[i].only };
	}
	struct vn_policy policy = { .rules = list, .nrules = 5 };
	struct vn_rules rules;
	struct vn_err err = { 0 };
	CHECK_OK(vn_rules_open(&policy, NULL, &rules, &err), &err);
	CHECK_STR(vn_rules_match(&rules, "srv/log/a", VN_FIELD_CONTENT, false)->name, "ours");
	CHECK_STR(vn_rules_match(&rules, "var/log/model/a", VN_FIELD_CONTENT, false)->name, "class model");
	CHECK(vn_rules_may_name(&rules, "var/log/model/a", false));
	/* `only` */
	CHECK_STR(vn_rules_match(&rules, "app/x", VN_FIELD_MTIME, false)->name, "stamps");
	CHECK_STR(vn_rules_match(&rules, "app/x", VN_FIELD_MTIME | VN_FIELD_CONTENT, false)->name, "other");
	CHECK_STR(vn_rules_match(&rules, "app/doc/x", VN_FIELD_MTIME | VN_FIELD_CONTENT, false)->name, "texts");
	CHECK_STR(vn_rules_match(&rules, "app/doc/x", VN_FIELD_CONTENT, false)->name, "texts");
	CHECK_STR(vn_rules_match(&rules, "app/doc/x", VN_FIELD_CONTENT | VN_FIELD_MODE, false)->name, "other");
	CHECK_STR(vn_rules_match(&rules, "app/doc/late", VN_FIELD_MODE, false)->name, "late");
	/* a path that one tree alone has is no difference of one field */
	CHECK_STR(vn_rules_match(&rules, "app/x", 0, false)->name, "other");
	CHECK_STR(vn_rules_for_times(&rules, "app/x")->name, "stamps");
	CHECK(vn_rules_for_times(&rules, "srv/log/a") == NULL);
	vn_rules_release(&rules);
	list[0].class_name = what;
	CHECK_EQ(vn_rules_open(&policy, NULL, &rules, &err), -VN_EUSAGE);
}

static void test_azureml_environment(void)
{
	static const char text[] =
		"{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]},\"config\":"
		"{\"Env\":[\"AZUREML_MODEL_DIR=/srv/m\",\"AZUREML_ENTRY_SCRIPT=run.py\",\"AML_APP_ROOT=/srv/app\"]}}";
	struct vn_config config = { 0 };
	struct vn_rules rules;
	struct vn_err err = { 0 };
	CHECK_OK(vn_config_parse(text, sizeof(text) - 1, &config, &err), &err);
	CHECK_OK(vn_rules_open(NULL, &config, &rules, &err), &err);
	CHECK_STR(vn_rules_match(&rules, "srv/m/a/b", 0, false)->name, "azureml-model-dir");
	CHECK_STR(vn_rules_match(&rules, "srv/app/run.py", 0, false)->name, "azureml-entry-script");
	CHECK_STR(vn_rules_match(&rules, "srv/mm/a", 0, false)->name, "other");
	vn_rules_release(&rules);
	vn_config_release(&config);
}

static void test_names(void)
{
	char out[80];
	enum vn_class c;
	for (int i = 0; i < VN_CLASSES; i++)
		CHECK(vn_class_parse(vn_class_name((enum vn_class)i), &c) && c == (enum vn_class)i);
	CHECK(!vn_class_parse("nothing", &c));
	CHECK_STR(vn_class_name(VN_CLASSES), "unknown");
	CHECK_STR(vn_change_name(VN_RENAMED), "renamed");
	CHECK_STR(vn_fields_text(0, out), "");
	CHECK_STR(vn_fields_text(VN_FIELD_CONTENT | VN_FIELD_MODE, out), "content,mode");
	CHECK_STR(vn_fields_text(0x1ff, out), "content,type,mode,owner,xattrs,link,mtime,device,hardlink");
}

int main(void)
{
	RUN(test_built_in);
	RUN(test_format);
	RUN(test_users_come_first);
	RUN(test_azureml_environment);
	RUN(test_names);
	return vn_test_end();
}
