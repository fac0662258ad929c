#include "source/policy.h"
#include "source/door.h"
#include "util/buf.h"
#include "util/fs.h"
#include "util/limits.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

const char *const vn_policy_classes[] = { "model", "score", "dependency", "config", "noise", "metadata", "other", NULL };
static const char *const modes[] = { "content", "paths", NULL };
static const char *const onlys[] = { "mtime", "content", NULL };
static const char *const sections[] = { "class", "rule", "rebase", "diff", NULL };
static const char *const class_keys[] = { "path", NULL };
static const char *const rule_keys[] = { "class", "path", "only", NULL };
static const char *const rebase_keys[] = { "mode", "accept", "split", "tag", NULL };
static const char *const diff_keys[] = { "files", "layers", "class", "path", NULL };

/* One "section.subsection.key = value" and where it comes from. */
struct entry {
	const char *file;
	const struct vn_buf *text;
	char section[64], *subsection, key[64]; /* subsection NULL: none */
	const char *value;			/* NULL: a key without '=' */
};
struct reading {
	struct vn_policy *p;
	size_t cap;
	struct vn_policy_rule *settings; /* class and only of each [rule], by its name; pattern unused */
	size_t nsettings, settings_cap;
};

static void release_rules(struct vn_policy_rule *rules, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(rules[i].name);
		free(rules[i].class_name);
		free(rules[i].pattern);
	}
	free(rules);
}

static void release_list(char **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(list[i]);
	free(list);
}

void vn_policy_release(struct vn_policy *p)
{
	release_rules(p->rules, p->nrules);
	release_list(p->accept, p->naccept);
	release_list(p->diff_classes, p->ndiff_classes);
	release_list(p->diff_paths, p->ndiff_paths);
	free(p->path);
	free(p->mode);
	free(p->tag);
	*p = (struct vn_policy){ .path = NULL };
}

static void release_reading(struct reading *r)
{
	release_rules(r->settings, r->nsettings);
}

/* Edits (insert, delete, replace) that turn a into b; words longer than the row count as far apart. */
static size_t distance(const char *a, const char *b)
{
	size_t row[32], n = strlen(b);
	if (n + 1 > sizeof(row) / sizeof(*row))
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 1; j <= n; j++) {
			size_t replace = diagonal + (tolower((unsigned char)a[i]) != b[j - 1]);
			size_t other = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
			diagonal = row[j];
			row[j] = replace < other ? replace : other;
		}
	}
	return row[n];
}

static const char *near(const char *word, const char *const *names)
{
	const char *best = NULL;
	size_t least = 3;
	for (; *names; names++) {
		size_t d = distance(word, *names);
		if (d < least && d < strlen(*names)) {
			least = d;
			best = *names;
		}
	}
	return best;
}

static bool known(const char *word, const char *const *names)
{
	while (*names && strcmp(*names, word))
		names++;
	return *names != NULL;
}

/* Line on which a section (key NULL) or a key within it first stands; 0 when not found. */
static unsigned line_of(const struct vn_buf *text, const char *section, const char *subsection, const char *key)
{
	bool within = false;
	unsigned line = 1;
	size_t n = strlen(section), k = key ? strlen(key) : 0;
	for (const char *p = vn_buf_text(text); *p; line++) {
		const char *end = p + strcspn(p, "\n"), *close;
		p += strspn(p, " \t");
		if (*p == '[' && (close = memchr(p, ']', (size_t)(end - p)))) {
			p += 1 + strspn(p + 1, " \t");
			within = !strncasecmp(p, section, n) && strchr(" \t].\"", p[n]) &&
				 (!subsection || memmem(p, (size_t)(close - p), subsection, strlen(subsection)));
			if (within && !key)
				return line;
			p = close + 1 + strspn(close + 1, " \t");
		}
		if (within && key && !strncasecmp(p, key, k) && strchr(" \t=\r\n;#", p[k]))
			return line;
		p = *end ? end + 1 : end;
	}
	return 0;
}

