/* What is learnt about some files while a layer streams by, kept beside its index: the digest and facts of models, the packages of
 * a package manager's database.
 *
 *   model:     "model" digest format detail element quantisation
 *   packages:  ("package" manager name version arch)*
 * each text NUL-terminated. */
#ifndef VN_LAYER_FACTS_H
#define VN_LAYER_FACTS_H
#include "deps/packages.h"
#include "model/facts.h"
#include "util/digest.h"
#include "util/events.h"

struct vn_gatherer;
int vn_gatherer_open(const char *layer_name, const struct vn_events *events, struct vn_gatherer **ret, struct vn_err *err);
void vn_gatherer_close(struct vn_gatherer *g);
/* Whether the file wants to be looked into, by its path or its first bytes; then feed it from its start and end. */
int vn_gatherer_begin(struct vn_gatherer *g, const char *path, uint64_t size, const void *head, size_t head_len,
		      bool *ret_wanted, struct vn_err *err);
int vn_gatherer_add(struct vn_gatherer *g, const void *data, size_t len, struct vn_err *err);
/* Appends the facts, or nothing. A database that cannot be read is a warning, not a failure. */
int vn_gatherer_end(struct vn_gatherer *g, struct vn_buf *facts, struct vn_err *err);

/* Reading them back: the texts stay in `facts`. */
struct vn_model_note {
	const char *digest, *format, *detail, *element, *quantisation;
};
bool vn_facts_model(const struct vn_buf *facts, struct vn_model_note *ret);
/* Step through packages: `at` starts as 0; false at the end. */
bool vn_facts_package(const struct vn_buf *facts, size_t *at, struct vn_package *ret);
#endif
