/* What servers say beside the payload: error bodies, Retry-After, dates, Link. */
#ifndef VN_REGISTRY_ANSWER_H
#define VN_REGISTRY_ANSWER_H
#include "registry/http.h"

struct vn_answer {
	char code[64];           /* first error code of distribution-spec ("MANIFEST_UNKNOWN"), or "" */
	char text[240];          /* "CODE: message", a line of plain text, "an HTML page"; printable; "" when nothing was said */
};
/* Reads what is left of the body, capped; never fails. */
void vn_answer_read(struct vn_http_response *r, struct vn_answer *ret);
void vn_answer_parse(const char *body, size_t len, struct vn_answer *ret);
/* "Not Found"; "" for an unusual status. */
const char *vn_status_text(unsigned status);

/* "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7, the form that is still sent). */
bool vn_http_date(const char *text, int64_t *ret_seconds);
/* Seconds to wait as Retry-After asks, in either form; a date is taken relative to the reply's own Date where there is one. */
bool vn_retry_after(const struct vn_http_response *r, int64_t *ret_seconds);
/* The target of the first link with rel "next" (RFC 8288); *ret stays NULL when there is none. VN_EFORMAT when malformed. */
int vn_link_next(const char *header, char **ret, struct vn_err *err);
#endif
