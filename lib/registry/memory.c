#include "registry/memory.h"
#include "json/json.h"
#include "util/digest.h"
#include "util/fs.h"
#include "util/limits.h"
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define WHAT "what is remembered"
#define VERSION 1
#define SALT 32                      /* hexadecimal digits */

static const struct {
	const char *list, *names[VN_MEMORY_TEXTS + 1];
	size_t keys, secret;         /* texts that are the key; the one that may be long */
} kinds[VN_MEMORY_KINDS] = {
	[VN_MEMORY_REGISTRY] = { "registries", { "origin", "scheme", "realm", "service", "scope" }, 1, VN_MEMORY_TEXTS },
	[VN_MEMORY_TOKEN] = { "tokens", { "realm", "service", "who", "scope", "token" }, 4, 4 },
	[VN_MEMORY_SESSION] = { "sessions", { "peer", "trust", "session" }, 2, 2 },
};

struct shelf {
	struct vn_memory_item items[VN_MEMORY_EACH];         /* the newest last */
	size_t n;
};

struct vn_memory {
	pthread_mutex_t lock;
	char *path;                  /* NULL: no file */
	unsigned owners;             /* under `opening` */
	struct vn_memory *next;
	struct shelf shelves[VN_MEMORY_KINDS];
	char salt[SALT + 1];
	bool changed;
};

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static struct vn_memory *opened;

void vn_memory_item_release(struct vn_memory_item *item)
{
	for (size_t i = 0; i < VN_MEMORY_TEXTS; i++) {
		if (item->text[i])
			explicit_bzero(item->text[i], strlen(item->text[i]));
		free(item->text[i]);
	}
	*item = (struct vn_memory_item){ 0 };
}

/* ---- shelves */
static void drop_at(struct shelf *s, size_t i)
{
	vn_memory_item_release(&s->items[i]);
	memmove(&s->items[i], &s->items[i + 1], (--s->n - i) * sizeof *s->items);
}

static bool same_key(enum vn_memory_kind kind, const struct vn_memory_item *item, const char *const *texts)
{
	for (size_t i = 0; i < kinds[kind].keys; i++)
		if (strcmp(item->text[i], texts[i] ? texts[i] : ""))
			return false;
	return true;
}

static int fill(enum vn_memory_kind kind, struct vn_memory_item *item, const char *const *texts, struct vn_err *err)
{
	for (size_t i = 0; i < VN_MEMORY_TEXTS; i++) {
		const char *text = texts[i] ? texts[i] : "";
		unsigned most = kinds[kind].secret == i ? VN_MAX_MEMORY_TEXT : VN_MAX_MEMORY_KEY;
		if (strlen(text) > most)
			return vn_fail(err, VN_ELIMIT, "%s: a text of more than %u bytes", WHAT, most);
		if (vn_strdup(text, &item->text[i], err) < 0)
			return -err->code;
	}
	return 0;
}

static int put(struct vn_memory *m, enum vn_memory_kind kind, const char *const *texts, int64_t noted, int64_t until,
	       struct vn_err *err)
{
	VN_AUTO(vn_memory_item) item = { .noted = noted, .until = until };
	struct shelf *s = &m->shelves[kind];

	for (size_t i = 0; i < s->n;)
		if (same_key(kind, &s->items[i], texts))
			drop_at(s, i);
		else
			i++;
	if (fill(kind, &item, texts, err) < 0)
		return -err->code;
	if (s->n == VN_MEMORY_EACH)
		drop_at(s, 0);
	s->items[s->n++] = item;
	item = (struct vn_memory_item){ 0 };
	return 0;
}

void vn_memory_put(struct vn_memory *m, enum vn_memory_kind kind, const char *const *texts, int64_t until)
{
	struct vn_err ignored = { 0 };

	pthread_mutex_lock(&m->lock);
	put(m, kind, texts, (int64_t)time(NULL), until, &ignored);
	m->changed = true;
	pthread_mutex_unlock(&m->lock);
}

static bool holds(const struct vn_memory_item *item, int64_t now, int64_t least)
{
	return !item->until || (item->noted <= now && now < item->until && item->until - now >= least);
}

bool vn_memory_get(struct vn_memory *m, enum vn_memory_kind kind, size_t nth, int64_t least, struct vn_memory_item *ret)
{
	VN_AUTO(vn_memory_item) copy = { 0 };
	struct shelf *s = &m->shelves[kind];
	struct vn_err ignored = { 0 };
	int64_t now = (int64_t)time(NULL);
	bool found = false;

	pthread_mutex_lock(&m->lock);
	for (size_t i = s->n; i-- > 0 && !found;) {
		if (!holds(&s->items[i], now, least) || nth--)
			continue;
		copy.noted = s->items[i].noted;
		copy.until = s->items[i].until;
		if (fill(kind, &copy, (const char *const *)s->items[i].text, &ignored) < 0)
			break;
		found = true;
	}
	pthread_mutex_unlock(&m->lock);
	if (found) {
		*ret = copy;
		copy = (struct vn_memory_item){ 0 };
	}
	return found;
}

