/* The one sentence that a manager reads. */
#ifndef VN_DIFF_SENTENCE_H
#define VN_DIFF_SENTENCE_H
#include "diff/diff.h"

int vn_diff_sentence(struct vn_diff *diff, const char **ret, struct vn_err *err);
#endif
