/* The door to libcurl: one HTTP request at a time for each caller, the response's body pulled as a stream. */
#ifndef VN_REGISTRY_HTTP_H
#define VN_REGISTRY_HTTP_H
#include "stream/in.h"
#include <stdbool.h>

struct vn_wire;
struct vn_memory;

/* libcurl's process-wide set-up, counted; vn_http_open holds one count itself, so that only a program which wants to choose
 * the moment calls these. Thread-safe. */
int vn_http_init(struct vn_err *err);
void vn_http_exit(void);

struct vn_http_options {
	unsigned connect_ms;         /* until the connection stands, TLS included; 0: 30,000 */
	unsigned stall_ms;           /* without a kilobyte moving; 0: 60,000. There is no limit on the whole. */
	bool http1;                  /* never HTTP/2 */
	/* Fewest bytes: HTTP/1.1, a short ClientHello, no header that a registry can do without, whatever is written at once in one
	 * segment, no farewell. */
	bool frugal;
	struct vn_wire *wire;        /* counts; NULL: nobody does */
	struct vn_memory *memory;    /* keeps TLS sessions; NULL: only libcurl's own, for this process */
};
/* A set of kept-alive connections. Requests may be made from several threads. */
struct vn_http;
int vn_http_open(const struct vn_http_options *opt, struct vn_http **ret, struct vn_err *err);   /* opt NULL: defaults */
void vn_http_close(struct vn_http *http);      /* after every response's body is closed; NULL is fine */

/* Trust for one host. Zeroed: the system's certificates (SSL_CERT_FILE, SSL_CERT_DIR where set). */
struct vn_http_tls {
	const char *ca_pem;          /* trusted beside the system's; NULL: none */
	size_t ca_len;
	const char *cert, *key;      /* files of a client certificate, or NULL */
	bool insecure;               /* verify nothing */
};

enum vn_http_trouble {
	VN_HTTP_FINE,
	VN_HTTP_UNKNOWN_HOST,
	VN_HTTP_NO_CONNECTION,       /* refused, unreachable, no answer in time */
	VN_HTTP_NOT_TLS,             /* the other side does not speak TLS */
	VN_HTTP_UNTRUSTED,           /* its certificate is not good */
	VN_HTTP_TLS,                 /* the handshake failed otherwise */
	VN_HTTP_STALLED,
	VN_HTTP_CUT,                 /* the connection ended early */
	VN_HTTP_H2,                  /* HTTP/2 framing: HTTP/1.1 may work */
	VN_HTTP_BODY,                /* the request's own body could not be read */
	VN_HTTP_AWAY,                /* none: another host than the one that was asked has answered (client.h) */
	VN_HTTP_OTHER,
};

struct vn_http_request {
	const char *method;
	const char *url;
	const char *const *headers;  /* "Name: value", ended by NULL; NULL: none */
	const char *unix_socket;     /* path; the URL's host is then only a name. NULL: TCP */
	const struct vn_http_tls *tls;      /* NULL: zeroed */
	/* Stays the caller's and outlives the response's body, since a server may answer while it still reads. NULL: none */
	struct vn_in *body;
	int64_t body_len;            /* -1: unknown, sent chunked */
	bool http1;
};
struct vn_http_response {
	unsigned status;
	struct vn_buf head;          /* "name: value" lines, each NUL-ended */
	struct vn_in *body;          /* VN_ENETWORK when it is cut or stalls */
};
/* Sends and reads as far as the end of the final header. Redirects are not followed. *ret_trouble (may be NULL) tells failures
 * apart and is always set. */
int vn_http_send(struct vn_http *http, const struct vn_http_request *req, struct vn_http_response *ret,
		 enum vn_http_trouble *ret_trouble, struct vn_err *err);
/* Whatever of the request's body has not been sent stays unsent, and the body may be closed. */
void vn_http_stop_sending(struct vn_http_response *r);
void vn_http_response_release(struct vn_http_response *r);
/* The value of the nth (from 0) header of that name, NULL when there is none. */
const char *vn_http_header(const struct vn_http_response *r, const char *name, size_t nth);
/* What kept the last block of a response's body from coming. */
enum vn_http_trouble vn_http_body_trouble(const struct vn_in *body);
#endif
