#include "layer/facts.h"
#include "util/cleanup.h"
#include "util/events.h"
#include "util/fs.h"
#include "util/limits.h"
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* Files smaller than this are gathered in memory, larger ones through an unlinked file. */
#define IN_MEMORY (4u << 20)

struct vn_gatherer {
	const struct vn_events *events;
	char *layer;
	char *path;
	enum vn_package_db db;
	bool model;
	struct vn_hash *hash;
	struct vn_buf bytes;
	struct vn_tmp spool;         /* holds everything once the file outgrew `bytes` */
	uint64_t spooled;
};

static void gatherer_close(struct vn_gatherer *g)
{
	if (!g)
		return;
	vn_hash_close(g->hash);
	vn_buf_release(&g->bytes);
	vn_tmp_release(&g->spool);
	free(g->layer);
	free(g->path);
	free(g);
}

static int gatherer_open(const char *layer_name, const struct vn_events *events, struct vn_gatherer **ret, struct vn_err *err)
{
	struct vn_gatherer *g = calloc(1, sizeof(*g));
	if (!g)
		return vn_nomem(err);
	g->events = events;
	g->bytes.max = VN_MAX_PACKAGE_DB;
	g->spool = (struct vn_tmp)VN_TMP;
	int r = vn_strdup(layer_name, &g->layer, err);
	if (r == 0)
		r = vn_hash_open("sha256", &g->hash, err);
	if (r < 0) {
		gatherer_close(g);
		return r;
	}
	*ret = g;
	return 0;
}

static int gatherer_begin(struct vn_gatherer *g, const char *path, uint64_t size, const void *head, size_t head_len,
		      bool *ret_wanted, struct vn_err *err)
{
	g->db = vn_package_db_of(path);
	g->model = g->db == VN_DB_NONE && size > 0 && size <= VN_MAX_MODEL_MAP &&
		   (vn_model_by_path(path) || vn_model_by_magic(head, head_len));
	if (g->db != VN_DB_NONE && size > VN_MAX_PACKAGE_DB) {
		vn_warn(g->events, "%s: /%s has %llu bytes, too many for a package database; its packages are not compared", g->layer,
			path, (unsigned long long)size);
		g->db = VN_DB_NONE;
	}
	*ret_wanted = g->db != VN_DB_NONE || g->model;
	if (!*ret_wanted)
		return 0;
	free(vn_steal(g->path));
	vn_buf_clear(&g->bytes);
	vn_tmp_release(&g->spool);
	g->spooled = 0;
	return vn_strdup(path, &g->path, err);
}

static int gatherer_add(struct vn_gatherer *g, const void *data, size_t len, struct vn_err *err)
{
	int r = g->model ? vn_hash_add(g->hash, data, len, err) : 0;
	if (r < 0)
		return r;
	if (g->db != VN_DB_NONE || (g->spool.fd < 0 && g->bytes.len + len <= IN_MEMORY))
		return vn_buf_add(&g->bytes, data, len, err);
	if (g->spool.fd < 0) {
		r = vn_tmp_anonymous(&g->spool, err);
		if (r == 0)
			r = vn_fs_write(g->spool.fd, g->bytes.data, g->bytes.len, "a temporary file", err);
		g->spooled = g->bytes.len;
		if (r < 0)
			return r;
	}
	g->spooled += len;
	return vn_fs_write(g->spool.fd, data, len, "a temporary file", err);
}

static int add_text(struct vn_buf *facts, const char *text, struct vn_err *err)
{
	return vn_buf_add(facts, text, strlen(text) + 1, err);
}

static int add_package(void *user, const struct vn_package *p, struct vn_err *err)
{
	struct vn_buf *facts = user;
	int r = add_text(facts, "package", err);
	if (r == 0)
		r = add_text(facts, p->manager, err);
	if (r == 0)
		r = add_text(facts, p->name, err);
	if (r == 0)
		r = add_text(facts, p->version, err);
	return r < 0 ? r : add_text(facts, p->arch, err);
}

static int end_packages(struct vn_gatherer *g, struct vn_buf *facts, struct vn_err *err)
{
	size_t before = facts->len;
	struct vn_err why = { 0 };
	int r = vn_packages_parse(g->db, g->path, g->bytes.data, g->bytes.len, add_package, facts, &why);
	if (r == 0)
		return 0;
	if (why.code == VN_ENOMEM)
		return vn_nomem(err);
	facts->len = before;
	vn_warn(g->events, "%s: %s; its packages are not compared", g->layer, why.text);
	return 0;
}

static int end_model(struct vn_gatherer *g, struct vn_buf *facts, struct vn_err *err)
{
	struct vn_model_facts f = { 0 };
	struct vn_digest digest;
	int r = vn_hash_end(g->hash, &digest, err);
	if (r < 0)
		return r;
	if (g->spool.fd < 0) {
		vn_model_look(g->path, vn_buf_text(&g->bytes), g->bytes.len, &f);
	} else {
		void *map = mmap(NULL, (size_t)g->spooled, PROT_READ, MAP_PRIVATE, g->spool.fd, 0);
		if (map == MAP_FAILED)
			return vn_fail_sys(err, VN_EIO, "cannot map /%s of %s", g->path, g->layer);
		vn_model_look(g->path, map, (size_t)g->spooled, &f);
		munmap(map, (size_t)g->spooled);
	}
	const char *texts[] = { "model", digest.text, f.format, f.detail, f.element, f.quantisation };
	for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(texts[0]); i++)
		r = add_text(facts, texts[i], err);
	return r;
}

static int gatherer_end(struct vn_gatherer *g, struct vn_buf *facts, struct vn_err *err)
{
	int r = g->db != VN_DB_NONE ? end_packages(g, facts, err) : end_model(g, facts, err);
	vn_tmp_release(&g->spool);
	return r;
}

const struct vn_gathering vn_gather_facts = { gatherer_open, gatherer_close, gatherer_begin, gatherer_add, gatherer_end };

/* The text at `*at`, stepping behind it; NULL when the facts end. */
static const char *next_text(const struct vn_buf *facts, size_t *at)
{
	if (*at >= facts->len)
		return NULL;
	const char *text = facts->data + *at, *end = memchr(text, 0, facts->len - *at);
	if (!end)
		return NULL;
	*at = (size_t)(end - facts->data) + 1;
	return text;
}

bool vn_facts_model(const struct vn_buf *facts, struct vn_model_note *ret)
{
	size_t at = 0;
	const char *texts[6];
	for (int i = 0; i < 6; i++)
		if (!(texts[i] = next_text(facts, &at)))
			return false;
	if (strcmp(texts[0], "model"))
		return false;
	*ret = (struct vn_model_note){ texts[1], texts[2], texts[3], texts[4], texts[5] };
	return true;
}

bool vn_facts_package(const struct vn_buf *facts, size_t *at, struct vn_package *ret)
{
	const char *texts[5];
	for (int i = 0; i < 5; i++)
		if (!(texts[i] = next_text(facts, at)))
			return false;
	if (strcmp(texts[0], "package"))
		return false;
	*ret = (struct vn_package){ texts[1], texts[2], texts[3], texts[4] };
	return true;
}
