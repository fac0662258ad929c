/* TLS as a device has it, against a server of our own: what it offers, what it takes up again, and what it never shows to others. */
#include "registry/fake.h"
#include "util/fs.h"
#include "util/limits.h"
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>

#define DIGEST "sha256:1111111111111111111111111111111111111111111111111111111111111111"
#define HEAD_OK                                                                                                          \
	"HTTP/1.1 200 OK\r\nContent-Type: " VN_MT_OCI_MANIFEST "\r\nContent-Length: 500\r\nDocker-Content-Digest: " DIGEST "\r\n\r\n"

static char dir[] = "/tmp/veneer-test-XXXXXX", memory[64], ca[64];

struct server {
	int listener;
	unsigned port;
	pthread_t thread;
	SSL_CTX *ctx;
	EVP_PKEY *key;
	X509 *cert;
	int version;                 /* the newest that it knows */
	/* of the last connection */
	bool offered, resumed, alpn, padding;
	size_t requests, ciphers;
};

/* ---- the server */
static X509 *certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	X509_set_version(cert, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 86400);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
	X509_set_issuer_name(cert, name);
	X509_set_pubkey(cert, key);
	X509_EXTENSION *san = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost");
	X509_add_ext(cert, san, -1);
	X509_EXTENSION_free(san);
	CHECK(X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return cert;
}

static int on_hello(SSL *ssl, int *alert, void *user)
{
	struct server *s = user;
	const unsigned char *data;
	size_t len;

	(void)alert;
	s->offered = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &data, &len) ||
		     (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_session_ticket, &data, &len) && len);
	s->alpn = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &data, &len);
	s->padding = SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_padding, &data, &len);
	s->ciphers = SSL_client_hello_get0_ciphers(ssl, &data) / 2;
	return SSL_CLIENT_HELLO_SUCCESS;
}

/* New keys for tickets, so that the old ones are worth nothing. */
static void renew(struct server *s)
{
	SSL_CTX_free(s->ctx);
	s->ctx = SSL_CTX_new(TLS_server_method());
	SSL_CTX_use_certificate(s->ctx, s->cert);
	SSL_CTX_use_PrivateKey(s->ctx, s->key);
	SSL_CTX_set_max_proto_version(s->ctx, s->version);
	SSL_CTX_set_client_hello_cb(s->ctx, on_hello, s);
}

static void serve(struct server *s, int fd)
{
	SSL *ssl = SSL_new(s->ctx);
	char buf[4096];
	int n, len = 0;

	SSL_set_fd(ssl, fd);
	if (SSL_accept(ssl) == 1) {
		s->resumed = SSL_session_reused(ssl);
		while (len < (int)sizeof buf - 1 && (n = SSL_read(ssl, buf + len, (int)sizeof buf - 1 - len)) > 0) {
			buf[len += n] = 0;
			if (!strstr(buf, "\r\n\r\n"))
				continue;
			s->requests++;
			SSL_write(ssl, HEAD_OK, sizeof HEAD_OK - 1);
			len = 0;
		}
	}
	SSL_free(ssl);
}

static void *run_server(void *user)
{
	struct server *s = user;
	int fd;

	while ((fd = accept(s->listener, NULL, NULL)) >= 0) {
		serve(s, fd);
		close(fd);
	}
	return NULL;
}

static void start(struct server *s, EVP_PKEY *key, int version)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;

	memset(s, 0, sizeof *s);
	s->key = key;
	s->cert = certificate(key);
	s->version = version;
	renew(s);
	s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(s->listener, (struct sockaddr *)&a, sizeof a) < 0 || listen(s->listener, 16) < 0 ||
	    getsockname(s->listener, (struct sockaddr *)&a, &len) < 0)
		abort();
	s->port = ntohs(a.sin_port);
	pthread_create(&s->thread, NULL, run_server, s);
}

static void stop(struct server *s)
{
	shutdown(s->listener, SHUT_RDWR);
	pthread_join(s->thread, NULL);
	close(s->listener);
	SSL_CTX_free(s->ctx);
	X509_free(s->cert);
	EVP_PKEY_free(s->key);
}

