/* OLD against NEW: layers, files, packages, configuration, and what a device that holds OLD would pull. */
#ifndef VENEER_DIFF_H
#define VENEER_DIFF_H
#include "veneer/context.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a difference is about. METADATA and NOISE do not count: images that differ in nothing else are "the same". */
enum vn_class {
	VN_CLASS_METADATA,      /* owner, mode and content are equal; times are not */
	VN_CLASS_NOISE,         /* a named rule says that a build leaves this behind */
	VN_CLASS_MODEL,
	VN_CLASS_SCORE,         /* the script that loads the model and answers */
	VN_CLASS_DEPENDENCY,    /* owned by a package manager, or its database */
	VN_CLASS_CONFIG,        /* settings: /etc, environment files of the application */
	VN_CLASS_OTHER,
	VN_CLASSES
};
VN_API const char *vn_class_name(enum vn_class c);                  /* "metadata", "noise" … */
VN_API bool vn_class_parse(const char *name, enum vn_class *ret);

enum vn_change { VN_ADDED, VN_REMOVED, VN_CHANGED, VN_RENAMED };
VN_API const char *vn_change_name(enum vn_change c);

/* Bits of vn_file_change.fields. */
enum {
	VN_FIELD_CONTENT = 1, VN_FIELD_TYPE = 2, VN_FIELD_MODE = 4, VN_FIELD_OWNER = 8, VN_FIELD_XATTRS = 16,
	VN_FIELD_LINK = 32, VN_FIELD_MTIME = 64, VN_FIELD_DEVICE = 128, VN_FIELD_HARDLINK = 256
};
/* "content,mode" into out. Returns out. */
VN_API const char *vn_fields_text(unsigned fields, char out[80]);

struct vn_file_side {
	bool present;
	char type;                   /* as ls -l: - d l c b p */
	uint32_t mode, uid, gid;
	uint64_t size;
	int64_t mtime;               /* seconds since 1970 */
	const char *link;            /* symbolic link: its target, else NULL */
	const char *digest;          /* of the contents where they were looked into, else NULL */
};
struct vn_file_change {
	const char *path;            /* absolute in the image: starts with '/' */
	const char *from;            /* VN_RENAMED: the path in OLD */
	enum vn_change change;
	enum vn_class class_;
	const char *rule;            /* the rule that decided the class */
	unsigned fields;
	size_t layer;                /* 1-based layer of NEW that holds it (REMOVED: of OLD) */
	struct vn_file_side old_, new_;
};

struct vn_image_info {
	const char *reference, *digest, *media_type, *platform, *created;
	size_t layers;
	uint64_t size;               /* compressed bytes of all layers */
};

enum vn_layer_in { VN_LAYER_BOTH, VN_LAYER_OLD, VN_LAYER_NEW };
struct vn_layer_info {
	enum vn_layer_in in;
	size_t old_number, new_number;       /* 1-based; 0 = not in it */
	const char *digest, *diff_id, *media_type, *step;
	uint64_t size;               /* compressed */
	uint64_t plain_size;         /* 0 = not read */
	bool pulled;                 /* a device that holds OLD would fetch it */
	const char *verdict;         /* "same", "model", "metadata", "noise", "mixed", or a class name; "" for layers only in OLD */
	const char *why;             /* "7 of 24,113 files differ: apt-cache 2, logs 4, ldconfig-cache 1" */
	uint64_t files;              /* entries of the layer; 0 = not read */
	uint64_t differing[VN_CLASSES];      /* files of the merged trees that it decides, by class */
};

