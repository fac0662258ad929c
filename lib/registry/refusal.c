#include "registry/refusal.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

void vn_refusal_what(const struct vn_client *c, const struct vn_call *call, char out[VN_REFUSAL_WHAT])
{
	if (call->access == VN_ACCESS_NONE)
		snprintf(out, VN_REFUSAL_WHAT, "%s", *vn_client_repository(c) ? "first request" : "login");
	else
		snprintf(out, VN_REFUSAL_WHAT, "%s%s", call->access == VN_ACCESS_PUSH ? "push to " : "pull of ", vn_client_repository(c));
}

void vn_refusal_said(struct vn_http_response *r, char *out, size_t size)
{
	struct vn_answer answer;

	vn_answer_read(r, &answer);
	const char *known = vn_status_text(r->status);
	snprintf(out, size, "%u%s%s%s%s%s", r->status, *known ? " (" : "", known, *known ? ")" : "", *answer.text ? ": " : "",
		 answer.text);
}

int vn_refusal_unexpected(struct vn_client *c, const struct vn_call *call, struct vn_http_response *r, struct vn_err *err)
{
	char what[VN_REFUSAL_WHAT], said[400];
	unsigned status = r->status;

	if (status == 401 || status == 403) {
		struct vn_answer answer;
		vn_answer_read(r, &answer);
		snprintf(said, sizeof said, "%u%s%s", status, *answer.text ? " " : "", answer.text);
		return vn_refusal_denied(c, call, status, said, err);
	}
	vn_refusal_what(c, call, what);
	vn_refusal_said(r, said, sizeof said);
	enum vn_code code = vn_client_worth_retry(status) ? VN_ENETWORK : status == 404 ? VN_ENOTFOUND : VN_EFORMAT;
	return vn_fail(err, code, "%s answered %s to the %s", vn_client_registry(c), said, what);
}

static void deny_hint(struct vn_client *c, const struct vn_call *call, bool known, struct vn_err *err)
{
	size_t len = strlen(vn_client_registry(c));
	bool acr = len > 11 && !strcmp(vn_client_registry(c) + len - 11, ".azurecr.io");
	const char *right = call->access == VN_ACCESS_PUSH ? "content/write" : "content/read";

	if (call->access == VN_ACCESS_NONE)
		vn_hint(err, "Check the user name and the password or token.");
	else if (known && acr)
		vn_hint(err, "Log in again with `veneer login %s`, or check that the token's scope map allows %s on %s.",
			vn_client_registry(c), right, vn_client_repository(c));
	else if (known)
		vn_hint(err, "Log in again with `veneer login %s`, or check that they may %s %s.", vn_client_registry(c),
			call->access == VN_ACCESS_PUSH ? "push to" : "pull", vn_client_repository(c));
	else
		vn_hint(err, "Log in with `veneer login %s`.", vn_client_registry(c));
}

int vn_refusal_denied(struct vn_client *c, const struct vn_call *call, unsigned status, const char *detail, struct vn_err *err)
{
	const char *source = vn_client_source(c);
	char what[VN_REFUSAL_WHAT];

	vn_refusal_what(c, call, what);
	if (!source)
		vn_fail(err, VN_EAUTH, "%s wants credentials for %s (%s) and none were found", vn_client_registry(c), what, detail);
	else if (status == 403)
		vn_fail(err, VN_EAUTH, "%s does not allow %s (%s); the credentials came from %s", vn_client_registry(c), what,
			detail, source);
	else
		vn_fail(err, VN_EAUTH, "%s refused the credentials for %s (%s); they came from %s", vn_client_registry(c), what,
			detail, source);
	deny_hint(c, call, source != NULL, err);
	return -VN_EAUTH;
}

int vn_refusal_web_page(const struct vn_client *c, const struct vn_http_response *r, const char *what, struct vn_err *err)
{
	const char *type = vn_http_header(r, "Content-Type", 0);

	if (!type || (strncasecmp(type, "text/html", 9) && strncasecmp(type, "application/xhtml+xml", 21)))
		return 0;
	vn_fail(err, VN_ENETWORK, "%s answered with a web page, expected %s", vn_client_registry(c), what);
	return vn_hint(err, "The login page of a network may stand in between, or %s is no registry.", vn_client_registry(c));
}
