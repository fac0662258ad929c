/* Images in registries (opencontainers/distribution-spec), and logging in and out of them. */
#ifndef VN_REGISTRY_REGISTRY_H
#define VN_REGISTRY_REGISTRY_H
#include "image/sink.h"

/* Zeroed: the defaults. Texts are copied. */
struct vn_registry_options {
	const char *authfile;        /* NULL: $REGISTRY_AUTH_FILE, then the places that docker and podman use */
	const char *cacert;          /* PEM file of CAs that are trusted beside the system's */
	bool plain_http;             /* speak HTTP without TLS. Loopback hosts are tried with TLS and then without anyway. */
	bool insecure;               /* do not verify certificates */
	const char *username, *password;     /* instead of any stored credentials */
	unsigned retries;            /* after the first try of a request; 0: 4 */
	unsigned stall_seconds;      /* without a byte moving; 0: 60 */
	unsigned helper_seconds;     /* for a credential helper; 0: 60 */
	uint64_t chunk;              /* bytes of one PATCH when a registry refuses a blob in one piece; 0: 16 MiB */
	/* Waits between tries. NULL: really waits. */
	void (*pause)(void *user, uint64_t milliseconds);
	void *pause_user;
	/* What a device remembers between runs, so that its next request costs less: TLS sessions and tokens. A file of mode 0600,
	 * replaced whole; one that cannot be read or is out of date is as good as none. NULL: nothing is remembered. */
	const char *memory;
	bool frugal;                 /* fewest bytes on the wire rather than fewest round trips or best company (http.h) */
	struct vn_wire *wire;        /* counts what moves; outlives the source. NULL: nobody counts */
};

/* Bytes as the kernel counts them for each TCP connection (tcp(7), TCP_INFO): payload, TLS and retransmissions included, and 20 + 20 bytes
 * (IPv6: 40 + 20) and the TCP options for each segment. */
struct vn_wire {
	uint64_t sent, received;
	unsigned requests, connections, resumed;     /* resumed: TLS handshakes that took up an earlier session */
	int64_t retry_after;         /* seconds that the last 429 or 503 asked for; 0 = none did */
};

/* Neither connects: what is wrong is told by the first use. `opt` may be NULL; `events` (may be NULL) outlives the result. */
int vn_registry_source_open(const struct vn_ref *ref, const struct vn_registry_options *opt, const struct vn_events *events,
			    struct vn_source **ret, struct vn_err *err);
/* What the reference names, by HEAD alone: type, digest and size. VN_ENOTFOUND as usual. Other sources than a registry: as
 * vn_source_manifest. */
int vn_registry_head(struct vn_source *s, struct vn_desc *ret, struct vn_err *err);
/* A blob from byte `from` on, for a caller that keeps what it has: *ret_from is where the stream begins, `from` or 0 when the server
 * would not continue there. Not verified. Other sources than a registry begin at 0. */
int vn_registry_blob_from(struct vn_source *s, const struct vn_desc *desc, uint64_t from, uint64_t *ret_from, struct vn_in **ret,
			  struct vn_err *err);
int vn_registry_sink_open(const struct vn_ref *ref, const struct vn_registry_options *opt, const struct vn_events *events,
			  struct vn_sink **ret, struct vn_err *err);

/* Manifests whose `subject` is an image, as its registry lists them or as the index under the fallback tag does. */
struct vn_referrers {
	struct vn_desc *list;        /* artifactType and annotations are in .json */
	size_t n, cap;
	bool api;                    /* the registry lists them itself */
};
/* Those of that artifact type (NULL: all) in the repository that `ref` names. None at all is no failure. */
int vn_registry_referrers(const struct vn_ref *ref, const struct vn_digest *subject, const char *artifact_type,
			  const struct vn_registry_options *opt, const struct vn_events *events, struct vn_referrers *ret,
			  struct vn_err *err);
/* The same over an open source's connection; none at all for other sources than a registry. `untold`: also those whose type the index
 * under the fallback tag does not tell. */
int vn_registry_referrers_of(struct vn_source *s, const struct vn_digest *subject, const char *artifact_type, bool untold,
			     struct vn_referrers *ret, struct vn_err *err);
void vn_referrers_release(struct vn_referrers *referrers);
/* The artifact type of one of them, "" = none. */
const char *vn_referrer_type(const struct vn_desc *referrer);
/* An entry without a type, or with that of an empty configuration: its manifest has to be asked. */
bool vn_referrer_untold(const struct vn_desc *referrer);
/* A registry sink lists every manifest with a subject that it puts, in the index under the fallback tag where the registry does
 * not do it, and warns when that fails. This makes sure of it for the last one: whether the registry lists it (*ret_api), and
 * that the index names no older entry of the same type and with the same value of the annotation `replaces` (may be NULL). */
int vn_registry_refer(struct vn_sink *k, const struct vn_desc *desc, const void *manifest, size_t len, const char *replaces,
		      bool *ret_api, struct vn_err *err);

/* Verify against the registry, then store as docker and podman do: through credHelpers or credsStore where they are
 * configured, else in the credentials file (mode 0600, replaced as a whole, other members kept). *ret_stored_in: for people. */
int vn_registry_login(const char *registry, const char *user, const char *password, const struct vn_registry_options *opt,
		      const struct vn_events *events, char **ret_stored_in, struct vn_err *err);
/* Remove what login or another tool stored, in every place that is searched. VN_ENOTFOUND when there is nothing.
 * *ret_from: where it was, for people. */
int vn_registry_logout(const char *registry, const struct vn_registry_options *opt, const struct vn_events *events,
		       char **ret_from, struct vn_err *err);
#endif
