/* What is learnt about some files while a layer streams by, kept beside its index: the digest and facts of models, the packages of
 * a package manager's database.
 *
 *   model:     "model" digest format detail element quantisation
 *   packages:  ("package" manager name version arch)*
 * each text NUL-terminated. */
#ifndef VN_LAYER_FACTS_H
#define VN_LAYER_FACTS_H
#include "deps/packages.h"
#include "layer/index.h"
#include "model/facts.h"

/* Gathers them. A database that cannot be read is a warning, not a failure. */
extern const struct vn_gathering vn_gather_facts;

/* Reading them back: the texts stay in `facts`. */
struct vn_model_note {
	const char *digest, *format, *detail, *element, *quantisation;
};
bool vn_facts_model(const struct vn_buf *facts, struct vn_model_note *ret);
/* Step through packages: `at` starts as 0; false at the end. */
bool vn_facts_package(const struct vn_buf *facts, size_t *at, struct vn_package *ret);
#endif
