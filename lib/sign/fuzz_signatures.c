/* A manifest under the tag where signatures are kept: looked through, and added to. */
#include "oci/manifest.h"
#include "sign/find.h"
#include "sign/put.h"
#include "util/limits.h"
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct source {
	struct vn_source s;
	const uint8_t *data;
	size_t size;
};

static int read_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			 struct vn_err *err)
{
	const struct source *x = (const struct source *)s;
	struct vn_digest digest;
	if (vn_buf_add(ret_bytes, x->data, x->size, err) < 0 || vn_digest_of(x->data, x->size, &digest, err) < 0)
		return -(int)err->code;
	return child ? vn_desc_copy(child, ret_desc, err) : vn_desc_init(ret_desc, VN_MT_OCI_MANIFEST, &digest,
									 (int64_t)x->size, err);
}

static int read_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	(void)s, (void)ret;
	return vn_fail(err, VN_ENOTFOUND, "no blob %s", desc->digest.text);
}

static void close_source(struct vn_source *s)
{
	vn_ref_release(&s->ref);
	free(s);
}

static struct vn_source *new_source(const uint8_t *data, size_t size);

static int beside(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err)
{
	const struct source *x = (const struct source *)s;
	(void)tag;
	*ret = new_source(x->data, x->size);
	return *ret ? 0 : vn_nomem(err);
}

static struct vn_source *new_source(const uint8_t *data, size_t size)
{
	static const struct vn_source_ops ops = { read_manifest, read_blob, NULL, close_source, false, beside };
	struct vn_err err = { 0 };
	struct source *x = calloc(1, sizeof(*x));
	if (!x)
		return NULL;
	x->s.ops = &ops;
	x->data = data;
	x->size = size;
	if (vn_ref_parse("oci:place:1", &x->s.ref, &err) < 0) {
		free(x);
		return NULL;
	}
	return &x->s;
}

/* What is made of it is a manifest again, with one layer more. */
static void add(const uint8_t *data, size_t size)
{
	VN_AUTO(vn_manifest) old = { .nlayers = 0 }, new = { .nlayers = 0 };
	VN_AUTO(vn_buf) manifest = VN_BUF(2 * VN_MAX_MANIFEST), config = VN_BUF(VN_MAX_MANIFEST);
	VN_AUTO(vn_new_signature) s = { .text = VN_BUF(16), .len = 4 };
	struct vn_err err = { 0 };
	bool changed = false;
	if (vn_manifest_parse(data, size, &old, &err) < 0 || vn_buf_adds(&s.text, "text", &err) < 0 ||
	    vn_sign_manifest(&old, &s, 1, &manifest, &config, &changed, &err) < 0 || !changed)
		return;
	if (manifest.len <= VN_MAX_MANIFEST &&
	    (vn_manifest_parse(manifest.data, manifest.len, &new, &err) < 0 || new.nlayers != old.nlayers + 1))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vn_public_keys keys = { .n = 0 };
	VN_AUTO(vn_found_list) found = { .n = 0 };
	VN_AUTO_SOURCE *source = new_source(data, size);
	struct vn_err err = { 0 };
	struct vn_digest digest;
	if (!source || vn_digest_of("image", 5, &digest, &err) < 0)
		return 0;
	if (vn_found_look(source, &digest, &keys, true, 0, 0, &found, &err) == 0 && vn_found_best(&found, 0))
		abort();
	add(data, size);
	return 0;
}