static int bad(const struct entry *e, struct vn_err *err, const char *what, const char *word, const char *const *names)
{
	char at[24] = "", list[256];
	unsigned line = line_of(e->text, e->section, e->subsection, e->key[0] ? e->key : NULL);
	size_t n = 0;
	const char *guess = names ? near(word, names) : NULL;
	if (line)
		snprintf(at, sizeof(at), ", line %u", line);
	vn_fail(err, VN_EFORMAT, "%s%s: [%s%s%s%s]%s%s: %s \"%s\"", e->file, at, e->section, e->subsection ? " \"" : "",
		e->subsection ? e->subsection : "", e->subsection ? "\"" : "", e->key[0] ? " " : "", e->key, what, word);
	if (guess)
		return vn_hint(err, "did you mean \"%s\"?", guess);
	list[0] = 0;
	for (; names && *names && n < sizeof(list); names++)
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s", n ? ", " : "", *names);
	return names ? vn_hint(err, "expected one of: %s", list) : -VN_EFORMAT;
}

static int want(const struct entry *e, const char *what, const char *const *names, struct vn_err *err)
{
	return known(e->value, names) ? 0 : bad(e, err, what, e->value, names);
}

static int want_pattern(const struct entry *e, struct vn_err *err)
{
	if (!*e->value)
		return bad(e, err, "a path pattern is missing", "", NULL);
	return strlen(e->value) <= VN_MAX_PATH ? 0 : bad(e, err, "a path pattern is too long", "", NULL);
}

static int replace(char **to, const char *value, struct vn_err *err)
{
	char *copy = NULL;
	int r = vn_strdup(value, &copy, err);
	if (r < 0)
		return r;
	free(*to);
	*to = copy;
	return 0;
}

static int append(char ***list, size_t *n, const char *value, struct vn_err *err)
{
	size_t cap = *n;
	int r = vn_grow(list, &cap, *n + 1, sizeof(**list), err);
	if (r < 0 || (r = vn_strdup(value, &(*list)[*n], err)) < 0)
		return r;
	++*n;
	return 0;
}

static int boolean(const struct entry *e, bool *ret, struct vn_err *err)
{
	int value = 1;
	if (e->value && git_config_parse_bool(&value, e->value) < 0)
		return bad(e, err, "expected true or false, found", e->value, NULL);
	*ret = value != 0;
	return 0;
}

static int add_rule(struct reading *r, const char *name, const char *class_name, const char *pattern, struct vn_err *err)
{
	struct vn_policy *p = r->p;
	if (p->nrules == VN_MAX_POLICY_RULES)
		return vn_fail(err, VN_ELIMIT, "more than %u paths in the policy", VN_MAX_POLICY_RULES);
	int code = vn_grow(&p->rules, &r->cap, p->nrules + 1, sizeof(*p->rules), err);
	if (code < 0)
		return code;
	struct vn_policy_rule *rule = &p->rules[p->nrules++];
	*rule = (struct vn_policy_rule){ .name = NULL };
	if ((code = vn_strdup(name, &rule->name, err)) < 0 || (code = vn_strdup(class_name, &rule->class_name, err)) < 0)
		return code;
	return vn_strdup(pattern, &rule->pattern, err);
}

static int take_class(struct reading *r, const struct entry *e, struct vn_err *err)
{
	char name[80];
	if (!known(e->subsection, vn_policy_classes))
		return bad(e, err, "unknown class", e->subsection, vn_policy_classes);
	int code = want_pattern(e, err);
	if (code < 0)
		return code;
	snprintf(name, sizeof(name), "class %s", e->subsection);
	return add_rule(r, name, e->subsection, e->value, err);
}

static struct vn_policy_rule *setting(struct reading *r, const char *name)
{
	for (size_t i = 0; i < r->nsettings; i++)
		if (!strcmp(r->settings[i].name, name))
			return &r->settings[i];
	return NULL;
}

