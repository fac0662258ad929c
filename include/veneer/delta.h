/* The smallest update: what turns OLD into NEW, for two files or two images, in a file or beside the image in its registry. */
#ifndef VENEER_DELTA_H
#define VENEER_DELTA_H
#include "veneer/context.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vn_delta_settings {
	size_t size;
	int effort;                  /* 1 fast, 2 default, 3 slow; 0 = 2 */
	uint64_t target_memory;      /* heap that the device's decoder may take; 0 = 4 MiB */
	unsigned interop;            /* images: 1 or 2 = layers as tar-diff of that version, for other tools; 0 = the smallest */
	const char *platform;        /* one platform of an index; push: default all of them */
	bool files, images;          /* what OLD and NEW are, where their names leave a doubt */
	bool larger;                 /* keep a delta that saves nothing */
	const char *to;              /* push: the repository that takes the deltas; default NEW's */
	uint64_t max_memory;         /* apply: most heap that a delta may ask for; 0 = 256 MiB */
	const char *digest;          /* apply: what is rebuilt must have it; the diff_id, for a tar-diff alone */
	void *reserved[5];
};

struct vn_delta_method {
	const char *name;            /* "copy", "raw", "ref", "planes", "xor", "sub", "fsub", "convert" */
	uint64_t regions, plain, packed;
};
struct vn_delta_region {
	uint64_t at, length, packed; /* place and bytes in what is rebuilt; bytes of the delta */
	const char *method;
	const char *facts;           /* "4-byte elements, sparse"; "" = none */
	const char *file;            /* images: the file or document that it begins in; "" = none */
};
struct vn_delta_layer {
	const char *digest, *how;    /* "reused", "rebuilt", "repacked", "original" */
	uint64_t size;
	const char *sources;         /* what it is rebuilt from; "" = nothing */
};
/* One delta: of two files, or of one platform of two images. */
struct vn_delta_item {
	bool image, written;         /* written: it exists where `reference` says */
	const char *platform;        /* "" = files */
	const char *old_name, *new_name;     /* as given; show: "" = not recorded */
	const char *old_digest, *new_digest;
	const char *reference;       /* file, or tag and digest in a registry; "" = not written */
	const char *digest;          /* of the delta: the file's, or the artifact's manifest */
	const char *format;          /* "veneer", "tar-diff" */
	const char *relation;        /* "same weights", "fine-tuned", "unrelated", "" = not known */
	const char *reason;          /* why nothing was written; "" */
	uint64_t old_size, new_size; /* of the files, or of what the bundle is made from and rebuilds */
	uint64_t size;               /* of the delta: bytes that a device fetches */
	uint64_t full;               /* what it fetches without */
	uint64_t memory;             /* heap that applying takes */
	bool inline_data;            /* one request fetches all of it */
	const struct vn_delta_method *methods;
	size_t nmethods;
	const struct vn_delta_region *regions;       /* show */
	size_t nregions;
	const struct vn_delta_layer *layers;
	size_t nlayers;
};
struct vn_delta_result {
	const char *verb;            /* "make", "show", "apply", "push" */
	const char *target;          /* apply: what was written, with digest; show: the image whose deltas these are; "" = none */
	bool exact;                  /* apply: digest for digest the target; false for a tar-diff alone whose digest nobody gave */
	bool referrers;              /* push: the registry lists referrers itself; else the fallback tag was written */
	uint64_t uploaded;           /* push */
	const char *sentence;        /* "A device fetches 2.1 kB instead of 26.3 kB (12 times less)." */
	const struct vn_delta_item *items;
	size_t nitems;
};

struct vn_delta_run;
/* OLD, NEW: two images, or two plain files. `dest`: a file (of two files the delta, of two images an OCI archive), or a sink of
 * veneer(1); NULL: nothing is written, only said. VN_EREFUSED with *ret set when the delta saves nothing (and not `larger`). */
VN_API int vn_delta_make_run(struct vn *vn, const char *old_ref, const char *new_ref, const char *dest,
			     const struct vn_delta_settings *settings, struct vn_delta_run **ret, struct vn_err *err);
/* A delta file, archive, or reference; an image: the deltas that its registry lists for it. */
VN_API int vn_delta_show_run(struct vn *vn, const char *ref, const struct vn_delta_settings *settings, struct vn_delta_run **ret,
			     struct vn_err *err);
/* `dest`: a file for a delta of files, else a sink. NULL: rebuilt and proved, then thrown away. */
VN_API int vn_delta_apply_run(struct vn *vn, const char *old_ref, const char *delta_ref, const char *dest,
			      const struct vn_delta_settings *settings, struct vn_delta_run **ret, struct vn_err *err);
/* Makes the deltas from each of `from` to NEW and stores them beside it; one that saves nothing is not stored, and says why. */
VN_API int vn_delta_push_run(struct vn *vn, const char *const *from, size_t nfrom, const char *new_ref,
			     const struct vn_delta_settings *settings, struct vn_delta_run **ret, struct vn_err *err);
/* The same with a delta that vn_delta_make_run() wrote. */
VN_API int vn_delta_push_made(struct vn *vn, const char *delta_ref, const char *repository,
			      const struct vn_delta_settings *settings, struct vn_delta_run **ret, struct vn_err *err);
VN_API const struct vn_delta_result *vn_delta_get(const struct vn_delta_run *run);
/* Schema "veneer.delta/1" (veneer-delta(1), JSON). */
VN_API int vn_delta_json(const struct vn_delta_run *run, char **ret_text, struct vn_err *err);
VN_API void vn_delta_free(struct vn_delta_run *run);

#ifdef __cplusplus
}
#endif
#endif