void vn_memory_drop(struct vn_memory *m, enum vn_memory_kind kind, size_t column, const char *text)
{
	struct shelf *s = &m->shelves[kind];

	pthread_mutex_lock(&m->lock);
	for (size_t i = 0; i < s->n;)
		if (!strcmp(s->items[i].text[column], text)) {
			drop_at(s, i);
			m->changed = true;
		} else {
			i++;
		}
	pthread_mutex_unlock(&m->lock);
}

int vn_memory_name(struct vn_memory *m, const void *secret, size_t len, char ret[VN_MEMORY_NAME], struct vn_err *err)
{
	struct vn_hash *hash = NULL;
	struct vn_digest digest = { "" };
	int n = vn_hash_open("sha256", &hash, err);

	if (n == 0)
		n = vn_hash_add(hash, m->salt, SALT, err);
	if (n == 0)
		n = vn_hash_add(hash, secret, len, err);
	if (n == 0)
		n = vn_hash_end(hash, &digest, err);
	vn_hash_close(hash);
	if (n == 0)
		snprintf(ret, VN_MEMORY_NAME, "%.*s", VN_MEMORY_NAME - 1, vn_digest_hex(&digest));
	return n;
}

/* ---- the file */
static int read_item(struct vn_memory *m, enum vn_memory_kind kind, const struct vn_jv *v, struct vn_err *err)
{
	const char *texts[VN_MEMORY_TEXTS] = { NULL };
	int64_t noted = 0, until = 0;

	if (vn_jv_want_object(v, err) < 0 || vn_jv_opt_int(v, "noted", &noted, err) < 0 || vn_jv_opt_int(v, "until", &until, err) < 0)
		return -err->code;
	for (size_t i = 0; kinds[kind].names[i]; i++)
		if (vn_jv_need_text(v, kinds[kind].names[i], &texts[i], err) < 0)
			return -err->code;
	return put(m, kind, texts, noted, until, err);
}

static int read_kind(struct vn_memory *m, enum vn_memory_kind kind, const struct vn_jv *root, struct vn_err *err)
{
	struct vn_jv list = vn_jv_get(root, kinds[kind].list);

	if (vn_jv_want_array(&list, err) < 0)
		return -err->code;
	for (size_t i = 0; i < vn_jv_count(&list); i++) {
		struct vn_jv v = vn_jv_at(&list, i);
		if (read_item(m, kind, &v, err) < 0)
			return -err->code;
	}
	return 0;
}

int vn_memory_read(struct vn_memory *m, const void *bytes, size_t len, struct vn_err *err)
{
	VN_AUTO_JSON *doc = NULL;
	const char *salt;
	int64_t version;

	if (vn_json_parse(bytes, len, WHAT, &doc, err) < 0)
		return -err->code;
	struct vn_jv root = vn_jv_root(doc, WHAT);
	if (vn_jv_want_object(&root, err) < 0 || vn_jv_need_size(&root, "version", &version, err) < 0)
		return -err->code;
	if (version != VERSION)
		return vn_fail(err, VN_EFORMAT, "%s: version %lld, expected %d", WHAT, (long long)version, VERSION);
	if (vn_jv_need_text(&root, "salt", &salt, err) < 0)
		return -err->code;
	if (strlen(salt) != SALT)
		return vn_fail(err, VN_EFORMAT, "%s: /salt has %zu digits, expected %d", WHAT, strlen(salt), SALT);
	for (enum vn_memory_kind kind = 0; kind < VN_MEMORY_KINDS; kind++)
		if (read_kind(m, kind, &root, err) < 0)
			return -err->code;
	memcpy(m->salt, salt, SALT);
	return 0;
}

/* Whoever can write it can name a TLS session whose keys he knows, and whoever can read it has our tokens. */
static int read_file(const char *path, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return vn_fail_sys(err, VN_ENOTFOUND, "%s", path);
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077))
		return vn_fail(err, VN_EUNSAFE, "%s is not a file that this user alone may use", path);
	if (st.st_size < 0 || st.st_size > (off_t)VN_MAX_MEMORY)
		return vn_fail(err, VN_ELIMIT, "%s is larger than %u bytes", path, VN_MAX_MEMORY);
	if (vn_buf_reserve(ret, (size_t)st.st_size, err) < 0 || vn_fs_read_at(fd, 0, ret->data, (size_t)st.st_size, path, err) < 0)
		return -err->code;
	ret->len = (size_t)st.st_size;
	return 0;
}

