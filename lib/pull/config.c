#include "pull/config.h"
#include "json/json.h"
#include "oci/platform.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include "util/num.h"
#include <stdio.h>
#include <string.h>

#define DEFAULT_FILE "/etc/veneer-pull.json"
#define DEFAULT_STATE "/var/lib/veneer-pull"
#define COMMAND_SECONDS 60
#define MAX_WORDS 64
#define LEAST_MEMORY (1u << 20)

static const char *const events[] = { "planned", "fetching", "verified", "handing", "sealed",      "checked", "active",
				      "staged",  "rolled-back", "failed", "waits",   "adopted", "refused", "pinned",
				      "let go",  "any" };

void vn_pull_config_release(struct vn_pull_config *c)
{
	vn_arena_release(&c->arena);
	*c = (struct vn_pull_config){ 0 };
}

/* ---- fields, each with the function that reads it */
struct field {
	const char *name;
	int (*read)(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err);
	size_t offset;
	const struct field *fields;          /* of an object */
};

static int bad(const struct vn_jv *v, const char *expected, struct vn_err *err)
{
	return vn_fail(err, VN_EUSAGE, "%s: %s is not %s", v->what, *v->at ? v->at : "the document", expected);
}

static int text_of(struct vn_pull_config *c, const struct vn_jv *v, const char **ret, struct vn_err *err)
{
	const char *text;
	int r = vn_jv_text(v, &text, err);
	if (r < 0)
		return r;
	if (!*text)
		return bad(v, "a text with letters in it", err);
	const char *copy = vn_arena_text(&c->arena, text, err);
	if (!copy)
		return -(int)err->code;
	*ret = copy;
	return 0;
}

static void *at(struct vn_pull_config *c, size_t offset)
{
	return (char *)c + offset;
}

static int read_text(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	return text_of(c, v, at(c, offset), err);
}

/* Of a service that may start in any folder. */
static int read_place(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	int r = read_text(c, v, offset, err);
	return r == 0 && **(const char **)at(c, offset) != '/' ? bad(v, "an absolute path", err) : r;
}

static int read_bool(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	return vn_jv_bool(v, at(c, offset), err);
}

/* tls_verify: false means insecure. */
static int read_not(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	int r = read_bool(c, v, offset, err);
	if (r == 0)
		*(bool *)at(c, offset) = !*(bool *)at(c, offset);
	return r;
}

static int read_size(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	const char *text;
	int64_t n;
	if (!vn_jv_is_string(v)) {
		if (vn_jv_int(v, &n, err) < 0 || n < 0)
			return bad(v, "a size such as \"5MB\"", err);
		*(uint64_t *)at(c, offset) = (uint64_t)n;
		return 0;
	}
	if (vn_jv_text(v, &text, err) < 0 || !vn_parse_size(text, at(c, offset)))
		return bad(v, "a size such as \"5MB\"", err);
	return 0;
}

static int read_duration(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	const char *text;
	if (!vn_jv_is_string(v) || vn_jv_text(v, &text, err) < 0 || !vn_parse_duration(text, at(c, offset)))
		return bad(v, "a duration such as \"15m\", \"1h\" or \"7d\"", err);
	return 0;
}

static int read_timeout(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	int r = read_duration(c, v, offset, err);
	return r == 0 && *(int64_t *)at(c, offset) < 1 ? bad(v, "a second at least", err) : r;
}

/* Nothing at all would be no budget. */
static int read_budget(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	int r = read_size(c, v, offset, err);
	return r == 0 && !*(uint64_t *)at(c, offset) ? bad(v, "a byte at least; without it there is no budget", err) : r;
}

static int read_memory(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	int r = read_size(c, v, offset, err);
	return r == 0 && *(uint64_t *)at(c, offset) < LEAST_MEMORY ? bad(v, "1MiB at least", err) : r;
}