/* The file of CAs that believes in the servers. */
static void believe(const struct server *s, const struct server *more)
{
	FILE *f = fopen(ca, "w");

	PEM_write_X509(f, s->cert);
	if (more)
		PEM_write_X509(f, more->cert);
	fclose(f);
}

/* ---- a run of the device */
static struct vn_registry_options usual(void)
{
	return (struct vn_registry_options){ .memory = memory, .frugal = true, .cacert = ca, .retries = 1 };
}

static int run_as(struct server *s, const char *host, struct vn_registry_options opt, struct vn_wire *wire, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	VN_AUTO(vn_desc) desc = { 0 };
	VN_AUTO_SOURCE *source = NULL;
	char text[100];

	s->offered = s->resumed = false;
	opt.wire = wire;
	snprintf(text, sizeof text, "%s:%u/a:1", host, s->port);
	CHECK_OK(vn_ref_parse(text, &ref, err), err);
	CHECK_OK(vn_registry_source_open(&ref, &opt, NULL, &source, err), err);
	return vn_registry_head(source, &desc, err);
}

/* Whether it took up an earlier session. */
static bool run(struct server *s)
{
	struct vn_wire wire = { 0 };
	struct vn_err err = { 0 };

	CHECK_OK(run_as(s, "127.0.0.1", usual(), &wire, &err), &err);
	CHECK_EQ(wire.connections, 1);
	CHECK_EQ(wire.resumed, s->resumed);
	return s->resumed;
}

static void begin(struct server *s, int version)
{
	unlink(memory);
	start(s, EVP_EC_gen("P-256"), version);
	believe(s, NULL);
}

/* ---- tests */
static void test_resumes(void)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	for (size_t i = 0; i < 2; i++) {
		struct server s;
		begin(&s, versions[i]);
		CHECK(!run(&s));
		CHECK(!s.offered);
		for (int k = 0; k < 3; k++)
			CHECK(run(&s));
		/* the first contact with a loopback host is a request of its own */
		CHECK_EQ(s.requests, 5);
		stop(&s);
	}
}

static void test_every_kind_of_chain(void)
{
	static const char *const kinds[] = { "P-256", "P-384", "RSA", "ED25519" };
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

	for (size_t i = 0; i < 8; i++) {
		struct server s;
		const char *kind = kinds[i / 2];
		unlink(memory);
		start(&s, *kind == 'R' ? EVP_RSA_gen(2048) : *kind == 'P' ? EVP_EC_gen(kind) : EVP_PKEY_Q_keygen(NULL, NULL, kind),
		      versions[i % 2]);
		believe(&s, NULL);
		CHECK(!run(&s));
		CHECK(run(&s));
		stop(&s);
	}
}

static void test_hello_is_short(void)
{
	struct server s;
	struct vn_registry_options rich = usual();
	struct vn_err err = { 0 };

	begin(&s, TLS1_3_VERSION);
	run(&s);
	CHECK(!s.alpn && !s.padding);
	CHECK(s.ciphers < 12);
	rich.frugal = false;
	rich.memory = NULL;
	CHECK_OK(run_as(&s, "127.0.0.1", rich, NULL, &err), &err);
	CHECK(s.alpn && s.ciphers > 12);
	stop(&s);
}

static void test_other_server(void)
{
	struct server s, other;
	struct vn_err err = { 0 };

	begin(&s, TLS1_3_VERSION);
	start(&other, EVP_EC_gen("P-256"), TLS1_3_VERSION);
	believe(&s, &other);
	run(&s);
	CHECK(run(&s));
	CHECK(!run(&other));
	CHECK(!other.offered);
	/* the same server by another name */
	CHECK_OK(run_as(&s, "localhost", usual(), NULL, &err), &err);
	CHECK(!s.offered);
	CHECK(run(&s));
	stop(&s);
	stop(&other);
}

