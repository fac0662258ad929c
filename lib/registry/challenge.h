/* WWW-Authenticate (RFC 9110, 11.6.1): #( auth-scheme [ 1*SP ( token68 / #( token BWS "=" BWS ( token / quoted ) ) ) ] ) */
#ifndef VN_REGISTRY_CHALLENGE_H
#define VN_REGISTRY_CHALLENGE_H
#include "util/buf.h"

enum vn_scheme { VN_SCHEME_OTHER, VN_SCHEME_BASIC, VN_SCHEME_BEARER };
struct vn_challenge {
	enum vn_scheme scheme;
	char *realm, *service, *scope, *error;      /* NULL when absent */
};
struct vn_challenges {
	struct vn_challenge *list;
	size_t n, cap;
};
/* Appends what one header holds; several headers go into the same list. */
int vn_challenges_parse(const char *header, struct vn_challenges *list, struct vn_err *err);
void vn_challenges_release(struct vn_challenges *list);
/* Bearer before Basic; NULL when neither is there. */
const struct vn_challenge *vn_challenges_best(const struct vn_challenges *list);
#endif
