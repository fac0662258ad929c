#include "cmd.h"
#include <stddef.h>

const char *const cmd_class_names[] = {
	[VN_CLASS_METADATA] = "metadata", [VN_CLASS_NOISE] = "noise",   [VN_CLASS_MODEL] = "model",
	[VN_CLASS_SCORE] = "score",       [VN_CLASS_DEPENDENCY] = "dependency", [VN_CLASS_CONFIG] = "config",
	[VN_CLASS_OTHER] = "other",       [VN_CLASSES] = NULL,
};

#define AT(field) offsetof(struct cmd_common, field)
const struct opt cmd_registry_options[] = {
	{ "authfile", 0, OPT_FILE, AT(authfile), "FILE", "credential file, instead of the usual places", NULL },
	{ "cacert", 0, OPT_FILE, AT(cacert), "FILE", "trust these certificate authorities (PEM) too", NULL },
	{ "plain-http", 0, OPT_FLAG, AT(plain_http), NULL, "speak to registries without TLS", NULL },
	{ "tls-verify", 0, OPT_NOT, AT(insecure), "BOOL", "false: do not verify certificates", NULL },
	{ "retries", 0, OPT_COUNT, AT(retries), "N", "tries of a failed request [5]", NULL },
	{ 0 },
};
const struct opt cmd_cache_options[] = {
	{ "cache-dir", 0, OPT_DIR, AT(cache_dir), "DIR", "where downloads are kept [~/.cache/veneer]", NULL },
	{ "cache-size", 0, OPT_SIZE, AT(cache_size), "SIZE", "most that is kept there [20GB]", NULL },
	{ "max-layer-size", 0, OPT_SIZE, AT(max_layer_size), "SIZE", "most that one layer may unpack to", NULL },
	{ 0 },
};

int cmd_open(const struct cmd_call *call, const char *username, const char *password, struct vn **ret, struct vn_err *err)
{
	const struct cmd_common *common = call->options;
	struct vn_options options = {
		.size = sizeof(options),
		.authfile = common->authfile,
		.cacert = common->cacert,
		.cache_dir = common->cache_dir,
		.cache_size = common->cache_size,
		.max_layer_size = common->max_layer_size,
		.plain_http = common->plain_http,
		.insecure = common->insecure,
		.retries = common->retries,
		.events = { meter_tell, call->meter },
		.username = username,
		.password = password,
	};

	return vn_open(&options, ret, err);
}

void cmd_close(struct vn **vn)
{
	if (*vn)
		vn_close(*vn);
}

int cmd_put_credentials(const struct cmd_call *call, const char *name, const char *done, const char *kept, const char *where)
{
	OUT_CLEANUP(text_release) struct text json = { 0 };

	if (call->common->quiet && !call->json)
		return 0;
	if (!call->json) {
		out_put(call->out, done);
		out_escaped(call->out, call->args[0]);
		out_put(call->out, kept);
		out_escaped(call->out, where);
		out_put(call->out, "\n");
		return 0;
	}
	text_addf(&json, "{\"schema\":\"veneer.%s/1\",\"registry\":", name);
	text_json(&json, call->args[0]);
	text_add(&json, ",\"where\":");
	text_json(&json, where);
	text_add(&json, "}");
	call->out->failed |= json.failed;
	return cmd_put_json(call->out, text_get(&json));
}
