/* OLD + NEW → a thin image: OLD's layers untouched, one veneer layer on top, behaving as NEW; written to DEST and proved. */
#ifndef VENEER_REBASE_H
#define VENEER_REBASE_H
#include "veneer/diff.h"

#ifdef __cplusplus
extern "C" {
#endif

enum vn_rebase_mode {
	VN_MODE_DEFAULT,        /* the policy's, else content */
	VN_MODE_CONTENT,        /* the veneer carries whatever really differs */
	VN_MODE_PATHS           /* only model and score files; refuses when anything else really differs */
};
struct vn_rebase_options {
	size_t size;
	enum vn_rebase_mode mode;
	const enum vn_class *accept; /* VN_MODE_PATHS: differences of these classes are left as in OLD, and recorded */
	size_t naccept;
	bool split;                  /* model and score script in layers of their own */
	bool dry_run;                /* plan and predict, write nothing */
	bool move_tag;               /* DEST's tag may move from another image */
	bool larger;                 /* go on although nothing is saved */
	const char *platform;        /* one platform of an index; default: all of them */
	const char *policy, *source_dir;
	const char *tag;             /* template for DEST's tag: "model-{git.describe}-{model.quantisation}" */
	const char *build;           /* {build} */
	void *reserved[6];
};

struct vn_veneer_layer {
	const char *role;            /* "veneer", "model", "score" */
	const char *digest, *diff_id;
	uint64_t size, plain_size, files, whiteouts;
};
struct vn_proof_rule {
	const char *rule, *class_name;
	uint64_t files;
};
/* One image of the result: one, or one for each platform of an index. */
struct vn_rebase_image {
	const char *platform;
	const char *old_digest, *new_digest, *base_digest, *digest;  /* base: the image whose layers are kept; digest: the result's */
	const char *base_name;       /* "" = unknown */
	size_t base_layers;
	const struct vn_veneer_layer *layers;
	size_t nlayers;
	uint64_t pull_before, pull_after;    /* layer bytes that a device with OLD fetches: for NEW, for the result */
	uint64_t proof_equal;        /* entries of the merged trees found equal to NEW's */
	const struct vn_proof_rule *proof_rules;     /* entries that differ from NEW's by a named rule */
	size_t nproof_rules;
	bool proved;                 /* read back from DEST and compared; false in a dry run */
	const struct vn_file_change *blockers;       /* why paths mode refuses; else none */
	size_t nblockers;
	const struct vn_package_change *packages;    /* that changed and are carried (content) or in the way (paths) */
	size_t npackages;
	const struct vn_config_change *config;       /* configuration taken from NEW */
	size_t nconfig;
	const struct vn_model_info *models;
	size_t nmodels;
	const char *accepted;        /* what was accepted, as recorded in the annotation; "" = nothing */
	uint64_t payload_files[VN_CLASSES];  /* files in the veneer by class */
};
struct vn_rebase_result {
	const char *reference;       /* DEST with its tag and digest */
	const char *tag;             /* NULL when DEST has none */
	const char *digest;          /* of the index, or of the one image */
	bool written, up_to_date;    /* up_to_date: DEST held exactly this before */
	uint64_t uploaded_bytes;
	const char *sentence;        /* "A device pulls 31.1 kB instead of 393.2 MB (12,600 times less)." */
	const struct vn_rebase_image *images;
	size_t nimages;
	const struct vn_source_change *source;
	size_t nsource;
};

struct vn_rebase;
/* On -VN_EREFUSED *ret is set too when there is something to show (blockers, packages, predicted bytes); else untouched. */
VN_API int vn_rebase_run(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest_ref,
			 const struct vn_rebase_options *options, struct vn_rebase **ret, struct vn_err *err);
VN_API void vn_rebase_free(struct vn_rebase *rebase);
VN_API const struct vn_rebase_result *vn_rebase_get(const struct vn_rebase *rebase);
/* Schema "veneer.rebase/1" (veneer-rebase(1), JSON). */
VN_API int vn_rebase_json(const struct vn_rebase *rebase, char **ret_text, struct vn_err *err);

#ifdef __cplusplus
}
#endif
#endif