/* What was agreed without looking at certificates does not stand for having looked. */
static void test_other_trust(void)
{
	struct server s, other;
	struct vn_registry_options blind = usual();
	struct vn_err err = { 0 };

	begin(&s, TLS1_3_VERSION);
	start(&other, EVP_EC_gen("P-256"), TLS1_3_VERSION);
	blind.insecure = true;
	CHECK_OK(run_as(&s, "127.0.0.1", blind, NULL, &err), &err);
	CHECK(!run(&s));
	CHECK(!s.offered);
	CHECK(run(&s));
	believe(&other, NULL);
	CHECK_OK(run_as(&s, "127.0.0.1", blind, NULL, &err), &err);
	CHECK_OK(run_as(&s, "127.0.0.1", blind, NULL, &err), &err);
	CHECK(s.resumed);
	CHECK(run_as(&s, "127.0.0.1", usual(), NULL, &err) < 0);
	CHECK_HAS(err.text, "is not trusted here");
	CHECK(!s.offered);
	stop(&s);
	stop(&other);
}

static void test_refused_session(void)
{
	struct server s;

	begin(&s, TLS1_3_VERSION);
	run(&s);
	CHECK(run(&s));
	renew(&s);
	CHECK(!run(&s));
	CHECK(s.offered);
	CHECK(run(&s));
	stop(&s);
}

/* Writes the session in the memory again, with other times or other bytes. */
static void tamper(const char *member, const char *value)
{
	VN_AUTO(vn_buf) bytes = VN_BUF(VN_MAX_MEMORY), out = VN_BUF(VN_MAX_MEMORY);
	struct vn_err err = { 0 };
	char key[40];

	CHECK_OK(vn_fs_read(memory, &bytes, &err), &err);
	snprintf(key, sizeof key, "\"%s\":", member);
	/* the last list is that of the sessions */
	char *at = strstr(strstr(bytes.data, "\"sessions\""), key) + strlen(key), *end = at + strcspn(at, ",}");
	CHECK_OK(vn_buf_add(&out, bytes.data, (size_t)(at - bytes.data), &err), &err);
	CHECK_OK(vn_buf_addf(&out, &err, "%s%s", value, end), &err);
	CHECK_OK(vn_fs_replace(memory, out.data, out.len, 0600, &err), &err);
}

static void test_unusable_session(void)
{
	static const char *const changes[][2] = {
		{ "until", "100" }, { "noted", "9007199254740992" }, { "session", "\"AAAA\"" }, { "session", "\"not base64\"" },
		{ "session", "\"\"" },
	};

	for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
		struct server s;
		begin(&s, TLS1_3_VERSION);
		run(&s);
		tamper(changes[i][0], changes[i][1]);
		CHECK(!run(&s));
		CHECK(!s.offered);
		CHECK(run(&s));
		stop(&s);
	}
}

static void test_no_memory(void)
{
	struct server s;
	struct vn_registry_options opt = usual();
	struct vn_err err = { 0 };

	begin(&s, TLS1_3_VERSION);
	opt.memory = NULL;
	for (int i = 0; i < 2; i++)
		CHECK_OK(run_as(&s, "127.0.0.1", opt, NULL, &err), &err);
	CHECK(!s.offered && !vn_fs_exists(memory));
	stop(&s);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	setenv("REGISTRY_AUTH_FILE", "/nonexistent/auth.json", 1);
	unsetenv("https_proxy");
	unsetenv("HTTPS_PROXY");
	unsetenv("all_proxy");
	unsetenv("ALL_PROXY");
	if (!mkdtemp(dir))
		abort();
	snprintf(memory, sizeof memory, "%s/memory", dir);
	snprintf(ca, sizeof ca, "%s/ca.pem", dir);
	RUN(test_resumes);
	RUN(test_every_kind_of_chain);
	RUN(test_hello_is_short);
	RUN(test_other_server);
	RUN(test_other_trust);
	RUN(test_refused_session);
	RUN(test_unusable_session);
	RUN(test_no_memory);
	unlink(memory);
	unlink(ca);
	rmdir(dir);
	return vn_test_end();
}