static int read_platform(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	struct vn_platform platform;
	struct vn_err ignored = { 0 };
	int r = read_text(c, v, offset, err);
	if (r == 0 && vn_platform_parse(*(const char **)at(c, offset), &platform, &ignored) < 0)
		return bad(v, "a platform such as \"linux/arm64\"", err);
	return r;
}

static int read_count(struct vn_pull_config *c, const struct vn_jv *v, unsigned from, unsigned to, size_t offset, struct vn_err *err)
{
	int64_t n;
	char expected[64];
	snprintf(expected, sizeof(expected), "a number from %u to %u", from, to);
	if (vn_jv_int(v, &n, err) < 0 || n < from || n > to)
		return bad(v, expected, err);
	*(unsigned *)at(c, offset) = (unsigned)n;
	return 0;
}

static int read_keep(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	return read_count(c, v, 2, 20, offset, err);
}

static int read_day(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	return read_count(c, v, 1, 28, offset, err);
}

/* `words` ends up true when the text is the second one. */
static int read_choice(const struct vn_jv *v, const char *const words[2], bool *ret, struct vn_err *err)
{
	const char *text = "";
	char expected[64];
	snprintf(expected, sizeof(expected), "\"%s\" or \"%s\"", words[0], words[1]);
	if (!vn_jv_is_string(v) || vn_jv_text(v, &text, err) < 0 || (strcmp(text, words[0]) && strcmp(text, words[1])))
		return bad(v, expected, err);
	*ret = !strcmp(text, words[1]);
	return 0;
}

static int read_switch(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	static const char *const words[] = { "now", "staged" };
	return read_choice(v, words, at(c, offset), err);
}

static int read_zone(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	static const char *const words[] = { "UTC", "local" };
	return read_choice(v, words, at(c, offset), err);
}

static int read_windows(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	struct vn_windows *w = at(c, offset);
	const char *text;
	if (!vn_jv_is_array(v))
		return bad(v, "a list of windows such as \"Mon-Fri 01:00-05:00\"", err);
	w->n = 0;
	for (size_t i = 0; i < vn_jv_count(v); i++) {
		struct vn_jv one = vn_jv_at(v, i);
		if (!vn_jv_is_string(&one) || vn_jv_text(&one, &text, err) < 0 || !vn_windows_add(w, text))
			return bad(&one, "a window such as \"01:00-05:00\" or \"Mon-Fri 22:00-06:00\"", err);
	}
	return 0;
}

static int read_words(struct vn_pull_config *c, const struct vn_jv *v, const char *const **ret, size_t *ret_n, struct vn_err *err)
{
	size_t n = vn_jv_count(v);
	if (!vn_jv_is_array(v) || !n || n > MAX_WORDS)
		return bad(v, "a list of texts", err);
	const char **list = vn_arena_take(&c->arena, (n + 1) * sizeof(*list), err);
	int r = list ? 0 : -(int)err->code;
	for (size_t i = 0; r == 0 && i < n; i++) {
		struct vn_jv one = vn_jv_at(v, i);
		r = text_of(c, &one, &list[i], err);
	}
	if (r < 0)
		return r;
	*ret = list;
	*ret_n = n;
	return 0;
}

static int read_keys(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	return read_words(c, v, at(c, offset), &c->nkeys, err);
}

static int read_argv(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	size_t n;
	int r = read_words(c, v, at(c, offset), &n, err);
	if (r < 0)
		return r;
	if ((*(const char *const **)at(c, offset))[0][0] != '/')
		return bad(v, "a command: its first text is the program's full path", err);
	return 0;
}

static int suggest(const struct vn_jv *v, const char *key, const char *const *known, size_t n, struct vn_err *err)
{
	VN_AUTO(vn_buf) list = VN_BUF(1024);
	int r = 0;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = vn_buf_addf(&list, err, "%s%s", i ? ", " : "", known[i]);
	if (r < 0)
		return r;
	vn_fail(err, VN_EUSAGE, "%s: \"%.80s\" is not known%s%s", v->what, key, *v->at ? " in " : "", v->at);
	return vn_hint(err, "It takes: %s.", vn_buf_text(&list));
}

