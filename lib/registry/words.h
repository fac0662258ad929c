/* Failures of a connection in words that people can act upon. Each sets `err`; `why` is what the TLS or network library said.
 */
#ifndef VN_REGISTRY_WORDS_H
#define VN_REGISTRY_WORDS_H
#include "registry/http.h"

enum vn_http_trouble vn_words_resolve(const char *peer, const char *why, bool proxy, struct vn_err *err);
enum vn_http_trouble vn_words_connect(const char *peer, const char *why, int number /* errno or 0 */, struct vn_err *err);
enum vn_http_trouble vn_words_tls(const char *peer, const char *why, struct vn_err *err);
enum vn_http_trouble vn_words_untrusted(const char *peer, const char *why, struct vn_err *err);
/* Any failure of libcurl (CURLcode). VN_HTTP_CUT: the connection ended, and nothing is set. */
enum vn_http_trouble vn_words_curl(const char *peer, const char *why, int result, int number, struct vn_err *err);
#endif
