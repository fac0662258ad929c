#include "cmd.h"

struct options {
	struct cmd_common common;
};

static int run(const struct cmd_call *call, struct vn_err *err)
{
	OUT_CLEANUP(text_release) struct text json = { 0 };
	CMD_AUTO_FREE char *where = NULL;
	CMD_AUTO_VN vn = NULL;

	if (cmd_open(call, NULL, NULL, &vn, err) < 0 || vn_logout(vn, call->args[0], &where, err) < 0)
		return -(int)err->code;
	if (call->common->quiet && !call->json)
		return 0;
	if (!call->json) {
		out_put(call->out, "Logged out of ");
		out_escaped(call->out, call->args[0]);
		out_put(call->out, "; taken out of ");
		out_escaped(call->out, where);
		out_put(call->out, "\n");
		return 0;
	}
	text_add(&json, "{\"schema\":\"veneer.logout/1\",\"registry\":");
	text_json(&json, call->args[0]);
	text_add(&json, ",\"where\":");
	text_json(&json, where);
	text_add(&json, "}");
	call->out->failed |= json.failed;
	return cmd_put_json(call->out, text_get(&json));
}

static const struct opt_positional args[] = {
	{ "REGISTRY", "its host name, with :PORT when it has one", false, NULL },
	{ 0 },
};
static const struct opt *const groups[] = { cmd_registry_options, cmd_general_options, NULL };
static const struct cmd_example examples[] = {
	{ "veneer logout edge.example.io", "forgets name and password" },
	{ 0 },
};

const struct vn_cmd cmd_logout = {
	.name = "logout",
	.summary = "forget the credentials of a registry",
	.about = "Take the credentials of a registry out of the credential helper or file that holds them.",
	.args = args,
	.groups = groups,
	.size = sizeof(struct options),
	.examples = examples,
	.run = run,
};
