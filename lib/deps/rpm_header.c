/* A package header without its lead, as rpm's databases keep it; every number is a big-endian uint32:
 *   il  dl  il × { tag  type  offset  count }  dl bytes of data
 * Offsets count from the start of the data. */
#include "deps/parse.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <stdio.h>
#include <string.h>

enum { TAG_NAME = 1000, TAG_VERSION = 1001, TAG_RELEASE = 1002, TAG_EPOCH = 1003, TAG_ARCH = 1022 };
enum { TYPE_INT32 = 4, TYPE_STRING = 6 };
#define INDEX_ENTRY 16

struct header {
	const uint8_t *data;
	size_t dl;
	const char *name, *version, *release, *arch;
	bool has_epoch;
	uint32_t epoch;
};

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* NULL when the text does not end inside the data. */
static const char *text_at(const struct header *h, uint32_t offset)
{
	if (offset >= h->dl || !memchr(h->data + offset, 0, h->dl - offset))
		return NULL;
	return (const char *)h->data + offset;
}

static int read_entry(struct vn_deps *in, size_t at, const uint8_t *entry, struct header *h, struct vn_err *err)
{
	uint32_t tag = be32(entry), type = be32(entry + 4), offset = be32(entry + 8), count = be32(entry + 12);
	const char **field = tag == TAG_NAME	  ? &h->name
			     : tag == TAG_VERSION ? &h->version
			     : tag == TAG_RELEASE ? &h->release
			     : tag == TAG_ARCH	  ? &h->arch
						  : NULL;
	if (field) {
		const char *text = type == TYPE_STRING && count == 1 ? text_at(h, offset) : NULL;
		if (!text)
			return vn_deps_fail(in, at, err,
					    "rpm header tag %u (type %u, count %u, offset %u) is not a text of its data", tag,
					    type, count, offset);
		if (!*field)
			*field = text;
	} else if (tag == TAG_EPOCH && !h->has_epoch) {
		if (type != TYPE_INT32 || count < 1 || offset > h->dl || h->dl - offset < 4)
			return vn_deps_fail(in, at, err,
					    "rpm header tag %u (type %u, count %u, offset %u) is not a number of its data", tag,
					    type, count, offset);
		h->has_epoch = true;
		h->epoch = be32(h->data + offset);
	}
	return 0;
}

int vn_deps_rpm_header(struct vn_deps *in, size_t at, const uint8_t *blob, size_t len, struct vn_err *err)
{
	if (len < 8)
		return vn_deps_fail(in, at, err, "rpm header of %zu bytes", len);
	uint32_t il = be32(blob), dl = be32(blob + 4);
	if (il == 0 || il > VN_MAX_RPM_TAGS || dl > len || (size_t)il * INDEX_ENTRY > len - 8 ||
	    dl > len - 8 - (size_t)il * INDEX_ENTRY)
		return vn_deps_fail(in, at, err, "rpm header of %zu bytes that claims %u tags and %u bytes of data", len, il,
				    dl);
	struct header h = { .data = blob + 8 + (size_t)il * INDEX_ENTRY, .dl = dl };
	for (uint32_t i = 0; i < il; i++)
		if (read_entry(in, at, blob + 8 + (size_t)i * INDEX_ENTRY, &h, err) < 0)
			return -err->code;
	if (h.name && strcmp(h.name, "gpg-pubkey") == 0)
		return 0;
	if (!h.name || !h.version || !h.release)
		return vn_deps_fail(in, at, err, "rpm header without %s",
				    !h.name	 ? "a name"
				    : !h.version ? "a version"
						 : "a release");
	VN_AUTO_FREE char *full = NULL;
	char epoch[16] = "";
	if (h.has_epoch)
		snprintf(epoch, sizeof(epoch), "%u:", h.epoch);
	if (strlen(h.version) >= VN_MAX_PACKAGE_FIELD || strlen(h.release) >= VN_MAX_PACKAGE_FIELD)
		return vn_deps_fail(in, at, err, "the package's version is too long");
	if (vn_asprintf(&full, err, "%s%s-%s", epoch, h.version, h.release) < 0)
		return -err->code;
	return vn_deps_tell(in, at, h.name, full, h.arch ? h.arch : "", err);
}