static int read_hooks(struct vn_pull_config *c, const struct vn_jv *v, size_t offset, struct vn_err *err)
{
	void *iter = NULL;
	const char *key;
	struct vn_jv one;
	size_t n;
	(void)offset;
	if (!vn_jv_is_object(v))
		return bad(v, "an object of event and command", err);
	while (vn_jv_each(v, &iter, &key, &one)) {
		const char *event = NULL;
		for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
			if (!strcmp(events[i], key))
				event = events[i];
		if (!event)
			return suggest(v, key, events, sizeof(events) / sizeof(events[0]), err);
		if (c->nhooks == VN_MAX_HOOKS)
			return bad(v, "as short as it must be", err);
		struct vn_pull_hook *h = &c->hooks[c->nhooks++];
		*h = (struct vn_pull_hook){ event, { NULL, COMMAND_SECONDS } };
		int r = read_words(c, &one, &h->command.argv, &n, err);
		if (r < 0)
			return r;
		if (h->command.argv[0][0] != '/')
			return bad(&one, "a command: its first text is the program's full path", err);
	}
	return 0;
}

static int read_object(struct vn_pull_config *c, const struct vn_jv *v, const struct field *fields, struct vn_err *err);

#define AT(member) offsetof(struct vn_pull_config, member)
static const struct field poll_fields[] = {
	{ "every", read_duration, AT(every), NULL }, { "splay", read_duration, AT(splay), NULL }, { 0 }
};
static const struct field budget_fields[] = { { "month", read_budget, AT(month_budget), NULL },
					      { "update", read_budget, AT(update_budget), NULL },
					      { "first_day", read_day, AT(first_day), NULL },
					      { 0 } };
static const struct field trust_fields[] = { { "keys", read_keys, AT(keys), NULL }, { 0 } };
static const struct field registry_fields[] = { { "authfile", read_text, AT(authfile), NULL },
						{ "cacert", read_text, AT(cacert), NULL },
						{ "plain_http", read_bool, AT(plain_http), NULL },
						{ "tls_verify", read_not, AT(insecure), NULL },
						{ 0 } };
static const struct field check_fields[] = { { "command", read_argv, AT(check.argv), NULL },
					     { "timeout", read_timeout, AT(check.timeout), NULL },
					     { 0 } };
static const struct field health_fields[] = { { "command", read_argv, AT(health.argv), NULL },
					      { "timeout", read_timeout, AT(health.timeout), NULL },
					      { 0 } };
static const struct field fields[] = {
	{ "reference", read_text, AT(reference), NULL },
	{ "engine", read_text, AT(engine), NULL },
	{ "endpoint", read_text, AT(endpoint), NULL },
	{ "state", read_text, AT(state), NULL },
	{ "platform", read_platform, AT(platform), NULL },
	{ "keep", read_keep, AT(keep), NULL },
	{ "poll", NULL, 0, poll_fields },
	{ "windows", read_windows, AT(windows), NULL },
	{ "windows_zone", read_zone, AT(local_zone), NULL },
	{ "budget", NULL, 0, budget_fields },
	{ "inhibit", read_place, AT(inhibit), NULL },
	{ "memory", read_memory, AT(memory), NULL },
	{ "reserve", read_size, AT(reserve), NULL },
	{ "trust", NULL, 0, trust_fields },
	{ "registry", NULL, 0, registry_fields },
	{ "check", NULL, 0, check_fields },
	{ "health", NULL, 0, health_fields },
	{ "switch", read_switch, AT(staged), NULL },
	{ "hooks", read_hooks, 0, NULL },
	{ "status_file", read_place, AT(status_file), NULL },
	{ "metrics_file", read_place, AT(metrics_file), NULL },
	{ 0 },
};

