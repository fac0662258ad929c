/* The TCP connections of one struct vn_http: their bytes as the kernel counts them, and how they are held back and ended.
 * Thread-safe. */
#ifndef VN_REGISTRY_WIRE_H
#define VN_REGISTRY_WIRE_H
#include "registry/registry.h"

struct vn_sockets;
/* `wire` may be NULL. `frugal`: acknowledgements wait for data to go with, and connections end by a reset, which is one frame where an
 * orderly end is four. */
int vn_sockets_open(struct vn_wire *wire, bool frugal, struct vn_sockets **ret, struct vn_err *err);
void vn_sockets_close(struct vn_sockets *s);
/* A socket before it connects. Others than TCP are not counted. */
void vn_sockets_add(struct vn_sockets *s, int fd);
/* Counts it for the last time and closes it. */
int vn_sockets_end(struct vn_sockets *s, int fd);
/* What is written between the two leaves in as few segments as it fits in. */
void vn_sockets_hold(struct vn_sockets *s);
void vn_sockets_let_go(struct vn_sockets *s);
/* Brings the counts up to date. */
void vn_sockets_count(struct vn_sockets *s);
void vn_sockets_request(struct vn_sockets *s);
void vn_sockets_resumed(struct vn_sockets *s);
/* Of a 429 or 503; 0: it did not say. */
void vn_sockets_retry_after(struct vn_sockets *s, int64_t seconds);
#endif
