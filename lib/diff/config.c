#include "diff/config.h"
#include "util/buf.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>

struct changes {
	struct vn_arena *arena;
	struct vn_config_change *list;
	size_t n, cap;
};

/* How a member of the configuration is taken apart. */
enum shape { WHOLE, VARIABLES, KEYS };

/* Fields in the order in which people ask for them; anything else in "config" comes behind, whole. */
static const struct field {
	const char *name;
	enum shape shape;
	const char *rule;            /* not NULL: never matters */
} fields[] = {
	{ "Entrypoint", WHOLE, NULL }, { "Cmd", WHOLE, NULL }, { "User", WHOLE, NULL }, { "WorkingDir", WHOLE, NULL },
	{ "Env", VARIABLES, NULL }, { "ExposedPorts", KEYS, NULL }, { "Volumes", KEYS, NULL }, { "Labels", KEYS, NULL },
	{ "Healthcheck", WHOLE, NULL }, { "StopSignal", WHOLE, NULL }, { "Shell", WHOLE, NULL }, { "OnBuild", WHOLE, NULL },
	/* what Docker's classic builder leaves of its own container */
	{ "Image", WHOLE, "docker-builder" }, { "Hostname", WHOLE, "docker-builder" }, { "Domainname", WHOLE, "docker-builder" },
	{ "AttachStdin", WHOLE, "docker-builder" }, { "AttachStdout", WHOLE, "docker-builder" },
	{ "AttachStderr", WHOLE, "docker-builder" }, { "Tty", WHOLE, "docker-builder" }, { "OpenStdin", WHOLE, "docker-builder" },
	{ "StdinOnce", WHOLE, "docker-builder" }, { "ArgsEscaped", WHOLE, "docker-builder" },
	{ "NetworkDisabled", WHOLE, "docker-builder" },
};
static const struct field top_fields[] = {
	{ "architecture", WHOLE, NULL }, { "os", WHOLE, NULL }, { "variant", WHOLE, NULL }, { "os.version", WHOLE, NULL },
	{ "os.features", WHOLE, NULL }, { "author", WHOLE, "build-stamp" }, { "created", WHOLE, "build-stamp" },
};
/* Labels that say when and from what it was built. */
static const char *const stamp_labels[] = { "org.opencontainers.image.created", "org.opencontainers.image.revision",
					    "org.opencontainers.image.version", "org.opencontainers.image.source",
					    "org.opencontainers.image.base.name", "org.opencontainers.image.base.digest",
					    "org.label-schema.build-date", "org.label-schema.vcs-ref" };

/* Empty lists, objects and texts mean the same as absence. */
static bool is_empty(const struct vn_jv *v)
{
	const char *text;
	struct vn_err ignored = { 0 };
	if (!v->v)
		return true;
	if (vn_jv_is_array(v) || vn_jv_is_object(v))
		return vn_jv_count(v) == 0;
	return vn_jv_is_string(v) && vn_jv_text(v, &text, &ignored) == 0 && !*text;
}

static int text_of(struct changes *c, const struct vn_jv *v, const char **ret, struct vn_err *err)
{
	const char *text;
	*ret = NULL;
	if (!v->v)
		return 0;
	if (vn_jv_is_string(v)) {
		int r = vn_jv_text(v, &text, err);
		*ret = r == 0 ? vn_arena_text(c->arena, text, err) : NULL;
	} else {
		VN_AUTO(vn_buf) buf = VN_BUF(VN_MAX_CONFIG);
		int r = vn_json_text(v->v, false, &buf, err);
		*ret = r == 0 ? vn_arena_text(c->arena, vn_buf_text(&buf), err) : NULL;
	}
	return *ret ? 0 : -(int)err->code;
}

static int add(struct changes *c, const char *field, const char *key, const struct vn_jv *a, const struct vn_jv *b,
	       const char *rule, struct vn_err *err)
{
	int r = vn_grow(&c->list, &c->cap, c->n + 1, sizeof(*c->list), err);
	if (r < 0)
		return r;
	struct vn_config_change *change = &c->list[c->n];
	*change = (struct vn_config_change){ .matters = !rule, .rule = rule };
	r = text_of(c, a, &change->old_value, err);
	if (r == 0)
		r = text_of(c, b, &change->new_value, err);
	if (r < 0)
		return r;
	change->field = vn_arena_text(c->arena, field, err);
	change->key = vn_arena_text(c->arena, key, err);
	if (!change->field || (key && !change->key))
		return -(int)err->code;
	c->n++;
	return 0;
}

static const char *label_rule(const char *field, const char *key)
{
	if (strcmp(field, "Labels"))
		return NULL;
	if (!strncmp(key, VN_LABEL_PREFIX, strlen(VN_LABEL_PREFIX)))
		return "veneer-lineage";
	for (size_t i = 0; i < sizeof(stamp_labels) / sizeof(stamp_labels[0]); i++)
		if (!strcmp(key, stamp_labels[i]))
			return "build-stamp";
	return NULL;
}

static int compare_keys(struct changes *c, const char *field, const struct vn_jv *a, const struct vn_jv *b, struct vn_err *err)
{
	void *iter = NULL;
	const char *key;
	struct vn_jv one;
	int r = 0;
	while (r == 0 && vn_jv_each(a, &iter, &key, &one)) {
		struct vn_jv other = vn_jv_get(b, key);
		if (!vn_json_same(one.v, other.v))
			r = add(c, field, key, &one, &other, label_rule(field, key), err);
	}
	iter = NULL;
	while (r == 0 && vn_jv_each(b, &iter, &key, &one)) {
		struct vn_jv other = vn_jv_get(a, key);
		if (!other.v)
			r = add(c, field, key, &other, &one, label_rule(field, key), err);
	}
	return r;
}

