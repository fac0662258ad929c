#include "api/context.h"
#include "engine/engine.h"
#include "layer/facts.h"
#include "registry/http.h"
#include "store/store.h"
#include "util/cleanup.h"
#include <string.h>

const struct vn_events *vn_listeners(struct vn *vn)
{
	return vn->events.tell ? &vn->events : NULL;
}

int vn_open(const struct vn_options *options, struct vn **ret, struct vn_err *err)
{
	struct vn *vn = calloc(1, sizeof(*vn));
	if (!vn)
		return vn_nomem(err);
	int r = vn_take_options(&vn->options, sizeof(vn->options), options, "struct vn_options", err);
	const char **texts[] = { &vn->options.authfile, &vn->options.cacert, &vn->options.cache_dir, &vn->options.username,
				 &vn->options.password };
	for (size_t i = 0; r == 0 && i < sizeof(texts) / sizeof(texts[0]); i++) {
		r = vn_strdup(*texts[i], &vn->texts[i], err);
		*texts[i] = vn->texts[i];
	}
	vn->events = vn->options.events;
	vn->registry = (struct vn_registry_options){
		.authfile = vn->options.authfile, .cacert = vn->options.cacert, .plain_http = vn->options.plain_http,
		.insecure = vn->options.insecure, .username = vn->options.username, .password = vn->options.password,
		.retries = vn->options.retries,
	};
	if (r == 0)
		r = vn_http_init(err);
	vn->http = r == 0;
	if (r == 0)
		r = vn_git_init(err);
	vn->git = r == 0;
	if (r < 0) {
		vn_close(vn);
		return r;
	}
	*ret = vn;
	return 0;
}

void vn_close(struct vn *vn)
{
	if (!vn)
		return;
	vn_cache_close(vn->cache);
	if (vn->git)
		vn_git_exit();
	if (vn->http)
		vn_http_exit();
	for (size_t i = 0; i < sizeof(vn->texts) / sizeof(vn->texts[0]); i++)
		free(vn->texts[i]);
	free(vn);
}

int vn_open_cache(struct vn *vn, struct vn_err *err)
{
	if (vn->cache)
		return 0;
	return vn_cache_open(vn->options.cache_dir, vn->options.cache_size, vn_listeners(vn), &vn->cache, err);
}

static int open_source(struct vn *vn, const struct vn_ref *ref, struct vn_source **ret, struct vn_err *err)
{
	const struct vn_events *events = vn_listeners(vn);
	switch (ref->transport) {
	case VN_REF_OCI:
		return vn_layout_source_open(ref, events, ret, err);
	case VN_REF_OCI_ARCHIVE:
		return vn_oci_archive_source_open(ref, events, ret, err);
	case VN_REF_DOCKER_ARCHIVE:
		return vn_docker_archive_source_open(ref, events, ret, err);
	case VN_REF_DOCKER_DAEMON:
		return vn_docker_daemon_source_open(ref, events, ret, err);
	default:
		return vn_registry_source_open(ref, &vn->registry, events, ret, err);
	}
}

int vn_open_source(struct vn *vn, const char *text, struct vn_source **ret, struct vn_err *err)
{
	VN_AUTO(vn_ref) ref = { 0 };
	int r = vn_ref_parse(text, &ref, err);
	return r < 0 ? r : open_source(vn, &ref, ret, err);
}

int vn_open_sink(struct vn *vn, const struct vn_ref *ref, struct vn_sink **ret, struct vn_err *err)
{
	const struct vn_events *events = vn_listeners(vn);
	switch (ref->transport) {
	case VN_REF_OCI:
		return vn_layout_sink_open(ref, events, ret, err);
	case VN_REF_OCI_ARCHIVE:
		return vn_oci_archive_sink_open(ref, events, ret, err);
	case VN_REF_DOCKER_ARCHIVE:
		return vn_docker_archive_sink_open(ref, events, ret, err);
	case VN_REF_DOCKER_DAEMON:
		return vn_docker_daemon_sink_open(ref, events, ret, err);
	default:
		return vn_registry_sink_open(ref, &vn->registry, events, ret, err);
	}
}

int vn_index_setup(struct vn *vn, struct vn_index_options *ret, struct vn_err *err)
{
	int r = vn_open_cache(vn, err);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->cache = vn->cache;
	ret->max_plain = vn->options.max_layer_size;
	ret->events = vn_listeners(vn);
	ret->gather = &vn_gather_facts;
	return vn_cache_secret(vn->cache, ret->key, err);
}
