/* The handle behind include/veneer, and what every operation starts with: references opened as sources and sinks. */
#ifndef VN_API_CONTEXT_H
#define VN_API_CONTEXT_H
#include "diff/diff.h"
#include "registry/registry.h"
#include "source/policy.h"
#include "source/source.h"
#include "veneer/veneer.h"

struct vn {
	struct vn_options options;           /* texts are copies */
	char *texts[5];
	struct vn_events events;
	struct vn_registry_options registry;
	struct vn_cache *cache;              /* opened at first need */
	bool http, git;                      /* libraries that were initialised */
};
/* NULL when nobody listens. */
const struct vn_events *vn_listeners(struct vn *vn);
int vn_open_cache(struct vn *vn, struct vn_err *err);
int vn_open_source(struct vn *vn, const char *text, struct vn_source **ret, struct vn_err *err);
int vn_open_sink(struct vn *vn, const struct vn_ref *ref, struct vn_sink **ret, struct vn_err *err);
/* Cache, fingerprint key and limits for reading layers. */
int vn_index_setup(struct vn *vn, struct vn_index_options *ret, struct vn_err *err);
/* Public option structs grow at their end: what an older caller does not know is zero. VN_EUSAGE when size is not set. */
int vn_take_options(void *known, size_t known_size, const void *given, const char *name, struct vn_err *err);

/* --source: the work tree now, and what changed in it since OLD's recorded revision. */
struct vn_source_report {
	struct vn_source_tree tree;
	struct vn_source_changes changes;
	bool has_tree, has_changes;
};
int vn_source_look(struct vn *vn, const char *dir, const struct vn_config *old_config, const struct vn_manifest *old_manifest,
		   struct vn_source_report *ret, struct vn_err *err);
void vn_source_report_release(struct vn_source_report *report);
/* In the public form; the list is free()d by the caller, its texts are the arena's. */
int vn_source_publish(const struct vn_source_report *report, struct vn_arena *arena, struct vn_source_change **ret, size_t *ret_n,
		      struct vn_err *err);
#endif