struct vn_package_change {
	const char *manager, *name, *arch;
	const char *old_version, *new_version;       /* NULL = not installed */
};
struct vn_package_count {
	const char *manager;
	uint64_t old_count, new_count;
};
struct vn_config_change {
	const char *field;           /* "Env", "Entrypoint", "architecture" … */
	const char *key;             /* the variable, label, port; NULL for whole fields */
	const char *old_value, *new_value;   /* JSON text or plain; NULL = absent */
	bool matters;                /* false: build noise such as "created" or a stamp label that a rule names */
	const char *rule;            /* why it does not matter; NULL when it does */
};
struct vn_model_info {
	const char *path, *old_path; /* NULL = not in that image */
	const char *format, *detail, *element, *quantisation;        /* of NEW (OLD when removed); "" = the file does not tell */
	uint64_t old_size, new_size;
	const char *old_digest, *new_digest;
	bool changed;
};
struct vn_rule_count {
	const char *rule, *class_name;
	uint64_t files, bytes;
};
struct vn_source_change {                /* --source: what changed in the repository between OLD's and this revision */
	const char *path, *status;   /* "modified", "added", "removed" */
	uint64_t added, removed;     /* lines */
	const char *detail;          /* the changed requirement lines; "" = none worth showing */
};

struct vn_diff_summary {
	bool identical;              /* one and the same image */
	bool same;                   /* nothing differs but metadata and noise */
	const char *sentence;        /* what a manager reads */
	struct vn_image_info old_, new_;
	uint64_t pull_bytes;         /* layers that a device with OLD fetches for NEW */
	size_t pull_layers;
	uint64_t files_old, files_new, files_equal;
	uint64_t class_files[VN_CLASSES], class_bytes[VN_CLASSES];   /* bytes: sizes in NEW (REMOVED: 0) */
	uint64_t payload_bytes;      /* about what one veneer layer would weigh: files neither noise nor metadata */
	const char *source_revision_old, *source_revision_new;       /* NULL without --source */
	bool want_files, want_layers;        /* the policy file asks for these lists: [diff] files, layers */
};

struct vn_diff_options {
	size_t size;                 /* sizeof(struct vn_diff_options) */
	const char *platform;        /* for indexes: "linux/arm64"; default: this machine's, or the only one */
	const char *policy;          /* policy file; default: .veneer in source_dir, else in the current folder */
	const char *source_dir;      /* git work tree of the model */
	bool all_files;              /* keep metadata-only differences in the list too */
	/* What the list of files holds; counts and sentences are those of everything all the same. */
	unsigned list_classes;       /* bits 1 << VN_CLASS_x; 0 = every class */
	const char *const *list_paths;       /* patterns as in the policy file, NULL-terminated; NULL = every path */
	void *reserved[4];
};

struct vn_diff;
VN_API int vn_diff_run(struct vn *vn, const char *old_ref, const char *new_ref, const struct vn_diff_options *options,
		       struct vn_diff **ret, struct vn_err *err);
VN_API void vn_diff_free(struct vn_diff *diff);
/* All of these live as long as the diff. Lists are sorted and return their length. */
VN_API const struct vn_diff_summary *vn_diff_get_summary(const struct vn_diff *diff);
VN_API size_t vn_diff_get_layers(const struct vn_diff *diff, const struct vn_layer_info **ret);
VN_API size_t vn_diff_get_files(const struct vn_diff *diff, const struct vn_file_change **ret);
VN_API size_t vn_diff_get_packages(const struct vn_diff *diff, const struct vn_package_change **ret);
VN_API size_t vn_diff_get_package_counts(const struct vn_diff *diff, const struct vn_package_count **ret);
VN_API size_t vn_diff_get_config(const struct vn_diff *diff, const struct vn_config_change **ret);
VN_API size_t vn_diff_get_models(const struct vn_diff *diff, const struct vn_model_info **ret);
VN_API size_t vn_diff_get_rules(const struct vn_diff *diff, const struct vn_rule_count **ret);
VN_API size_t vn_diff_get_source(const struct vn_diff *diff, const struct vn_source_change **ret);
/* The whole as JSON, schema "veneer.diff/1" (veneer-diff(1), JSON). free() the text. */
VN_API int vn_diff_json(const struct vn_diff *diff, char **ret_text, struct vn_err *err);

#ifdef __cplusplus
}
#endif
#endif
