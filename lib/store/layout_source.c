/* One source over both forms of an OCI layout: the folder and the archive. */
#include "store/layout.h"
#include "store/members.h"
#include "store/store.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

struct layout_source {
	struct vn_source s;
	struct vn_members *members;      /* NULL: a folder */
	struct vn_buf index;             /* index.json */
	struct vn_desc root;
	bool self;                       /* index.json itself is what the reference means */
};

static const char *place_of(const struct layout_source *l)
{
	return l->s.ref.path;
}

static int blob_absent(const struct layout_source *l, const struct vn_digest *digest, struct vn_err *err)
{
	return vn_fail(err, VN_ENOTFOUND, "blob %s is not in this layout: %s", digest->text, place_of(l));
}

static int open_blob(const struct layout_source *l, const struct vn_digest *digest, struct vn_in **ret, uint64_t *ret_size,
		     struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	VN_AUTO_FREE char *prefix = NULL;
	const struct vn_member *member;
	struct stat st;
	int rc = l->members ? 0 : vn_asprintf(&prefix, err, "%s/", place_of(l));
	if (rc == 0)
		rc = vn_layout_blob_path(prefix ? prefix : "", digest, &path, err);
	if (rc < 0)
		return rc;
	if (l->members) {
		rc = vn_members_find(l->members, path, &member, err);
		if (rc == 0)
			rc = vn_members_in(l->members, member, ret, err);
		if (rc == 0)
			*ret_size = member->size;
	} else {
		rc = vn_in_file(path, ret, err);
		if (rc == 0)
			*ret_size = stat(path, &st) == 0 ? (uint64_t)st.st_size : 0;
	}
	return rc == -VN_ENOTFOUND ? blob_absent(l, digest, err) : rc;
}

static int read_manifest(const struct layout_source *l, const struct vn_desc *want, struct vn_buf *ret_bytes,
			 struct vn_desc *ret_desc, struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	uint64_t size;
	enum vn_kind kind;
	const char *type = want->media_type;
	int rc = open_blob(l, &want->digest, &in, &size, err);
	if (rc < 0)
		return rc;
	if (size > VN_MAX_MANIFEST)
		return vn_fail(err, VN_ELIMIT, "%s: the manifest %s has %llu bytes, more than %u", place_of(l), want->digest.text,
			       (unsigned long long)size, VN_MAX_MANIFEST);
	rc = vn_in_verify(vn_steal(in), &want->digest, want->size, "manifest", &in, err);
	if (rc == 0)
		rc = vn_in_read_all(in, ret_bytes, err);
	if (rc < 0)
		return vn_wrap(err, "%s", place_of(l));
	if (!type) {
		rc = vn_manifest_kind(vn_buf_text(ret_bytes), ret_bytes->len, NULL, &kind, &type, err);
		if (rc < 0)
			return vn_wrap(err, "%s: blob %s", place_of(l), want->digest.text);
	}
	return want->json ? vn_desc_copy(want, ret_desc, err)
			  : vn_desc_init(ret_desc, type, &want->digest, (int64_t)ret_bytes->len, err);
}

static int layout_manifest(struct vn_source *s, const struct vn_desc *child, struct vn_buf *ret_bytes, struct vn_desc *ret_desc,
			   struct vn_err *err)
{
	struct layout_source *l = (struct layout_source *)s;
	struct vn_digest digest;
	if (!child && !l->self && vn_digest_none(&l->root.digest))
		return vn_fail(err, VN_ENOTFOUND, "%s is not written yet", s->ref.text);
	if (child || !l->self)
		return read_manifest(l, child ? child : &l->root, ret_bytes, ret_desc, err);
	int rc = vn_digest_of(vn_buf_text(&l->index), l->index.len, &digest, err);
	if (rc == 0)
		rc = vn_buf_add(ret_bytes, vn_buf_text(&l->index), l->index.len, err);
	if (rc == 0)
		rc = vn_desc_init(ret_desc, VN_MT_OCI_INDEX, &digest, (int64_t)l->index.len, err);
	return rc;
}

static int layout_blob(struct vn_source *s, const struct vn_desc *desc, struct vn_in **ret, struct vn_err *err)
{
	uint64_t size;
	return open_blob((struct layout_source *)s, &desc->digest, ret, &size, err);
}

static int layout_tags(struct vn_source *s, struct vn_buf *ret_tags, size_t *ret_count, struct vn_err *err)
{
	struct layout_source *l = (struct layout_source *)s;
	return vn_layout_tags(&l->index, place_of(l), ret_tags, ret_count, err);
}

