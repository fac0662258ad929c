#include "cmd.h"

struct options {
	struct cmd_common common;
};

static int run(const struct cmd_call *call, struct vn_err *err)
{
	CMD_AUTO_FREE char *where = NULL;
	CMD_AUTO_VN vn = NULL;

	if (cmd_open(call, NULL, NULL, &vn, err) < 0 || vn_logout(vn, call->args[0], &where, err) < 0)
		return -(int)err->code;
	return cmd_put_credentials(call, "logout", "Logged out of ", "; taken out of ", where);
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
