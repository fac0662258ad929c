/* Models that are zip files (APPNOTE.TXT): torch.save and TorchScript, .npz, .keras, TorchServe archives. Only stored members
 * are looked into, which is how torch and Keras write them. */
#include "model/look.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "json/json.h"
#include <string.h>

#define ZIP_EOCD 22    /* "PK\5\6" … u16 entries at 10, u32 directory size at 12 and offset at 16, u16 comment length */
#define ZIP_LOCATOR 20 /* "PK\6\7" u32 disk, u64 offset of the zip64 record */
#define ZIP_MAX_COMMENT 65535

struct member {
	struct vn_bytes name, data; /* data: empty unless stored and whole */
	uint64_t size;
};

static struct vn_cur at(struct vn_bytes b, uint64_t offset)
{
	return vn_cur_of(vn_bytes_at(b, offset, offset < b.len ? b.len - offset : 0));
}

static bool signed_as(struct vn_cur *c, const char *signature)
{
	return vn_bytes_start(vn_cur_take(c, 4), signature, 4);
}

/* The central directory, empty when there is none. */
static struct vn_bytes directory(struct vn_bytes b)
{
	struct vn_bytes none = { b.p, 0 };
	size_t from = b.len > ZIP_EOCD + ZIP_MAX_COMMENT ? b.len - ZIP_EOCD - ZIP_MAX_COMMENT : 0;
	for (size_t i = b.len < ZIP_EOCD ? 0 : b.len - ZIP_EOCD + 1; i-- > from;) {
		struct vn_cur c = at(b, i);
		if (b.p[i] != 'P' || !signed_as(&c, "PK\5\6"))
			continue;
		vn_cur_take(&c, 8);
		uint64_t size = vn_cur_uint(&c, 4), offset = vn_cur_uint(&c, 4);
		struct vn_cur locator = at(b, i >= ZIP_LOCATOR ? i - ZIP_LOCATOR : b.len);
		if (signed_as(&locator, "PK\6\7")) {
			vn_cur_take(&locator, 4);
			struct vn_cur c64 = at(b, vn_cur_uint(&locator, 8));
			if (signed_as(&c64, "PK\6\6")) {
				vn_cur_take(&c64, 36);
				size = vn_cur_uint(&c64, 8);
				offset = vn_cur_uint(&c64, 8);
			}
		}
		return vn_bytes_at(b, offset, size);
	}
	return none;
}

static void zip64_extra(struct vn_bytes extra, uint64_t *size, uint64_t *packed, uint64_t *offset)
{
	struct vn_cur c = vn_cur_of(extra);
	while (!vn_cur_end(&c)) {
		uint64_t id = vn_cur_uint(&c, 2);
		struct vn_cur e = vn_cur_of(vn_cur_take(&c, vn_cur_uint(&c, 2)));
		if (id != 1)
			continue;
		if (*size == 0xffffffff)
			*size = vn_cur_uint(&e, 8);
		if (*packed == 0xffffffff)
			*packed = vn_cur_uint(&e, 8);
		if (*offset == 0xffffffff)
			*offset = vn_cur_uint(&e, 8);
		return;
	}
}

static bool next_member(struct vn_bytes b, struct vn_cur *dir, struct member *ret)
{
	if (vn_cur_end(dir) || !signed_as(dir, "PK\1\2"))
		return false;
	vn_cur_take(dir, 6);
	uint64_t method = vn_cur_uint(dir, 2);
	vn_cur_take(dir, 8);
	uint64_t packed = vn_cur_uint(dir, 4), size = vn_cur_uint(dir, 4);
	uint64_t name = vn_cur_uint(dir, 2), extra = vn_cur_uint(dir, 2), comment = vn_cur_uint(dir, 2);
	vn_cur_take(dir, 8);
	uint64_t offset = vn_cur_uint(dir, 4);
	ret->name = vn_cur_take(dir, name);
	zip64_extra(vn_cur_take(dir, extra), &size, &packed, &offset);
	vn_cur_take(dir, comment);
	ret->size = size;
	ret->data = (struct vn_bytes){ b.p, 0 };
	struct vn_cur local = at(b, offset);
	if (method == 0 && size == packed && signed_as(&local, "PK\3\4")) {
		vn_cur_take(&local, 22);
		uint64_t skip = vn_cur_uint(&local, 2);
		skip += vn_cur_uint(&local, 2);
		vn_cur_take(&local, skip);
		ret->data = vn_cur_take(&local, size);
	}
	return !dir->bad;
}