static void layout_close(struct vn_source *s)
{
	struct layout_source *l = (struct layout_source *)s;
	vn_members_close(l->members);
	vn_buf_release(&l->index);
	vn_desc_release(&l->root);
	vn_ref_release(&l->s.ref);
	free(l);
}

static int layout_beside(struct vn_source *s, const char *tag, struct vn_source **ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	int rc = vn_ref_with(&s->ref, tag, NULL, &ref, err);
	if (rc < 0)
		return rc;
	return ((struct layout_source *)s)->members ? vn_oci_archive_source_open(&ref, s->events, ret, err) :
						      vn_layout_source_open(&ref, s->events, ret, err);
}

static const struct vn_source_ops layout_ops = { layout_manifest, layout_blob, layout_tags, layout_close, false, layout_beside };

/* ---- opening */
static int new_source(const struct vn_ref *ref, const struct vn_events *events, struct layout_source **ret, struct vn_err *err)
{
	struct layout_source *l = calloc(1, sizeof(*l));
	if (!l)
		return vn_nomem(err);
	l->s.ops = &layout_ops;
	l->s.events = events;
	l->index = (struct vn_buf)VN_BUF(VN_MAX_ARCHIVE_JSON);
	int rc = vn_ref_parse(ref->text, &l->s.ref, err);
	if (rc < 0) {
		layout_close(&l->s);
		return rc;
	}
	*ret = l;
	return 0;
}

static int no_layout(const char *place, const char *what, struct vn_err *err)
{
	vn_fail(err, VN_EFORMAT, "%s is no OCI layout: it has no %s", place, what);
	return vn_hint(err, "`veneer copy` and `skopeo copy` write one; an archive of `docker save` is named docker-archive:FILE");
}

static int read_below(const char *dir, const char *name, struct vn_buf *ret, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL;
	int rc = vn_asprintf(&path, err, "%s/%s", dir, name);
	if (rc == 0)
		rc = vn_fs_read(path, ret, err);
	return rc == -VN_ENOTFOUND ? no_layout(dir, name, err) : rc;
}

static int load_dir(struct layout_source *l, struct vn_err *err)
{
	const char *dir = place_of(l);
	struct stat st;
	VN_AUTO(vn_buf) version = VN_BUF(4096);
	if (stat(dir, &st) < 0)
		return vn_fail(err, VN_ENOTFOUND, "%s does not exist", dir);
	if (!S_ISDIR(st.st_mode)) {
		vn_fail(err, VN_EFORMAT, "%s is no folder", dir);
		return vn_hint(err, "an archive is named oci-archive:FILE or docker-archive:FILE");
	}
	int rc = read_below(dir, VN_LAYOUT_FILE, &version, err);
	if (rc == 0)
		rc = vn_layout_check_version(&version, dir, err);
	if (rc == 0)
		rc = read_below(dir, "index.json", &l->index, err);
	return rc;
}

static int load_archive(struct layout_source *l, struct vn_err *err)
{
	VN_AUTO(vn_buf) version = VN_BUF(4096);
	int rc = vn_members_open(place_of(l), l->s.events, &l->members, err);
	if (rc < 0)
		return rc;
	rc = vn_members_read(l->members, VN_LAYOUT_FILE, &version, err);
	if (rc == 0)
		rc = vn_layout_check_version(&version, place_of(l), err);
	if (rc == 0)
		rc = vn_members_read(l->members, "index.json", &l->index, err);
	return rc == -VN_ENOTFOUND ? no_layout(place_of(l), version.len ? "index.json" : VN_LAYOUT_FILE, err) : rc;
}

static int open_source(const struct vn_ref *ref, const struct vn_events *events,
		       int (*load)(struct layout_source *l, struct vn_err *err), struct vn_source **ret, struct vn_err *err)
{
	struct layout_source *l = NULL;
	int rc = new_source(ref, events, &l, err);
	if (rc < 0)
		return rc;
	rc = load(l, err);
	if (rc == 0)
		rc = vn_layout_choose(&l->index, ref, place_of(l), &l->root, &l->self, err);
	if (rc < 0) {
		layout_close(&l->s);
		return rc;
	}
	*ret = &l->s;
	return 0;
}

int vn_layout_blobs_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret, struct vn_err *err)
{
	struct layout_source *l = NULL;
	int rc = new_source(ref, events, &l, err);
	if (rc == 0)
		*ret = &l->s;
	return rc;
}

int vn_layout_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret, struct vn_err *err)
{
	return open_source(ref, events, load_dir, ret, err);
}

int vn_oci_archive_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret,
			       struct vn_err *err)
{
	return open_source(ref, events, load_archive, ret, err);
}