static int take_rule(struct reading *r, const struct entry *e, struct vn_err *err)
{
	struct vn_policy_rule *s = setting(r, e->subsection);
	int code = 0;
	if (!s) {
		if (r->nsettings == VN_MAX_POLICY_RULES)
			return vn_fail(err, VN_ELIMIT, "more than %u rules in the policy", VN_MAX_POLICY_RULES);
		if ((code = vn_grow(&r->settings, &r->settings_cap, r->nsettings + 1, sizeof(*s), err)) < 0)
			return code;
		s = &r->settings[r->nsettings];
		*s = (struct vn_policy_rule){ .name = NULL };
		if ((code = vn_strdup(e->subsection, &s->name, err)) < 0)
			return code;
		r->nsettings++;
	}
	if (!strcmp(e->key, "path")) {
		code = want_pattern(e, err);
		return code < 0 ? code : add_rule(r, e->subsection, NULL, e->value, err);
	}
	if (!strcmp(e->key, "class")) {
		code = want(e, "unknown class", vn_policy_classes, err);
		return code < 0 ? code : replace(&s->class_name, e->value, err);
	}
	if ((code = want(e, "unknown word", onlys, err)) < 0)
		return code;
	s->only = strcmp(e->value, "mtime") ? VN_ONLY_CONTENT : VN_ONLY_MTIME;
	return 0;
}

static int take_rebase(struct reading *r, const struct entry *e, struct vn_err *err)
{
	int code;
	if (!strcmp(e->key, "split"))
		return boolean(e, &r->p->split, err);
	if (!strcmp(e->key, "mode"))
		return (code = want(e, "unknown mode", modes, err)) < 0 ? code : replace(&r->p->mode, e->value, err);
	if (!strcmp(e->key, "accept")) {
		code = want(e, "unknown class", vn_policy_classes, err);
		return code < 0 ? code : append(&r->p->accept, &r->p->naccept, e->value, err);
	}
	return *e->value ? replace(&r->p->tag, e->value, err) : bad(e, err, "a tag is missing", "", NULL);
}

static int take_diff(struct reading *r, const struct entry *e, struct vn_err *err)
{
	int code;
	if (!strcmp(e->key, "files"))
		return boolean(e, &r->p->diff_files, err);
	if (!strcmp(e->key, "layers"))
		return boolean(e, &r->p->diff_layers, err);
	if (!strcmp(e->key, "class")) {
		code = want(e, "unknown class", vn_policy_classes, err);
		return code < 0 ? code : append(&r->p->diff_classes, &r->p->ndiff_classes, e->value, err);
	}
	code = want_pattern(e, err);
	return code < 0 ? code : append(&r->p->diff_paths, &r->p->ndiff_paths, e->value, err);
}

static const struct {
	const char *name;
	bool named; /* [section "name"] */
	const char *const *keys;
	int (*take)(struct reading *r, const struct entry *e, struct vn_err *err);
} kinds[] = {
	{ "class", true, class_keys, take_class },
	{ "rule", true, rule_keys, take_rule },
	{ "rebase", false, rebase_keys, take_rebase },
	{ "diff", false, diff_keys, take_diff },
};

static int take(struct reading *r, struct entry *e, struct vn_err *err)
{
	static const char *const flags[] = { "split", "files", "layers", NULL };
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(kinds[i].name, e->section))
			continue;
		if (kinds[i].named && (!e->subsection || !*e->subsection))
			return bad(e, err, "the section needs a name, as in", i ? "[rule \"our-log\"]" : "[class \"noise\"]",
				   NULL);
		if (!kinds[i].named && e->subsection)
			return bad(e, err, "the section takes no name, found", e->subsection, NULL);
		if (!known(e->key, kinds[i].keys))
			return bad(e, err, "unknown key", e->key, kinds[i].keys);
		if (!e->value && !known(e->key, flags))
			return bad(e, err, "a value is missing for", e->key, NULL);
		return kinds[i].take(r, e, err);
	}
	char key = e->key[0];
	e->key[0] = 0;
	int code = bad(e, err, "unknown section", e->section, sections);
	e->key[0] = key;
	return code;
}

/* "section.sub.section.key" → its parts; libgit2 has lower-cased section and key. */
static int split(const char *full, struct entry *e, struct vn_err *err)
{
	const char *first = strchr(full, '.'), *last = strrchr(full, '.');
	size_t section = first ? (size_t)(first - full) : strlen(full);
	if (!first || section >= sizeof(e->section) || strlen(last + 1) >= sizeof(e->key))
		return vn_fail(err, VN_EFORMAT, "%s: the name %.80s is too long or has no section", e->file, full);
	memcpy(e->section, full, section);
	e->section[section] = 0;
	memcpy(e->key, last + 1, strlen(last + 1) + 1);
	if (first == last)
		return 0;
	return vn_asprintf(&e->subsection, err, "%.*s", (int)(last - first - 1), first + 1);
}