static int read_object(struct vn_pull_config *c, const struct vn_jv *v, const struct field *known, struct vn_err *err)
{
	void *iter = NULL;
	const char *key, *names[32];
	struct vn_jv one;
	if (!vn_jv_is_object(v))
		return bad(v, "an object", err);
	while (vn_jv_each(v, &iter, &key, &one)) {
		const struct field *f = known;
		size_t n = 0;
		for (; f->name && strcmp(f->name, key); f++)
			names[n++] = f->name;
		if (!f->name)
			return suggest(v, key, names, n, err);
		int r = f->fields ? read_object(c, &one, f->fields, err) : f->read(c, &one, f->offset, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* An object that leaves out what it is for would be no protection, and look like one. */
static int want_content(const struct vn_jv *root, const struct vn_pull_config *c, struct vn_err *err)
{
	const struct {
		const char *object, *member;
		bool there;
	} wanted[] = { { "trust", "keys", c->nkeys > 0 }, { "check", "command", c->check.argv }, { "health", "command", c->health.argv } };
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (vn_jv_get(root, wanted[i].object).v && !wanted[i].there)
			return vn_fail(err, VN_EUSAGE, "%s: \"%s\" has no \"%s\"", root->what, wanted[i].object, wanted[i].member);
	return 0;
}

int vn_pull_config_parse(const void *bytes, size_t len, const char *name, struct vn_pull_config *config, struct vn_err *err)
{
	VN_AUTO_JSON *json = NULL;
	int r = vn_json_parse(bytes, len, name, &json, err);
	if (r == 0) {
		struct vn_jv root = vn_jv_root(json, name);
		r = read_object(config, &root, fields, err);
		if (r == 0)
			r = want_content(&root, config, err);
	}
	if (r < 0 && (err->code == VN_EFORMAT || err->code == VN_ELIMIT))
		err->code = VN_EUSAGE;
	if (r == 0 && config->every < 1)
		return vn_fail(err, VN_EUSAGE, "%s: poll.every must be a second at least", name);
	return r < 0 ? -(int)err->code : 0;
}

static int take(struct vn_pull_config *c, const char *given, const char **into, struct vn_err *err)
{
	if (!given)
		return 0;
	*into = vn_arena_text(&c->arena, given, err);
	return *into ? 0 : -(int)err->code;
}

int vn_pull_config_read(const struct vn_pull_options *o, struct vn_pull_config *ret, struct vn_err *err)
{
	VN_AUTO(vn_pull_config) c = { .keep = 3, .first_day = 1, .every = 3600, .splay = 900, .memory = 16u << 20, .reserve = 64u << 20,
				      .engine = "moby", .state = DEFAULT_STATE, .check = { NULL, COMMAND_SECONDS },
				      .health = { NULL, COMMAND_SECONDS } };
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_POLICY);
	const char *file = o->config ? o->config : DEFAULT_FILE;
	int r = o->config || vn_fs_exists(file) ? vn_fs_read(file, &bytes, err) : 0;
	if (r == -VN_ELIMIT)
		err->code = VN_EUSAGE;
	if (r == 0 && bytes.len)
		r = vn_pull_config_parse(bytes.data, bytes.len, file, &c, err);
	if (r == 0 && o->config && !bytes.len)
		r = vn_fail(err, VN_EUSAGE, "%s is empty", file);
	if (r == 0)
		r = take(&c, o->reference, &c.reference, err);
	if (r == 0)
		r = take(&c, o->engine, &c.engine, err);
	if (r == 0)
		r = take(&c, o->endpoint, &c.endpoint, err);
	if (r == 0)
		r = take(&c, o->state, &c.state, err);
	if (r == 0)
		r = take(&c, o->platform, &c.platform, err);
	if (r == 0)
		r = take(&c, o->authfile, &c.authfile, err);
	if (r == 0)
		r = take(&c, o->cacert, &c.cacert, err);
	if (r < 0)
		return r;
	c.plain_http |= o->plain_http;
	c.insecure |= o->insecure;
	*ret = c;
	c = (struct vn_pull_config){ 0 };
	return 0;
}