static bool ends(struct vn_bytes name, const char *text)
{
	size_t len = strlen(text);
	return name.len >= len && !memcmp(name.p + name.len - len, text, len);
}

struct contents {
	struct member data_pkl, keras_metadata;
	bool torch, script, keras, npz, torchserve;
	struct vn_tally arrays;
};

static void see(struct contents *z, const struct member *m)
{
	if (ends(m->name, "/data.pkl")) {
		z->torch = true;
		z->data_pkl = *m;
	} else if (ends(m->name, "/constants.pkl") || vn_bytes_find(m->name, "/code/") < m->name.len) {
		z->script = true;
	} else if (vn_bytes_are(m->name, "metadata.json")) {
		z->keras_metadata = *m;
	} else if (vn_bytes_are(m->name, "model.weights.h5")) {
		z->keras = true;
	} else if (vn_bytes_are(m->name, "MAR-INF/MANIFEST.json")) {
		z->torchserve = true;
	} else if (ends(m->name, ".npy")) {
		z->npz = true;
		vn_tally_add(&z->arrays, vn_npy_element(m->data), m->size);
	}
}

static void look_torch(const struct contents *z, struct vn_model_facts *ret)
{
	struct vn_pickle_facts f;
	VN_FACT(ret->format, z->script ? "torchscript" : "pytorch");
	vn_pickle_walk(z->data_pkl.data, &f);
	vn_pickle_detail(&f, ret->detail, sizeof(ret->detail));
	VN_FACT(ret->quantisation, f.quantised);
	vn_fact_tally(ret, &f.elements);
}

static void look_keras(const struct contents *z, struct vn_model_facts *ret)
{
	VN_AUTO_JSON *json = NULL;
	struct vn_err err = { 0 };
	const char *version = NULL;
	struct vn_bytes b = z->keras_metadata.data;
	VN_FACT(ret->format, "keras");
	if (b.len > 64u << 10 || vn_json_parse(b.p, b.len, "metadata.json", &json, &err) < 0)
		return;
	struct vn_jv root = vn_jv_root(json, "metadata.json");
	if (!vn_jv_is_object(&root) || vn_jv_opt_text(&root, "keras_version", &version, &err) < 0 || !version)
		return;
	VN_FACT(ret->detail, "Keras");
	vn_fact_adds(ret->detail, sizeof(ret->detail), version);
}

bool vn_look_zip(struct vn_bytes b, struct vn_model_facts *ret)
{
	if (!vn_bytes_start(b, "PK\3\4", 4))
		return false;
	struct contents z = { 0 };
	struct vn_cur dir = vn_cur_of(directory(b));
	struct member m;
	uint32_t steps = 0;
	while (++steps <= VN_MAX_MODEL_STEPS && next_member(b, &dir, &m))
		see(&z, &m);
	if (z.torch)
		look_torch(&z, ret);
	else if (z.keras)
		look_keras(&z, ret);
	else if (z.torchserve)
		VN_FACT(ret->format, "torchserve");
	else if (z.npz) {
		VN_FACT(ret->format, "npz");
		const char *top = vn_tally_top(&z.arrays);
		VN_FACT(ret->element, top ? top : "");
	} else
		return false;
	return true;
}

/* "archive/data/7" without the archive's name, which is that of the file it was saved to. */
static struct vn_bytes storage_name(struct vn_bytes name)
{
	size_t at = vn_bytes_find(name, "/data/");
	return vn_bytes_at(name, at, at < name.len ? name.len - at : 0);
}

void vn_map_zip(struct vn_bytes b, struct vn_map *map)
{
	struct vn_cur dir = vn_cur_of(directory(b));
	struct member m;
	uint32_t steps = 0;
	while (++steps <= VN_MAX_MODEL_STEPS && next_member(b, &dir, &m)) {
		struct vn_bytes storage = storage_name(m.name);
		if (ends(m.name, ".npy"))
			vn_map_npy(m.data, m.name, map);
		else if (storage.len)
			vn_map_add(map, storage, NULL, m.data);
	}
}
