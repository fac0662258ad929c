/* One exchange in the making: shared by http.c, which moves the bytes, and transfer.c, which tells libcurl what is wanted. */
#ifndef VN_REGISTRY_TRANSFER_H
#define VN_REGISTRY_TRANSFER_H
#include "registry/http.h"
#include "registry/tls.h"
#include "registry/url.h"
#include "registry/wire.h"
#include <curl/curl.h>
#include <pthread.h>

#define VN_HTTP_BLOCK (1u << 20)  /* received bytes held before the sender is made to wait */
#define VN_HTTP_FRUGAL_BLOCK (32u << 10)      /* the same where bytes that a kill throws away are paid for twice */

/* One connection cache. A transfer owns a lane while it runs, so that callers in several threads share nothing. */
struct vn_lane {
	CURLM *multi;
	struct vn_lane *next;
};

struct vn_http {
	pthread_mutex_t lock;
	struct vn_lane *idle;
	unsigned connect_ms, stall_ms;
	bool http1, frugal;
	struct vn_sockets *sockets;  /* NULL: nobody counts or saves bytes */
	struct vn_memory *memory;    /* may be NULL */
};

struct vn_transfer {
	struct vn_in in;             /* the response's body */
	struct vn_http *http;
	struct vn_lane *lane;
	CURL *easy;
	struct curl_slist *lines;
	char why[CURL_ERROR_SIZE];
	char peer[VN_URL_SHOWN];     /* host[:port] or socket path, for messages */
	struct vn_tls_plan tls;
	char session[VN_URL_SHOWN];  /* host:port, whose TLS sessions serve */
	struct vn_buf head, data;
	unsigned status;
	bool head_done, over, paused, handed;
	CURLcode result;
	struct vn_in *body;
	int64_t body_len;
	uint64_t sent, moved;        /* bytes; moved: in both directions */
	uint64_t mark, waited;       /* moved at the last progress; milliseconds of waiting since then */
	bool body_done, failed;
	bool engine;                 /* on a socket of this machine */
	enum vn_http_trouble trouble;
	struct vn_err err;           /* found inside a callback, when `failed` */
};

/* Everything but the connection, on t->easy. */
int vn_transfer_set_up(struct vn_transfer *t, const struct vn_http_request *req, const struct vn_url *url, struct vn_err *err);
#endif