/* Give every path of a [rule] what its section says. */
static int settle(struct reading *r, const char *file, const struct vn_buf *text, struct vn_err *err)
{
	for (size_t i = 0; i < r->nsettings; i++) {
		struct vn_policy_rule *s = &r->settings[i];
		struct entry e = { .file = file, .text = text, .section = "rule", .subsection = s->name };
		size_t paths = 0;
		if (!s->class_name)
			return bad(&e, err, "the rule lacks its", "class", NULL);
		for (size_t k = 0; k < r->p->nrules; k++) {
			struct vn_policy_rule *rule = &r->p->rules[k];
			if (rule->class_name || strcmp(rule->name, s->name))
				continue;
			int code = vn_strdup(s->class_name, &rule->class_name, err);
			if (code < 0)
				return code;
			rule->only = s->only;
			paths++;
		}
		if (!paths)
			return bad(&e, err, "the rule lacks its", "path", NULL);
	}
	return 0;
}

/* libgit2 would follow [include] and [includeIf] while it reads, so they must not reach it. */
static int refuse_includes(const char *path, const struct vn_buf *text, struct vn_err *err)
{
	unsigned line = 1;
	if (text->len && memchr(text->data, 0, text->len))
		return vn_fail(err, VN_EFORMAT, "%s holds a zero byte: not a policy file", path);
	for (const char *p = vn_buf_text(text); *p; p++) {
		line += *p == '\n';
		if (*p == '[' && !strncasecmp(p + 1 + strspn(p + 1, " \t"), "include", 7)) {
			vn_fail(err, VN_EFORMAT, "%s, line %u: [include] is not allowed in a policy file", path, line);
			return vn_hint(err, "write the included sections into the file itself");
		}
	}
	return 0;
}

static int read_entries(const char *path, const struct vn_buf *text, struct reading *r, struct vn_err *err)
{
	VN_AUTO_GIT(git_config) *config = NULL;
	VN_AUTO_GIT(git_config_iterator) *iterator = NULL;
	git_config_entry *found;
	int code;
	if (git_config_open_ondisk(&config, path) < 0)
		return vn_git_fail(err, VN_EFORMAT, "%s is not a policy file", path);
	if (git_config_iterator_new(&iterator, config) < 0)
		return vn_git_fail(err, VN_EIO, "cannot read %s", path);
	while ((code = git_config_next(&found, iterator)) == 0) {
		struct entry e = { .file = path, .text = text, .value = found->value };
		VN_AUTO_FREE char *owned = NULL;
		int failed = split(found->name, &e, err);
		owned = e.subsection;
		if (failed < 0 || (failed = take(r, &e, err)) < 0)
			return failed;
	}
	return code == GIT_ITEROVER ? 0 : vn_git_fail(err, VN_EIO, "cannot read %s", path);
}

static int read_policy(const char *path, struct vn_policy *policy, struct vn_err *err)
{
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_POLICY);
	VN_CLEANUP(release_reading) struct reading r = { .p = policy };
	int code;
	if ((code = vn_fs_read(path, &text, err)) < 0 || (code = refuse_includes(path, &text, err)) < 0 ||
	    (code = read_entries(path, &text, &r, err)) < 0 || (code = settle(&r, path, &text, err)) < 0)
		return code;
	return vn_strdup(path, &policy->path, err);
}

int vn_policy_load(const char *path, const char *source_dir, struct vn_policy *ret, struct vn_err *err)
{
	VN_AUTO(vn_policy) policy = { .path = NULL };
	VN_AUTO_FREE char *beside = NULL;
	int code = vn_asprintf(&beside, err, "%s%s" VN_POLICY_FILE, source_dir ? source_dir : "", source_dir ? "/" : "");
	if (code < 0)
		return code;
	if ((path || vn_fs_exists(beside)) && read_policy(path ? path : beside, &policy, err) < 0)
		return vn_wrap(err, "read the policy file");
	*ret = policy;
	policy = (struct vn_policy){ .path = NULL };
	return 0;
}
