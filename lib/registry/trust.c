#include "registry/trust.h"
#include "util/cleanup.h"
#include "util/fs.h"
#include "util/limits.h"
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct known {
	char *host;
	unsigned port;
	struct vn_buf ca;
	char *cert, *key;
	struct vn_http_tls tls;
	struct known *next;
};

struct vn_trust {
	pthread_mutex_t lock;
	struct known *list;
	struct vn_buf cacert;
	bool insecure;
	const struct vn_events *events;
};

static void known_free(struct known *k)
{
	free(k->host);
	free(k->cert);
	free(k->key);
	vn_buf_release(&k->ca);
	free(k);
}

void vn_trust_close(struct vn_trust *trust)
{
	if (!trust)
		return;
	for (struct known *k; (k = trust->list);) {
		trust->list = k->next;
		known_free(k);
	}
	vn_buf_release(&trust->cacert);
	pthread_mutex_destroy(&trust->lock);
	free(trust);
}

int vn_trust_open(const char *cacert, bool insecure, const struct vn_events *events, struct vn_trust **ret, struct vn_err *err)
{
	struct vn_trust *trust = calloc(1, sizeof *trust);

	if (!trust)
		return vn_nomem(err);
	pthread_mutex_init(&trust->lock, NULL);
	trust->insecure = insecure;
	trust->events = events;
	trust->cacert.max = VN_MAX_TLS_FILE;
	int n = cacert ? vn_fs_read(cacert, &trust->cacert, err) : 0;
	if (n == 0 && cacert && (!trust->cacert.data || !strstr(trust->cacert.data, "-----BEGIN ")))
		n = vn_fail(err, VN_EFORMAT, "%s holds no PEM certificate", cacert);
	if (n < 0) {
		vn_trust_close(trust);
		return n;
	}
	*ret = trust;
	return 0;
}

static int read_pem(struct vn_buf *ca, const char *path, struct vn_err *err)
{
	int n = vn_fs_read(path, ca, err);
	return n < 0 ? n : vn_buf_adds(ca, "\n", err);
}

static const char *system_bundle(void)
{
	static const char *const bundles[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
					       "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem" };
	const char *env = getenv("SSL_CERT_FILE");

	if (env && *env)
		return env;
	for (size_t i = 0; i < sizeof bundles / sizeof *bundles; i++)
		if (vn_fs_exists(bundles[i]))
			return bundles[i];
	return NULL;
}

/* libcurl takes either the system's bundle or ours, so ours begins with the system's. */
static int add_system(struct vn_buf *ca, struct vn_err *err)
{
	const char *path = system_bundle();

	return path ? read_pem(ca, path, err) : 0;
}

static bool ends(const char *name, const char *tail)
{
	size_t n = strlen(name), t = strlen(tail);
	return n > t && !strcmp(name + n - t, tail);
}

static int take_file(struct vn_trust *trust, struct known *k, const char *dir, const char *name, struct vn_err *err)
{
	VN_AUTO_FREE char *path = NULL, *key = NULL;

	if (vn_asprintf(&path, err, "%s/%s", dir, name) < 0)
		return -err->code;
	if (ends(name, ".crt")) {
		if (!k->ca.len && add_system(&k->ca, err) < 0)
			return -err->code;
		return read_pem(&k->ca, path, err);
	}
	if (!ends(name, ".cert") || k->cert)
		return 0;
	if (vn_asprintf(&key, err, "%.*skey", (int)(strlen(path) - 4), path) < 0)
		return -err->code;
	if (!vn_fs_exists(key)) {
		vn_warn(trust->events, "%s has no key beside it (%s); the certificate is not used", path, key);
		return 0;
	}
	k->cert = vn_steal(path);
	k->key = vn_steal(key);
	return 0;
}

