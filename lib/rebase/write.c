#include "rebase/write.h"
#include "stream/out.h"
#include "tar/writer.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include "util/num.h"
#include "util/path.h"
#include <string.h>
#include <unistd.h>

#define GZIP_LEVEL 9

/* (len name NUL len value)* as index.h has it; the entry was encoded by ourselves, so a slip is a damaged index. */
static int decode_xattrs(const struct vn_entry *e, struct vn_xattr **ret, size_t *ret_n, struct vn_err *err)
{
	VN_AUTO_FREE struct vn_xattr *list = NULL;
	size_t n = 0, cap = 0, left = e->xattrs_len;
	const uint8_t *p = e->xattrs;
	while (left) {
		uint64_t name_len, len;
		size_t used = vn_get_varint(p, left, &name_len);
		if (!used || name_len >= left - used || p[used + name_len])
			return vn_fail(err, VN_EFORMAT, "the extended attributes of /%s are damaged in the index", e->path);
		const char *name = (const char *)p + used;
		p += used + name_len + 1;
		left -= used + (size_t)name_len + 1;
		used = vn_get_varint(p, left, &len);
		if (!used || len > left - used)
			return vn_fail(err, VN_EFORMAT, "the extended attributes of /%s are damaged in the index", e->path);
		int r = vn_grow(&list, &cap, n + 1, sizeof(*list), err);
		if (r < 0)
			return r;
		list[n++] = (struct vn_xattr){ name, p + used, (size_t)len };
		p += used + len;
		left -= used + (size_t)len;
	}
	*ret = vn_steal(list);
	*ret_n = n;
	return 0;
}

static enum vn_entry_type type_of(const struct vn_item *item, bool linked)
{
	if (linked)
		return VN_HARDLINK;
	switch (item->e.kind) {
	case 'd':
		return VN_DIR;
	case 'l':
		return VN_SYMLINK;
	case 'c':
		return VN_CHAR;
	case 'b':
		return VN_BLOCK;
	case 'p':
		return VN_FIFO;
	default:
		return VN_FILE;
	}
}

static int write_contents(struct vn_tar_writer *w, const struct vn_payload_contents *contents, const struct vn_item *item,
			  struct vn_err *err)
{
	VN_AUTO_IN *in = NULL;
	const void *block;
	ssize_t n;
	int r = vn_in_slice(contents->spool.fd, contents->at[item->slot], item->e.size, "a temporary file", &in, err);
	while (r == 0 && (n = vn_in_next(in, &block, err)) != 0) {
		if (n < 0)
			return (int)n;
		r = vn_tar_write_data(w, block, (size_t)n, err);
	}
	return r;
}

static int write_whiteout(struct vn_tar_writer *w, const struct vn_item *item, struct vn_err *err)
{
	const char *base = vn_path_base(item->e.path);
	VN_AUTO_FREE char *path = NULL;
	int r = vn_asprintf(&path, err, "%.*s.wh.%s", (int)(base - item->e.path), item->e.path, base);
	struct vn_tar_entry entry = { .path = path, .type = VN_FILE };
	return r < 0 ? r : vn_tar_write_entry(w, &entry, err);
}

static int write_item(struct vn_tar_writer *w, const struct vn_payload_contents *contents, const struct vn_item *item,
		      struct vn_err *err)
{
	if (item->e.kind == VN_KIND_WHITEOUT)
		return write_whiteout(w, item, err);
	bool linked = item->first != item->e.path;
	VN_AUTO_FREE struct vn_xattr *xattrs = NULL;
	struct vn_tar_entry entry = {
		.path = item->e.path, .type = type_of(item, linked), .mode = item->e.mode, .uid = item->e.uid, .gid = item->e.gid,
		.size = linked || item->e.kind != '-' ? 0 : item->e.size, .mtime = item->e.mtime, .mtime_nsec = item->e.nsec,
		.dev_major = item->e.major, .dev_minor = item->e.minor,
		.link = linked ? item->first : item->e.kind == 'l' ? item->e.link : NULL,
	};
	int r = decode_xattrs(&item->e, &xattrs, &entry.nxattrs, err);
	entry.xattrs = xattrs;
	if (r == 0)
		r = vn_tar_write_entry(w, &entry, err);
	if (r == 0 && entry.type == VN_FILE && entry.size)
		r = write_contents(w, contents, item, err);
	return r;
}

