/* The parts of include/veneer/delta.h: what the names mean, deltas of files, deltas of images, and the result. */
#ifndef VN_API_DELTA_H
#define VN_API_DELTA_H
#include "api/context.h"
#include "delta/delta.h"
#include "util/arena.h"

struct vn_delta_run {
	struct vn_arena arena;       /* every text and list below */
	struct vn_delta_result result;
	struct vn_delta_item *items;
	size_t cap;
	bool stays;                  /* handed out also with VN_EREFUSED */
};
/* One more item, all texts "" and all lists empty. Valid until the next one. */
int vn_delta_run_item(struct vn_delta_run *run, struct vn_delta_item **ret, struct vn_err *err);
/* `value` NULL gives "". */
int vn_delta_run_text(struct vn_delta_run *run, const char *value, const char **ret, struct vn_err *err);
/* Methods and relation from what the encoder counted. */
int vn_delta_run_methods(struct vn_delta_run *run, const struct vn_delta_stats *stats, struct vn_delta_item *item,
			 struct vn_err *err);

enum vn_delta_kind {
	VN_NAMES_FILE,
	VN_NAMES_IMAGE,
	VN_NAMES_DELTA,              /* a file that begins as a delta of files does */
	VN_NAMES_TARDIFF             /* a file that begins as a tar-diff does */
};
struct vn_delta_name {
	enum vn_delta_kind kind;
	char *text;                  /* path, or reference as vn_open_source() takes it; owned */
};
/* What `name` (`role`: "OLD", "DELTA") is: a transport or --images says image, an existing file is a file unless it is an
 * archive of images, anything else is an image in a registry. VN_EUSAGE, VN_ENOTFOUND. */
int vn_delta_name_open(const char *name, const char *role, const struct vn_delta_settings *settings, struct vn_delta_name *ret,
		       struct vn_err *err);
void vn_delta_name_release(struct vn_delta_name *name);

/* Which tensors of two model files belong together, for vn_delta_options; none when they are no models. Free *ret. */
int vn_delta_hints_make(const char *old_path, const void *old, size_t old_len, const char *new_path, const void *data, size_t len,
			struct vn_delta_hint **ret, size_t *ret_count, struct vn_err *err);

int vn_delta_files_make(struct vn *vn, const char *old_path, const char *new_path, const char *dest,
			const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err);
int vn_delta_files_show(struct vn *vn, const char *path, struct vn_delta_run *run, struct vn_err *err);
int vn_delta_files_apply(struct vn *vn, const char *old_path, const char *path, const char *dest,
			 const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err);
#endif