/* The variable's value in a list of NAME=VALUE; the last one counts, as in a shell that reads them. A name without '=' is empty. */
static const char *value_of(const struct vn_jv *env, const char *name, size_t len)
{
	struct vn_err ignored = { 0 };
	const char *found = NULL, *text;
	for (size_t i = 0; vn_jv_is_array(env) && i < vn_jv_count(env); i++) {
		struct vn_jv one = vn_jv_at(env, i);
		if (vn_jv_text(&one, &text, &ignored) == 0 && !strncmp(text, name, len) && (text[len] == '=' || !text[len]))
			found = text + len + (text[len] == '=');
	}
	return found;
}

static int add_variable(struct changes *c, const char *name, size_t len, const char *a, const char *b, struct vn_err *err)
{
	int r = vn_grow(&c->list, &c->cap, c->n + 1, sizeof(*c->list), err);
	if (r < 0)
		return r;
	struct vn_config_change *change = &c->list[c->n];
	*change = (struct vn_config_change){ .field = "Env", .matters = true };
	change->key = vn_arena_printf(c->arena, err, "%.*s", (int)len, name);
	change->old_value = vn_arena_text(c->arena, a, err);
	change->new_value = vn_arena_text(c->arena, b, err);
	if (!change->key || (a && !change->old_value) || (b && !change->new_value))
		return -(int)err->code;
	c->n++;
	return 0;
}

static int compare_variables(struct changes *c, const struct vn_jv *a, const struct vn_jv *b, struct vn_err *err)
{
	struct vn_err ignored = { 0 };
	for (int side = 0; side < 2; side++) {
		const struct vn_jv *list = side ? b : a, *other = side ? a : b;
		for (size_t i = 0; vn_jv_is_array(list) && i < vn_jv_count(list); i++) {
			struct vn_jv one = vn_jv_at(list, i);
			const char *text;
			if (vn_jv_text(&one, &text, &ignored) < 0)
				continue;
			size_t len = strcspn(text, "=");
			const char *mine = value_of(list, text, len), *theirs = value_of(other, text, len);
			/* once, where its value stands */
			if (mine != text + len + (text[len] == '='))
				continue;
			/* the first pass tells what differs and what is gone, the second what is new */
			bool tell = !theirs || (!side && strcmp(mine, theirs));
			int r = !tell ? 0 : add_variable(c, text, len, side ? NULL : mine, side ? mine : theirs, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

static int compare_field(struct changes *c, const struct field *f, const struct vn_jv *a, const struct vn_jv *b,
			 struct vn_err *err)
{
	if (is_empty(a) && is_empty(b))
		return 0;
	if (vn_json_same(a->v, b->v))
		return 0;
	if (f->shape == VARIABLES)
		return compare_variables(c, a, b, err);
	if (f->shape == KEYS && (!a->v || vn_jv_is_object(a)) && (!b->v || vn_jv_is_object(b)))
		return compare_keys(c, f->name, a, b, err);
	return add(c, f->name, NULL, a, b, f->rule, err);
}

static bool is_known(const char *name)
{
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		if (!strcmp(fields[i].name, name))
			return true;
	return false;
}

/* Members of "config" that the table does not know, from both sides. */
static int compare_unknown(struct changes *c, const struct vn_jv *a, const struct vn_jv *b, struct vn_err *err)
{
	for (int side = 0; side < 2; side++) {
		void *iter = NULL;
		const char *key;
		struct vn_jv one;
		while (vn_jv_each(side ? b : a, &iter, &key, &one)) {
			struct vn_jv other = vn_jv_get(side ? a : b, key);
			if (is_known(key) || (side && other.v))
				continue;
			struct field f = { key, WHOLE, NULL };
			int r = side ? compare_field(c, &f, &other, &one, err) : compare_field(c, &f, &one, &other, err);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

int vn_config_compare(const struct vn_config *old_config, const struct vn_config *new_config, struct vn_arena *arena,
		      struct vn_config_change **ret, size_t *ret_n, struct vn_err *err)
{
	struct changes c = { arena, NULL, 0, 0 };
	struct vn_jv a = vn_jv_root(old_config->json, "OLD's configuration"), b = vn_jv_root(new_config->json, "NEW's configuration");
	struct vn_jv x = vn_jv_get(&a, "config"), y = vn_jv_get(&b, "config");
	int r = 0;
	for (size_t i = 0; r == 0 && i < sizeof(top_fields) / sizeof(top_fields[0]); i++) {
		struct vn_jv p = vn_jv_get(&a, top_fields[i].name), q = vn_jv_get(&b, top_fields[i].name);
		r = compare_field(&c, &top_fields[i], &p, &q, err);
	}
	for (size_t i = 0; r == 0 && i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct vn_jv p = vn_jv_get(&x, fields[i].name), q = vn_jv_get(&y, fields[i].name);
		r = compare_field(&c, &fields[i], &p, &q, err);
	}
	if (r == 0)
		r = compare_unknown(&c, &x, &y, err);
	if (r < 0) {
		free(c.list);
		return r;
	}
	*ret = c.list;
	*ret_n = c.n;
	return 0;
}
