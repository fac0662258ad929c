#include "registry/tls.h"
#include "registry/memory.h"
#include "registry/trust.h"
#include "registry/wire.h"
#include "util/cleanup.h"
#include "util/limits.h"
#include <curl/curl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define MOST_LIFE (7 * 86400)        /* of a session, in seconds (RFC 8446, 4.6.1) */

/* Enough for every certificate chain that public authorities issue and for private ones made within the last ten years: each
 * entry costs two bytes in every handshake. */
#define CIPHERS_12                                                                                                       \
	"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
	"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define CIPHERS_13 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
/* libssl's macros take them without const */
static char groups[] = "X25519:P-256:P-384";
static char signatures[] = "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:RSA+SHA384:RSA-PSS+SHA512:"
			   "RSA+SHA512:ed25519";

/* What a connection's callbacks know; it lives as long as the SSL_CTX. */
struct bond {
	struct vn_sockets *sockets;
	struct vn_memory *memory;
	char peer[VN_URL_SHOWN];
	struct vn_digest trust;      /* of everything that decides whom we believe */
	bool done;                   /* the handshake */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int slot = -1;
static bool usable;

static void bond_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent, (void)data, (void)index, (void)argl, (void)argp;
	free(ptr);
}

/* "OpenSSL/3.0.19" on libcurl's side, "OpenSSL 3.0.19 27 Jan 2026" on ours */
static bool same_library(void)
{
	const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
	const char *theirs = info->ssl_version, *ours = OpenSSL_version(OPENSSL_VERSION), lead[] = "OpenSSL";
	size_t n = sizeof lead - 1, len = strcspn(ours + n + 1, " ");

	return theirs && !strncmp(theirs, lead, n) && theirs[n] == '/' && !strncmp(ours, lead, n) && strlen(theirs + n + 1) == len &&
	       !strncmp(theirs + n + 1, ours + n + 1, len);
}

static bool proxy_by_tls(void)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);
		if (value && !strncasecmp(value, "https:", 6))
			return true;
	}
	return false;
}

static void look(void)
{
	slot = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, bond_free);
	usable = slot >= 0 && same_library();
}

bool vn_tls_usable(void)
{
	pthread_once(&once, look);
	return usable && !proxy_by_tls();
}

/* ---- sessions */
static struct bond *bond_of(const SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), slot);
}

static int64_t ends(const SSL_SESSION *session)
{
	/* what the server said of its ticket; libssl's own timeout is a habit of servers */
	unsigned long hint = SSL_SESSION_get_ticket_lifetime_hint(session);
	int64_t life = hint ? (int64_t)hint : (int64_t)SSL_SESSION_get_timeout(session);

	return (int64_t)SSL_SESSION_get_time(session) + (life < MOST_LIFE ? life : MOST_LIFE);
}

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	const struct bond *b = bond_of(ssl);
	VN_AUTO_FREE unsigned char *bytes = NULL;
	VN_AUTO_FREE char *text = NULL;
	struct vn_err ignored = { 0 };
	int len = b && b->memory ? i2d_SSL_SESSION(session, NULL) : 0;

	if (len <= 0 || !SSL_SESSION_is_resumable(session) || !(bytes = malloc((size_t)len)))
		return 0;
	unsigned char *p = bytes;
	len = i2d_SSL_SESSION(session, &p);
	if (len > 0 && vn_base64_encode(bytes, (size_t)len, &text, &ignored) == 0) {
		const char *const texts[VN_MEMORY_TEXTS] = { b->peer, b->trust.text, text };
		vn_memory_put(b->memory, VN_MEMORY_SESSION, texts, ends(session));
		explicit_bzero(text, strlen(text));
		explicit_bzero(bytes, (size_t)len);
	}
	return 0;
}

static SSL_SESSION *remembered(const struct bond *b)
{
	SSL_SESSION *session = NULL;

	for (size_t nth = 0; !session; nth++) {
		VN_AUTO(vn_memory_item) item = { 0 };
		VN_AUTO_FREE uint8_t *bytes = NULL;
		struct vn_err ignored = { 0 };
		size_t len = 0;
		if (!vn_memory_get(b->memory, VN_MEMORY_SESSION, nth, 1, &item))
			break;
		if (strcmp(item.text[0], b->peer) || strcmp(item.text[1], b->trust.text) ||
		    vn_base64_decode(item.text[2], &bytes, &len, &ignored) < 0)
			continue;
		const unsigned char *p = bytes;
		ERR_set_mark();
		session = d2i_SSL_SESSION(NULL, &p, (long)len);
		ERR_pop_to_mark();
		explicit_bzero(bytes, len);
	}
	return session;
}

/* libcurl makes the SSL object only after it has asked us, and this is the first that is heard of it. */
static void on_state(const SSL *ssl, int where, int value)
{
	struct bond *b = bond_of(ssl);

	(void)value;
	if (!b || b->done)
		return;
	if (where & SSL_CB_HANDSHAKE_DONE) {
		b->done = true;
		if (SSL_session_reused(ssl))
			vn_sockets_resumed(b->sockets);
		/* a ticket of TLS 1.3 serves once, or was refused; the next one comes behind the handshake */
		if (b->memory && SSL_version(ssl) >= TLS1_3_VERSION)
			vn_memory_drop(b->memory, VN_MEMORY_SESSION, 0, b->peer);
	}
	if (!(where & SSL_CB_HANDSHAKE_START) || !b->memory || SSL_get_session(ssl))
		return;
	SSL_SESSION *session = remembered(b);
	if (session)
		SSL_set_session((SSL *)(uintptr_t)ssl, session);
	SSL_SESSION_free(session);
}

/* ---- the context */
/* A list that this libssl does not like, as one with fewer algorithms may not, is left as it was. */
static void save_bytes(SSL_CTX *ctx)
{
	/* the padding is for servers of 2013 (RFC 7685) */
	SSL_CTX_clear_options(ctx, SSL_OP_TLSEXT_PADDING);
	SSL_CTX_set_quiet_shutdown(ctx, 1);
	ERR_set_mark();
	SSL_CTX_set_cipher_list(ctx, CIPHERS_12);
	SSL_CTX_set_ciphersuites(ctx, CIPHERS_13);
	SSL_CTX_set1_groups_list(ctx, groups);
	SSL_CTX_set1_sigalgs_list(ctx, signatures);
	ERR_pop_to_mark();
}

int vn_tls_prepare(void *ssl_ctx, const struct vn_tls_plan *plan)
{
	SSL_CTX *ctx = ssl_ctx;
	struct vn_err ignored = { 0 };
	struct bond *b = calloc(1, sizeof *b);

	if (!b || !SSL_CTX_set_ex_data(ctx, slot, b)) {
		free(b);
		return -1;
	}
	b->sockets = plan->sockets;
	snprintf(b->peer, sizeof b->peer, "%s", plan->peer);
	if (plan->memory && vn_trust_print(plan->trust, &b->trust, &ignored) == 0)
		b->memory = plan->memory;
	SSL_CTX_set_info_callback(ctx, on_state);
	if (b->memory) {
		/* libcurl, which keeps sessions by other means, turns tickets off */
		SSL_CTX_clear_options(ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
		SSL_CTX_sess_set_new_cb(ctx, on_new_session);
	}
	if (plan->frugal)
		save_bytes(ctx);
	return 0;
}