static int take_dir(struct vn_trust *trust, struct known *k, const char *path, struct vn_err *err)
{
	struct dirent **names = NULL;
	int count = scandir(path, &names, NULL, alphasort), n = 0;

	for (int i = 0; i < count; i++) {
		if (n == 0)
			n = take_file(trust, k, path, names[i]->d_name, err);
		free(names[i]);
	}
	free(names);
	return n;
}

/* The first folder that exists is the one that counts, with the port in its name and, for the usual port, also without. */
static int take_certs_d(struct vn_trust *trust, struct known *k, bool usual_port, struct vn_err *err)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
	VN_AUTO_FREE char *user = NULL;

	if (config && *config ? vn_asprintf(&user, err, "%s/containers/certs.d", config) < 0
			      : home && vn_asprintf(&user, err, "%s/.config/containers/certs.d", home) < 0)
		return -err->code;
	const char *const roots[] = { user, "/etc/containers/certs.d", "/etc/docker/certs.d" };
	for (size_t i = 0; i < sizeof roots / sizeof *roots; i++)
		for (int with_port = 1; roots[i] && with_port >= !usual_port; with_port--) {
			VN_AUTO_FREE char *path = NULL;
			if ((with_port ? vn_asprintf(&path, err, "%s/%s:%u", roots[i], k->host, k->port)
				       : vn_asprintf(&path, err, "%s/%s", roots[i], k->host)) < 0)
				return -err->code;
			if (vn_fs_exists(path))
				return take_dir(trust, k, path, err);
		}
	return 0;
}

static int learn(struct vn_trust *trust, const struct vn_url *url, struct known *k, struct vn_err *err)
{
	k->ca.max = VN_MAX_TLS_FILE;
	k->port = url->port;
	if (vn_strdup(url->host, &k->host, err) < 0 || take_certs_d(trust, k, url->port == 443, err) < 0)
		return -err->code;
	if (trust->cacert.len) {
		if (!k->ca.len && add_system(&k->ca, err) < 0)
			return -err->code;
		if (vn_buf_add(&k->ca, trust->cacert.data, trust->cacert.len, err) < 0)
			return -err->code;
	}
	k->tls = (struct vn_http_tls){ k->ca.len ? k->ca.data : NULL, k->ca.len, k->cert, k->key, trust->insecure };
	return 0;
}

int vn_trust_for(struct vn_trust *trust, const struct vn_url *url, const struct vn_http_tls **ret, struct vn_err *err)
{
	int n = 0;

	pthread_mutex_lock(&trust->lock);
	struct known *k = trust->list;
	while (k && (k->port != url->port || strcmp(k->host, url->host)))
		k = k->next;
	if (!k) {
		k = calloc(1, sizeof *k);
		n = k ? learn(trust, url, k, err) : vn_nomem(err);
		if (n == 0) {
			k->next = trust->list;
			trust->list = k;
		} else if (k) {
			known_free(k);
		}
	}
	pthread_mutex_unlock(&trust->lock);
	if (n < 0)
		return vn_wrap(err, "certificates for %s:%u", url->host, url->port);
	*ret = &k->tls;
	return 0;
}

int vn_trust_print(const struct vn_http_tls *tls, struct vn_digest *ret, struct vn_err *err)
{
	static const struct vn_http_tls none;
	VN_AUTO(vn_buf) all = VN_BUF(2 * VN_MAX_TLS_FILE);
	const char *dir = getenv("SSL_CERT_DIR");

	tls = tls ? tls : &none;
	/* with CAs of its own the system's stand before them */
	if (vn_buf_addf(&all, err, "%d\n%s\n%s\n%s\n", tls->insecure, dir ? dir : "", tls->cert ? tls->cert : "",
			tls->key ? tls->key : "") < 0 ||
	    (tls->ca_pem ? vn_buf_add(&all, tls->ca_pem, tls->ca_len, err) : add_system(&all, err)) < 0)
		return -err->code;
	return vn_digest_of(all.data, all.len, ret, err);
}