static void clear(struct vn_memory *m)
{
	for (enum vn_memory_kind kind = 0; kind < VN_MEMORY_KINDS; kind++)
		while (m->shelves[kind].n)
			drop_at(&m->shelves[kind], 0);
}

static int new_salt(struct vn_memory *m, struct vn_err *err)
{
	uint8_t random[SALT / 2];

	if (vn_random(random, sizeof random, err) < 0)
		return -err->code;
	for (size_t i = 0; i < sizeof random; i++)
		snprintf(m->salt + 2 * i, 3, "%02x", random[i]);
	return 0;
}

static int load(struct vn_memory *m, const struct vn_events *events, struct vn_err *err)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MEMORY);
	struct vn_err why = { 0 };

	if (m->path && (read_file(m->path, &bytes, &why) < 0 || vn_memory_read(m, vn_buf_text(&bytes), bytes.len, &why) < 0)) {
		vn_debug(events, "nothing is remembered: %s", why.text);
		clear(m);
	}
	if (bytes.data)
		explicit_bzero(bytes.data, bytes.len);
	return m->salt[0] ? 0 : new_salt(m, err);
}

static void memory_free(struct vn_memory *m)
{
	clear(m);
	pthread_mutex_destroy(&m->lock);
	free(m->path);
	free(m);
}

static int memory_new(const char *path, const struct vn_events *events, struct vn_memory **ret, struct vn_err *err)
{
	struct vn_memory *m = calloc(1, sizeof *m);

	if (!m)
		return vn_nomem(err);
	pthread_mutex_init(&m->lock, NULL);
	m->owners = 1;
	if (vn_strdup(path, &m->path, err) < 0 || load(m, events, err) < 0) {
		memory_free(m);
		return -err->code;
	}
	m->next = opened;
	opened = m;
	*ret = m;
	return 0;
}

int vn_memory_open(const char *path, const struct vn_events *events, struct vn_memory **ret, struct vn_err *err)
{
	int n = 0;

	pthread_mutex_lock(&opening);
	struct vn_memory *m = opened;
	while (m && (!path || !m->path || strcmp(m->path, path)))
		m = m->next;
	if (m)
		m->owners++;
	else
		n = memory_new(path, events, &m, err);
	pthread_mutex_unlock(&opening);
	if (n < 0)
		return n;
	*ret = m;
	return 0;
}

static bool add_items(const struct vn_memory *m, enum vn_memory_kind kind, vn_json *doc)
{
	const struct shelf *s = &m->shelves[kind];
	vn_json *list = vn_json_array();
	int64_t now = (int64_t)time(NULL);

	for (size_t i = 0; i < s->n; i++) {
		const struct vn_memory_item *item = &s->items[i];
		if (!holds(item, now, 0))
			continue;
		vn_json *o = vn_json_object();
		for (size_t k = 0; kinds[kind].names[k]; k++)
			vn_json_set(o, kinds[kind].names[k], vn_json_string(item->text[k]));
		vn_json_set(o, "noted", vn_json_int(item->noted));
		vn_json_set(o, "until", vn_json_int(item->until));
		vn_json_add(list, o);
	}
	return vn_json_set(doc, kinds[kind].list, list);
}

static int save(const struct vn_memory *m, struct vn_err *err)
{
	VN_AUTO_JSON *doc = vn_json_object();
	VN_AUTO(vn_buf) text = VN_BUF(VN_MAX_MEMORY);

	vn_json_set(doc, "version", vn_json_int(VERSION));
	vn_json_set(doc, "salt", vn_json_string(m->salt));
	for (enum vn_memory_kind kind = 0; kind < VN_MEMORY_KINDS; kind++)
		add_items(m, kind, doc);
	if (vn_json_text(doc, false, &text, err) < 0 || vn_buf_adds(&text, "\n", err) < 0)
		return -err->code;
	int n = vn_fs_replace(m->path, text.data, text.len, 0600, err);
	explicit_bzero(text.data, text.len);
	return n;
}

void vn_memory_close(struct vn_memory *m, const struct vn_events *events)
{
	struct vn_err err = { 0 };

	if (!m)
		return;
	pthread_mutex_lock(&opening);
	pthread_mutex_lock(&m->lock);
	int n = m->changed && m->path ? save(m, &err) : 0;
	m->changed = false;
	pthread_mutex_unlock(&m->lock);
	struct vn_memory **at = &opened;
	if (!--m->owners) {
		while (*at != m)
			at = &(*at)->next;
		*at = m->next;
		memory_free(m);
	}
	pthread_mutex_unlock(&opening);
	if (n < 0)
		vn_warn(events, "the next request will cost more, since nothing could be remembered: %s", err.text);
}
