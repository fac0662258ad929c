/* The list of a converting map, read: each segment of new, the place in old that it is converted from, and its rule. */
#ifndef VN_DELTA_RECAST_H
#define VN_DELTA_RECAST_H
#include "delta/convert.h"
#include "delta/decode.h"

/* Fills `mapped` as the `len` bytes of the list say: VN_EDIGEST when they do not describe the block. */
int vn_delta_recast(struct vn_delta_decoder *d, const uint8_t *list, size_t len, struct vn_err *err);
#endif
