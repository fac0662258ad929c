/* A tar-diff that lies in a file of its own: the tar of a layer, from the files of an image. */
#include "api/delta.h"
#include "util/cleanup.h"
#include <fcntl.h>
#include <string.h>

static int fill(struct vn_delta_run *run, const struct vn_delta_target *made, uint64_t size, const char *dest, bool proved,
		struct vn_err *err)
{
	char text[VN_SIZE_TEXT];
	struct vn_delta_item *item;
	int r = vn_delta_run_item(run, &item, err);
	if (r == 0)
		r = vn_delta_run_text(run, dest, &item->new_name, err);
	if (r == 0)
		r = vn_delta_run_text(run, made->digest.text, &item->new_digest, err);
	if (r == 0)
		r = vn_delta_run_text(run, dest, &run->result.target, err);
	if (r < 0)
		return r;
	item->format = "tar-diff";
	item->written = true;
	item->new_size = made->size;
	item->size = size;
	run->result.exact = proved;
	run->result.sentence = vn_arena_printf(&run->arena, err, proved ? "%s of tar, %s: it has the digest that was asked for." :
					       "%s of tar, %s: not verified, because a tar-diff does not say what it makes.",
					       vn_size_text(made->size, text), dest ? "written" : "rebuilt and thrown away");
	return run->result.sentence ? 0 : -(int)err->code;
}

static int rebuild(struct vn *vn, const char *old_ref, int fd, uint64_t size, const char *path,
		   const struct vn_delta_settings *settings, struct vn_out *out, struct vn_err *err)
{
	VN_AUTO_SOURCE *source = NULL;
	VN_AUTO(vn_image) old = { 0 };
	VN_AUTO_IN *list = NULL, *in = NULL;
	struct vn_tardiff_limits limits = { .memory = settings->max_memory };
	struct vn_index_options index;
	struct vn_platform want;
	int r = settings->platform ? vn_platform_parse(settings->platform, &want, err) : 0;
	if (r == 0)
		r = vn_index_setup(vn, &index, err);
	if (r == 0)
		r = vn_open_source(vn, old_ref, &source, err);
	if (r == 0)
		r = vn_image_open(source, settings->platform ? &want : NULL, vn->cache, &old, err);
	if (r == 0)
		r = vn_in_slice(fd, 0, size, path, &list, err);
	if (r == 0)
		r = vn_in_slice(fd, 0, size, path, &in, err);
	if (r < 0)
		return r;
	r = vn_ocidelta_apply_tardiff(&old, &index, list, in, &limits, out, err);
	return r < 0 ? vn_wrap(err, "applying %s to %s", path, old_ref) : vn_out_finish(out, err);
}

int vn_delta_tardiff_apply(struct vn *vn, const char *old_ref, const char *path, const char *dest,
			   const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err)
{
	VN_AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	VN_AUTO(vn_delta_target) made = VN_DELTA_TARGET;
	struct stat st;
	if (fd < 0 || fstat(fd, &st) < 0)
		return vn_fail_sys(err, VN_EIO, "cannot read %s", path);
	int r = dest ? vn_delta_target_check(dest, &st, "DELTA", err) : 0;
	if (r == 0)
		r = vn_delta_target_open(dest, &made, err);
	if (r == 0)
		r = rebuild(vn, old_ref, fd, (uint64_t)st.st_size, path, settings, made.out, err);
	if (r == 0 && settings->digest && strcmp(made.digest.text, settings->digest))
		r = vn_fail(err, VN_EDIGEST, "%s makes a tar with the digest %s, expected %s", path, made.digest.text,
			    settings->digest);
	if (r == 0)
		r = vn_delta_target_publish(&made, err);
	return r < 0 ? r : fill(run, &made, (uint64_t)st.st_size, dest, settings->digest, err);
}