static int write_tar(const struct vn_payload *payload, const struct vn_payload_contents *contents, enum vn_role role,
		     struct vn_out *out, struct vn_veneer_blob *blob, struct vn_err *err)
{
	struct vn_tar_writer *w = NULL;
	int r = vn_tar_writer_open(out, &w, err);
	for (size_t i = 0; r == 0 && i < payload->n; i++) {
		const struct vn_item *item = &payload->items[i];
		if (item->role != role)
			continue;
		blob->whiteouts += item->e.kind == VN_KIND_WHITEOUT;
		blob->files += item->e.kind != VN_KIND_WHITEOUT && item->e.kind != 'd';
		r = write_item(w, contents, item, err);
	}
	if (r == 0)
		r = vn_tar_writer_finish(w, err);
	vn_tar_writer_close(w);
	return r;
}

static int write_blob(const struct vn_payload *payload, const struct vn_payload_contents *contents, enum vn_role role,
		      enum vn_family family, struct vn_veneer_blob *blob, struct vn_err *err)
{
	VN_AUTO_OUT *out = NULL;
	struct vn_digest digest;
	uint64_t size = 0;
	blob->role = role;
	int r = vn_tmp_anonymous(&blob->tmp, err);
	/* tar → diff_id → gzip → digest → file */
	if (r == 0)
		r = vn_out_fd(blob->tmp.fd, "a temporary file", &out, err);
	if (r == 0)
		r = vn_out_digest(vn_steal(out), &digest, &size, &out, err);
	if (r == 0)
		r = vn_out_gzip(vn_steal(out), GZIP_LEVEL, &out, err);
	if (r == 0)
		r = vn_out_digest(vn_steal(out), &blob->diff_id, &blob->plain_size, &out, err);
	if (r == 0)
		r = write_tar(payload, contents, role, out, blob, err);
	if (r == 0)
		r = vn_out_finish(out, err);
	if (r == 0)
		r = vn_desc_init(&blob->desc, vn_mediatype_layer(family, VN_GZIP), &digest, (int64_t)size, err);
	return r;
}

int vn_veneer_write(const struct vn_payload *payload, const struct vn_payload_contents *contents, enum vn_family family,
		    struct vn_veneer_blob ret[VN_ROLES], size_t *ret_n, struct vn_err *err)
{
	size_t n = 0;
	for (int role = 0; role < VN_ROLES; role++) {
		bool any = false;
		for (size_t i = 0; i < payload->n && !any; i++)
			any = payload->items[i].role == (enum vn_role)role;
		if (!any)
			continue;
		memset(&ret[n], 0, sizeof(ret[n]));
		ret[n].tmp = (struct vn_tmp)VN_TMP;
		int r = write_blob(payload, contents, (enum vn_role)role, family, &ret[n], err);
		n++;
		if (r < 0) {
			while (n)
				vn_veneer_blob_release(&ret[--n]);
			return r;
		}
	}
	*ret_n = n;
	return 0;
}

void vn_veneer_blob_release(struct vn_veneer_blob *blob)
{
	vn_tmp_release(&blob->tmp);
	vn_desc_release(&blob->desc);
}

int vn_veneer_open(const struct vn_veneer_blob *blob, struct vn_in **ret, struct vn_err *err)
{
	return vn_in_slice(blob->tmp.fd, 0, (uint64_t)blob->desc.size, "the veneer layer", ret, err);
}
