/* index.json: choosing, listing, changing; what was changed must be readable again. */
#include "store/layout.h"
#include "util/cleanup.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void choose(const struct vn_buf *index, const char *text)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	bool self;
	if (vn_ref_parse(text, &ref, &err) == 0)
		vn_layout_choose(index, &ref, "x", &desc, &self, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vn_err err = { 0 };
	VN_AUTO(vn_buf) index = VN_BUF(1 << 20), changed = VN_BUF(1 << 22), tags = VN_BUF(1 << 20);
	VN_AUTO(vn_desc) desc = { 0 }, found = { 0 };
	struct vn_digest digest;
	size_t count;
	if (vn_buf_add(&index, data, size, &err) < 0 || vn_digest_of(data, size, &digest, &err) < 0 ||
	    vn_desc_init(&desc, VN_MT_OCI_MANIFEST, &digest, (int64_t)size, &err) < 0)
		return 0;
	vn_layout_check_version(&index, "x", &err);
	choose(&index, "oci:x");
	choose(&index, "oci:x:v1");
	choose(&index, "oci:x:@sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
	vn_layout_tags(&index, "x", &tags, &count, &err);
	if (vn_layout_with_entry(&index, "x", &desc, "v1", NULL, &changed, &err) < 0)
		return 0;
	/* one entry more than is read: the only way that the result may be refused */
	if (vn_layout_entry(&changed, "v1", "x", &found, &err) < 0 ? err.code != VN_ELIMIT && err.code != VN_ENOMEM
								   : !vn_digest_equal(&found.digest, &digest))
		abort();
	return 0;
}
