/* Sizes, counts and times as people read and type them; no locale takes part. */
#ifndef VENEER_TEXT_H
#define VENEER_TEXT_H
#include "veneer/error.h"
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* "0 B", "501 B", "31.1 kB", "393.2 MB", "1.02 GB": SI. Returns `out`. */
#define VN_SIZE_TEXT 32
VN_API const char *vn_size_text(uint64_t bytes, char out[VN_SIZE_TEXT]);
/* "38,250". Returns `out`. */
#define VN_COUNT_TEXT 32
VN_API const char *vn_count_text(uint64_t n, char out[VN_COUNT_TEXT]);
/* "1500", "64k", "10M", "1.5GB" (SI, as sizes are printed; KiB, MiB, GiB are binary). */
VN_API bool vn_parse_size(const char *text, uint64_t *ret);

#ifdef __cplusplus
}
#endif
#endif
