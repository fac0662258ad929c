/* The parts of include/veneer/delta.h: what the names mean, deltas of files, deltas of images, and the result. */
#ifndef VN_API_DELTA_H
#define VN_API_DELTA_H
#include "api/context.h"
#include "ocidelta/ocidelta.h"
#include "util/arena.h"
#include <sys/stat.h>

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

/* Fills regions, methods, memory of an item that shows a delta. */
int vn_delta_regions_of_file(struct vn_delta_run *run, struct vn_in *in, uint64_t size, struct vn_delta_head *ret_head,
			     struct vn_delta_item *item, struct vn_err *err);
/* Of an artifact that was opened; one without a bundle has none. */
int vn_delta_regions_of_image(struct vn_delta_run *run, const struct vn_ocidelta *delta, struct vn_delta_item *item,
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

/* A file that is written, and appears when it is whole. */
struct vn_delta_target {
	const char *path;            /* NULL: nobody keeps it */
	struct vn_tmp tmp;
	struct vn_out *out;          /* counts and digests */
	struct vn_digest digest;
	uint64_t size;
};
#define VN_DELTA_TARGET { .tmp = VN_TMP }
/* `not`: a file that must not be replaced by it, `role` its name. */
int vn_delta_target_check(const char *path, const struct stat *not, const char *role, struct vn_err *err);
int vn_delta_target_open(const char *path, struct vn_delta_target *t, struct vn_err *err);
int vn_delta_target_publish(struct vn_delta_target *t, struct vn_err *err);
void vn_delta_target_release(struct vn_delta_target *t);

#define VN_DELTA_SAVES_NOTHING "it saves nothing"

/* Where a delta or a rebuilt image goes: a reference as everywhere; a name in a folder that exists is a file, an OCI archive. */
int vn_delta_dest_ref(const char *dest, struct vn_ref *ret, struct vn_err *err);
/* Reads and checks whatever it is given, keeps nothing. */
int vn_proof_sink_open(struct vn *vn, struct vn_sink **ret, struct vn_err *err);

struct vn_delta_pair {               /* of one platform */
	struct vn_source *old_source, *new_source;
	struct vn_image old_image, new_image;
};
void vn_delta_pair_release(struct vn_delta_pair *p);
/* The delta of both, applied once: what it rebuilds is right. */
int vn_delta_pair_make(struct vn *vn, const struct vn_delta_pair *p, const struct vn_delta_settings *settings,
		       struct vn_ocidelta *ret, struct vn_err *err);
/* One more item, with all that the delta says; `new_image` NULL: not at hand. */
int vn_delta_run_image(struct vn_delta_run *run, const struct vn_ocidelta *delta, const struct vn_image *new_image,
		       struct vn_delta_item **ret, struct vn_err *err);
/* The sentence "A device fetches …". */
int vn_delta_run_fetches(struct vn_delta_run *run, uint64_t size, uint64_t full, struct vn_err *err);

int vn_delta_images_make(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest,
			 const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err);
int vn_delta_images_show(struct vn *vn, const char *name, struct vn_delta_run *run, struct vn_err *err);
int vn_delta_images_apply(struct vn *vn, const char *old_ref, const char *delta_ref, const char *dest,
			  const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err);
/* A tar-diff alone: the tar of a layer. */
int vn_delta_tardiff_apply(struct vn *vn, const char *old_ref, const char *path, const char *dest,
			   const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err);
int vn_delta_images_push(struct vn *vn, const char *const *from, size_t nfrom, const char *new_ref,
			 const struct vn_delta_settings *settings, struct vn_delta_run *run, struct vn_err *err);
int vn_delta_images_push_made(struct vn *vn, const char *name, const char *repository, struct vn_delta_run *run, struct vn_err *err);
#endif
