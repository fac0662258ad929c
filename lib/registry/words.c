#include "registry/words.h"
#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool says(const char *why, const char *const *pieces)
{
	for (; *pieces; pieces++)
		if (strstr(why, *pieces))
			return true;
	return false;
}

/* The library names whom it called: "Failed to connect to HOST port N after 3 ms: ...". Somebody else than the peer is a proxy. */
static bool is_proxy(const char *peer, const char *why, char host[256], char port[8])
{
	static const char lead[] = "Failed to connect to ", middle[] = " port ";
	const char *name = why + sizeof lead - 1;
	if (strncmp(why, lead, sizeof lead - 1))
		return false;
	size_t len = strcspn(name, " "), digits;
	if (len >= 256 || strncmp(name + len, middle, sizeof middle - 1))
		return false;
	digits = strspn(name + len + sizeof middle - 1, "0123456789");
	if (!digits || digits > 5)
		return false;
	snprintf(host, 256, "%.*s", (int)len, name);
	snprintf(port, 8, "%.*s", (int)digits, name + len + sizeof middle - 1);
	return !strstr(peer, host);
}

enum vn_http_trouble vn_words_connect(const char *peer, const char *why, int number, struct vn_err *err)
{
	char host[256], port[8];

	if (is_proxy(peer, why, host, port)) {
		vn_fail(err, VN_ENETWORK, "cannot connect to %s:%s, the proxy on the way to %s%s%s", host, port, peer, number ? ": " : "",
			number ? strerror(number) : "");
		vn_hint(err, "Check https_proxy, http_proxy and no_proxy in the environment.");
		return VN_HTTP_NO_CONNECTION;
	}
	errno = number;
	if (number)
		vn_fail_sys(err, number == EACCES || number == EPERM ? VN_EIO : VN_ENETWORK, "cannot connect to %s", peer);
	else
		vn_fail(err, VN_ENETWORK, "cannot connect to %s: %s", peer, *why ? why : "no reason given");
	if (number == ECONNREFUSED)
		vn_hint(err, "Nothing listens there: check the address and the port, and whether the server runs.");
	return VN_HTTP_NO_CONNECTION;
}

enum vn_http_trouble vn_words_tls(const char *peer, const char *why, struct vn_err *err)
{
	static const char *const plain[] = { "wrong version number", "http request", "unexpected TLS packet",
					     "packet length too long", "unknown protocol", NULL };
	static const char *const client[] = { "alert certificate required", "alert handshake failure", "alert bad certificate",
					      "alert unknown ca", NULL };

	if (says(why, plain)) {
		vn_fail(err, VN_EIO, "%s does not speak TLS", peer);
		vn_hint(err, "It seems to speak plain HTTP: use --plain-http if that is meant.");
		return VN_HTTP_NOT_TLS;
	}
	if (says(why, client)) {
		vn_fail(err, VN_EAUTH, "%s refused the TLS handshake: %s", peer, why);
		vn_hint(err, "It may want a client certificate: put X.cert and X.key into ~/.config/containers/certs.d/%s/.", peer);
	} else {
		vn_fail(err, VN_ENETWORK, "the TLS handshake with %s failed: %s", peer, *why ? why : "connection closed");
	}
	return VN_HTTP_TLS;
}

enum vn_http_trouble vn_words_untrusted(const char *peer, const char *why, struct vn_err *err)
{
	static const char lead[] = "SSL certificate problem: ";

	if (!strncmp(why, lead, sizeof lead - 1))
		why += sizeof lead - 1;
	vn_fail(err, VN_EIO, "the certificate of %s is not trusted here: %s", peer, why);
	vn_hint(err, "Name its CA with --cacert FILE, or put it into ~/.config/containers/certs.d/%s/ca.crt.", peer);
	return VN_HTTP_UNTRUSTED;
}

enum vn_http_trouble vn_words_resolve(const char *peer, const char *why, bool proxy, struct vn_err *err)
{
	if (proxy) {
		vn_fail(err, VN_ENETWORK, "the proxy on the way to %s is an unknown host: %s", peer, why);
		vn_hint(err, "Check https_proxy, http_proxy and no_proxy in the environment.");
	} else {
		vn_fail(err, VN_ENETWORK, "there is no host %s", peer);
		vn_hint(err, "Check the spelling, and whether this machine resolves other names.");
	}
	return VN_HTTP_UNKNOWN_HOST;
}

static enum vn_http_trouble failed(enum vn_http_trouble trouble, int ignored)
{
	(void)ignored;
	return trouble;
}

enum vn_http_trouble vn_words_curl(const char *peer, const char *why, int result, int number, struct vn_err *err)
{
	switch ((CURLcode)result) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return vn_words_resolve(peer, why, result == CURLE_COULDNT_RESOLVE_PROXY, err);
	case CURLE_COULDNT_CONNECT:
		return vn_words_connect(peer, why, number, err);
	case CURLE_OPERATION_TIMEDOUT:
		return failed(VN_HTTP_NO_CONNECTION, vn_fail(err, VN_ENETWORK, "%s did not answer: %s", peer, why));
	case CURLE_SSL_CONNECT_ERROR:
		return vn_words_tls(peer, why, err);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_ISSUER_ERROR:
		return vn_words_untrusted(peer, why, err);
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_CERTPROBLEM:
		return failed(VN_HTTP_OTHER, vn_fail(err, VN_EIO, "the certificate files for %s cannot be used: %s", peer, why));
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return failed(VN_HTTP_H2, vn_fail(err, VN_ENETWORK, "%s broke off an HTTP/2 stream: %s", peer, why));
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		return failed(VN_HTTP_OTHER, vn_fail(err, VN_EFORMAT, "%s does not answer in HTTP: %s", peer, why));
	case CURLE_URL_MALFORMAT:
		return failed(VN_HTTP_OTHER, vn_fail(err, VN_EFORMAT, "a URL for %s is malformed", peer));
	case CURLE_OUT_OF_MEMORY:
		return failed(VN_HTTP_OTHER, vn_nomem(err));
	default:
		return VN_HTTP_CUT;
	}
}
