/* docker-daemon:REF, a running engine through the Docker Engine API (Docker, and Podman's service of the same form).
 *
 * Where: DOCKER_HOST (unix://PATH, tcp://HOST[:PORT]; with DOCKER_TLS_VERIFY, the ca.pem, cert.pem and key.pem of
 * DOCKER_CERT_PATH, else ~/.docker), else /var/run/docker.sock, else docker.sock in XDG_RUNTIME_DIR.
 *
 * The engine gives whole images only: opening a source exports the image into an unnamed file in TMPDIR. A sink collects an archive
 * there and loads it at commit; layers that the engine has, with all below them, are left out when vn_sink_expect told what comes.
 * current() knows the configuration's digest only: that descriptor has Docker's configuration type and the size -1. */
#ifndef VN_ENGINE_ENGINE_H
#define VN_ENGINE_ENGINE_H
#include "image/sink.h"

int vn_docker_daemon_source_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_source **ret,
				 struct vn_err *err);
int vn_docker_daemon_sink_open(const struct vn_ref *ref, const struct vn_events *events, struct vn_sink **ret,
			       struct vn_err *err);
#endif
