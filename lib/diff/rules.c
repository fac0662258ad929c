#include "diff/rules.h"
#include "source/policy.h"
#include "util/buf.h"
#include "util/path.h"
#include <string.h>

const struct vn_rule vn_rule_metadata = { "times", VN_CLASS_METADATA, NULL, 0 };
const struct vn_rule vn_rule_bytecode = { "python-bytecode", VN_CLASS_NOISE, NULL, 0 };
const struct vn_rule vn_rule_bytecode_pair = { "python-bytecode-pair", VN_CLASS_DEPENDENCY, NULL, 0 };

/* Order matters: what is certain comes before what is likely. veneer-diff(1) describes every name. */
static const struct vn_rule built_in[] = {
	{ "azureml-model", VN_CLASS_MODEL, "**/azureml-models/**", 0 },
	{ "azureml-model-map", VN_CLASS_MODEL, "**/model_config_map.json", 0 },
	{ "azureml-driver", VN_CLASS_SCORE, "/var/azureml-app/*.py", 0 },

	{ "apt-cache", VN_CLASS_NOISE, "/var/cache/apt/**", 0 },
	{ "apt-lists", VN_CLASS_NOISE, "/var/lib/apt/lists/**", 0 },
	{ "apt-lists", VN_CLASS_NOISE, "/var/lib/apt/periodic/**", 0 },
	{ "dpkg-backup", VN_CLASS_NOISE, "/var/lib/dpkg/*-old", 0 },
	{ "dpkg-backup", VN_CLASS_NOISE, "/var/backups/**", 0 },
	{ "dpkg-lock", VN_CLASS_NOISE, "/var/lib/dpkg/lock*", 0 },
	{ "dpkg-lock", VN_CLASS_NOISE, "/var/lib/dpkg/triggers/Lock", 0 },
	{ "debconf-cache", VN_CLASS_NOISE, "/var/cache/debconf/**", 0 },
	{ "ldconfig-cache", VN_CLASS_NOISE, "/var/cache/ldconfig/**", 0 },
	{ "man-cache", VN_CLASS_NOISE, "/var/cache/man/**", 0 },
	{ "font-cache", VN_CLASS_NOISE, "/var/cache/fontconfig/**", 0 },
	{ "logs", VN_CLASS_NOISE, "/var/log/**", 0 },
	{ "logs", VN_CLASS_NOISE, "/var/azureml-logs/**", 0 },
	{ "logs", VN_CLASS_NOISE, "**/.npm/_logs/**", 0 },
	{ "conda-history", VN_CLASS_NOISE, "**/conda-meta/history", 0 },
	{ "conda-cache", VN_CLASS_NOISE, "**/conda/pkgs/**", 0 },
	{ "conda-cache", VN_CLASS_NOISE, "**/miniconda*/pkgs/**", 0 },
	{ "conda-cache", VN_CLASS_NOISE, "**/anaconda*/pkgs/**", 0 },
	{ "conda-cache", VN_CLASS_NOISE, "**/.conda/environments.txt", 0 },
	{ "pip-cache", VN_CLASS_NOISE, "**/.cache/pip/**", 0 },
	{ "apk-cache", VN_CLASS_NOISE, "/var/cache/apk/**", 0 },
	{ "apk-cache", VN_CLASS_NOISE, "/etc/apk/cache/**", 0 },
	{ "yum-cache", VN_CLASS_NOISE, "/var/cache/yum/**", 0 },
	{ "yum-cache", VN_CLASS_NOISE, "/var/cache/dnf/**", 0 },
	{ "yum-cache", VN_CLASS_NOISE, "/var/lib/dnf/history*", 0 },
	{ "yum-cache", VN_CLASS_NOISE, "/var/lib/yum/history/**", 0 },
	{ "rpm-state", VN_CLASS_NOISE, "/var/lib/rpm/__db.*", 0 },
	{ "rpm-state", VN_CLASS_NOISE, "/var/lib/rpm/.rpm.lock", 0 },
	{ "rpm-state", VN_CLASS_NOISE, "**/rpmdb.sqlite-*", 0 },
	{ "machine-id", VN_CLASS_NOISE, "/etc/machine-id", 0 },
	{ "machine-id", VN_CLASS_NOISE, "/var/lib/dbus/machine-id", 0 },
	{ "build-host", VN_CLASS_NOISE, "/etc/resolv.conf", 0 },
	{ "build-host", VN_CLASS_NOISE, "/etc/hostname", 0 },
	{ "build-host", VN_CLASS_NOISE, "/etc/hosts", 0 },
	{ "build-host", VN_CLASS_NOISE, "/.dockerenv", 0 },
	{ "shell-history", VN_CLASS_NOISE, "/root/.*_history", 0 },
	{ "shell-history", VN_CLASS_NOISE, "/root/.wget-hsts", 0 },

	{ "package-database", VN_CLASS_DEPENDENCY, "/var/lib/dpkg/**", 0 },
	{ "package-database", VN_CLASS_DEPENDENCY, "/var/lib/apt/**", 0 },
	{ "package-database", VN_CLASS_DEPENDENCY, "/lib/apk/**", 0 },
	{ "package-database", VN_CLASS_DEPENDENCY, "/usr/lib/apk/**", 0 },
	{ "package-database", VN_CLASS_DEPENDENCY, "/etc/apk/**", 0 },
	{ "package-database", VN_CLASS_DEPENDENCY, "/var/lib/rpm/**", 0 },
	{ "package-database", VN_CLASS_DEPENDENCY, "**/conda-meta/**", 0 },
	{ "python-packages", VN_CLASS_DEPENDENCY, "**/site-packages/**", 0 },
	{ "python-packages", VN_CLASS_DEPENDENCY, "**/dist-packages/**", 0 },
	{ "python-packages", VN_CLASS_DEPENDENCY, "**/lib/python*/**", 0 },
	{ "node-packages", VN_CLASS_DEPENDENCY, "**/node_modules/**", 0 },
	{ "conda-packages", VN_CLASS_DEPENDENCY, "/opt/conda/**", 0 },
	{ "conda-packages", VN_CLASS_DEPENDENCY, "/opt/miniconda*/**", 0 },
	{ "conda-packages", VN_CLASS_DEPENDENCY, "/azureml-envs/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/usr/lib*/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/usr/bin/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/usr/sbin/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/usr/include/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/usr/local/lib*/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/usr/local/bin/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/lib*/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/bin/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/sbin/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/etc/alternatives/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/etc/ld.so.*", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/etc/ssl/certs/**", 0 },

	{ "model-format", VN_CLASS_MODEL, NULL, 0 },
	/* behind it: a model is loaded from wherever it is */
	{ "temporary-files", VN_CLASS_NOISE, "/tmp/**", 0 },
	{ "temporary-files", VN_CLASS_NOISE, "/var/tmp/**", 0 },
	{ "temporary-files", VN_CLASS_NOISE, "/run/**", 0 },
	{ "system-files", VN_CLASS_DEPENDENCY, "/usr/share/**", 0 },
	{ "score-script", VN_CLASS_SCORE, "score.py", 0 },
	{ "score-script", VN_CLASS_SCORE, "*_score.py", 0 },
	{ "score-script", VN_CLASS_SCORE, "scoring.py", 0 },
	{ "system-settings", VN_CLASS_CONFIG, "/etc/**", 0 },
	{ "settings", VN_CLASS_CONFIG, "*.yaml", 0 },
	{ "settings", VN_CLASS_CONFIG, "*.yml", 0 },
	{ "settings", VN_CLASS_CONFIG, "*.toml", 0 },
	{ "settings", VN_CLASS_CONFIG, "*.ini", 0 },
	{ "settings", VN_CLASS_CONFIG, "*.cfg", 0 },
	{ "settings", VN_CLASS_CONFIG, "*.conf", 0 },
	{ "settings", VN_CLASS_CONFIG, "*.env", 0 },
	{ "other", VN_CLASS_OTHER, "**", 0 },
};

static const char *const class_names[VN_CLASSES] = {
	[VN_CLASS_METADATA] = "metadata", [VN_CLASS_NOISE] = "noise",   [VN_CLASS_MODEL] = "model", [VN_CLASS_SCORE] = "score",
	[VN_CLASS_DEPENDENCY] = "dependency", [VN_CLASS_CONFIG] = "config", [VN_CLASS_OTHER] = "other",
};

const char *vn_class_name(enum vn_class c)
{
	return (unsigned)c < VN_CLASSES ? class_names[c] : "unknown";
}

bool vn_class_parse(const char *name, enum vn_class *ret)
{
	for (int i = 0; i < VN_CLASSES; i++)
		if (!strcmp(class_names[i], name)) {
			*ret = (enum vn_class)i;
			return true;
		}
	return false;
}

const char *vn_change_name(enum vn_change c)
{
	static const char *const names[] = { "added", "removed", "changed", "renamed" };
	return (unsigned)c < 4 ? names[c] : "unknown";
}

const char *vn_fields_text(unsigned fields, char out[80])
{
	static const char *const names[] = { "content", "type", "mode", "owner", "xattrs", "link", "mtime", "device", "hardlink" };
	size_t at = 0;
	out[0] = 0;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (fields & 1u << i) {
			size_t n = strlen(names[i]);
			if (at)
				out[at++] = ',';
			memcpy(out + at, names[i], n + 1);
			at += n;
		}
	return out;
}

static int add(struct vn_rules *rules, const char *name, enum vn_class class_, const char *pattern, unsigned only,
	       struct vn_err *err)
{
	int r = vn_grow(&rules->user, &rules->user_cap, rules->nuser + 1, sizeof(*rules->user), err);
	if (r < 0)
		return r;
	struct vn_rule *rule = &rules->user[rules->nuser];
	rule->name = vn_arena_text(&rules->arena, name, err);
	rule->pattern = vn_arena_text(&rules->arena, pattern, err);
	rule->class_ = class_;
	rule->only = only;
	if (!rule->name || !rule->pattern)
		return -(int)err->code;
	rules->nuser++;
	return 0;
}

/* The value of NAME in config.Env, NULL when it is not set. */
static const char *env_value(const struct vn_config *config, const char *name)
{
	struct vn_jv root = vn_jv_root(config->json, "the configuration"), inner = vn_jv_get(&root, "config");
	struct vn_jv env = vn_jv_get(&inner, "Env");
	struct vn_err ignored = { 0 };
	size_t len = strlen(name);
	for (size_t i = 0; vn_jv_is_array(&env) && i < vn_jv_count(&env); i++) {
		struct vn_jv one = vn_jv_at(&env, i);
		const char *text;
		if (vn_jv_text(&one, &text, &ignored) == 0 && !strncmp(text, name, len) && text[len] == '=')
			return text + len + 1;
	}
	return NULL;
}

static int add_azureml(struct vn_rules *rules, const struct vn_config *config, struct vn_err *err)
{
	const char *model = env_value(config, "AZUREML_MODEL_DIR"), *script = env_value(config, "AZUREML_ENTRY_SCRIPT");
	const char *root = env_value(config, "AML_APP_ROOT");
	int r = 0;
	if (model && *model == '/' && strlen(model) > 1) {
		const char *pattern = vn_arena_printf(&rules->arena, err, "%s/**", model);
		r = pattern ? add(rules, "azureml-model-dir", VN_CLASS_MODEL, pattern, 0, err) : -(int)err->code;
	}
	if (r == 0 && script && *script) {
		const char *pattern = vn_arena_printf(&rules->arena, err, "%s/%s", root && *root == '/' ? root : "/var/azureml-app",
						      script);
		r = pattern ? add(rules, "azureml-entry-script", VN_CLASS_SCORE, *script == '/' ? script : pattern, 0, err) :
			      -(int)err->code;
	}
	return r;
}

static unsigned only_of(enum vn_policy_only only)
{
	return only == VN_ONLY_MTIME ? VN_FIELD_MTIME : only == VN_ONLY_CONTENT ? VN_FIELD_CONTENT | VN_FIELD_MTIME : 0;
}

int vn_rules_open(const struct vn_policy *policy, const struct vn_config *config, struct vn_rules *ret, struct vn_err *err)
{
	struct vn_rules rules = { { NULL }, NULL, 0, 0 };
	int r = 0;
	for (size_t i = 0; policy && r == 0 && i < policy->nrules; i++) {
		enum vn_class class_;
		if (!vn_class_parse(policy->rules[i].class_name, &class_))
			r = vn_fail(err, VN_EUSAGE, "the policy's rule \"%s\" names no class: \"%s\"", policy->rules[i].name,
				    policy->rules[i].class_name);
		else
			r = add(&rules, policy->rules[i].name, class_, policy->rules[i].pattern, only_of(policy->rules[i].only), err);
	}
	if (r == 0 && config)
		r = add_azureml(&rules, config, err);
	if (r < 0) {
		vn_rules_release(&rules);
		return r;
	}
	*ret = rules;
	return 0;
}

void vn_rules_release(struct vn_rules *rules)
{
	vn_arena_release(&rules->arena);
	free(rules->user);
	*rules = (struct vn_rules){ { NULL }, NULL, 0, 0 };
}

static bool user_match(const struct vn_rule *rule, const char *path, unsigned fields)
{
	return (!rule->only || (fields && !(fields & ~rule->only))) && vn_path_match(rule->pattern, path);
}

const struct vn_rule *vn_rules_match(const struct vn_rules *rules, const char *path, unsigned fields, bool model_format)
{
	size_t n = sizeof(built_in) / sizeof(built_in[0]);
	for (size_t i = 0; i < rules->nuser; i++)
		if (user_match(&rules->user[i], path, fields))
			return &rules->user[i];
	for (size_t i = 0; i < n; i++)
		if (built_in[i].pattern ? vn_path_match(built_in[i].pattern, path) : model_format)
			return &built_in[i];
	return &built_in[n - 1];
}

const struct vn_rule *vn_rules_for_times(const struct vn_rules *rules, const char *path)
{
	for (size_t i = 0; i < rules->nuser; i++)
		if (rules->user[i].only == VN_FIELD_MTIME && vn_path_match(rules->user[i].pattern, path))
			return &rules->user[i];
	return NULL;
}

bool vn_rules_may_name(const struct vn_rules *rules, const char *path, bool model_format)
{
	if (model_format || strstr(path, "azureml-models/"))
		return true;
	for (size_t i = 0; i < rules->nuser; i++)
		if (rules->user[i].class_ == VN_CLASS_MODEL && vn_path_match(rules->user[i].pattern, path))
			return true;
	return false;
}
